import { accessSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Every program of tpm2-tools that is installed, by name. `tpm2_ptool` is another package's. */
export function installedTools(): readonly string[] {
  const names = (process.env['PATH'] ?? '').split(':').flatMap((folder) => {
    try {
      accessSync(join(folder, 'tpm2_getrandom'));
      return readdirSync(folder);
    } catch {
      return [];
    }
  });
  return [...new Set(names)].filter((name) => name.startsWith('tpm2_') && name !== 'tpm2_ptool').sort();
}

/**
 * What each script may use. `same A B`: both are equal. `refused CODE command …`: it fails, and names that response
 * code. `fails command …`: it fails by its own judgement. `says TEXT command …`: TEXT is in what it prints.
 */
const words = `
shopt -s inherit_errexit
same() { [ "$1" = "$2" ] || { echo "expected $2, got $1" >&2; exit 1; }; }
refused() {
  local code=$1 out; shift
  if out=$("$@" 2>&1); then echo "not refused: $*" >&2; exit 1; fi
  grep -qiE "\\(($code)\\)" <<< "$out" || { echo "expected $code of $*: $out" >&2; exit 1; }
}
fails() { if "$@" > /dev/null 2>&1; then echo "did not fail: $*" >&2; exit 1; fi; }
says() {
  local text=$1 out; shift
  out=$("$@" 2>&1)
  grep -q -- "$text" <<< "$out" || { echo "expected $text of $*: $out" >&2; exit 1; }
}
hex() { xxd -p -c 10000 "$@"; }
sha() { openssl dgst -sha256 -binary "$@" | xxd -p -c 64; }
`;

/** Tools that must not be followed by a flush: they do it themselves, or the TPM is not started. */
const alone = new Set(['tpm2_flushcontext', 'tpm2_shutdown', 'tpm2_startup']);

/**
 * The lines before each script. Without a resource manager and with three slots (`untidy`), each tool is followed by
 * the flush that a user would type.
 */
export function prelude(untidy: boolean): string {
  if (!untidy) return words;
  const tools = installedTools().filter((name) => !alone.has(name));
  return `${words}
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
