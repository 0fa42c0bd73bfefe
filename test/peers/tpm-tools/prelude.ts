import { programsBeside } from '../programs.ts';

/** Every program of tpm2-tools that is installed, by name. `tpm2_ptool` is another package's. */
export function installedTools(): readonly string[] {
  return programsBeside('tpm2_getrandom', /^tpm2_(?!ptool$)/);
}

/** Tools that must not be followed by a flush: they do it themselves, or the TPM is not started. */
const alone = new Set(['tpm2_flushcontext', 'tpm2_shutdown', 'tpm2_startup']);

/**
 * What each script of the tools needs before it. Without a resource manager and with three slots (`untidy`), each tool is followed by
 * the flush that a user would type.
 */
export function prelude(untidy: boolean): string {
  if (!untidy) return '';
  const tools = installedTools().filter((name) => !alone.has(name));
  return `
tidy() {
  local code=0
  command "$@" || code=$?
  command tpm2_flushcontext -t > /dev/null 2>&1 || true
  [ $code = 0 ] || command tpm2_flushcontext -l > /dev/null 2>&1 || true
  return $code
}
for tool in ${tools.join(' ')}; do eval "$tool() { tidy $tool \\"\\$@\\"; }"; done
`;
}
