import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Runs a bash script in the folder; its stdout. Rejects when a line fails, with that line and what was said. */
export type Shell = (script: string) => Promise<string>;

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

/** A shell in `directory` in which every script follows `prelude` and stops at the first line that fails. */
export async function openShell(
  directory: string,
  prelude: string,
  environment: Readonly<Record<string, string>>,
): Promise<Shell> {
  const before = join(directory, '.prelude');
  const trace = join(directory, '.trace');
  // what ran is traced, so that a failure can show its line with the values filled in
  await writeFile(before, `${words}${prelude}\nexec 9> ${trace}\nBASH_XTRACEFD=9\nset -ex -o pipefail\n`);
  // A bash that takes itself for the first one, with a socket as its input, believes it was started by a remote shell,
  // and reads no BASH_ENV.
  const own = { BASH_ENV: before, SHLVL: '2' };
  const env = { ...process.env, TSS2_LOG: 'all+NONE', ...environment, ...own };
  return (script) =>
    new Promise((resolve, reject) => {
      const bash = execFile(
        'bash',
        ['-c', script],
        { cwd: directory, env, timeout: 50_000 },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else
            void readFile(trace, 'utf8').then((lines) => {
              reject(new Error(`${stderr}\n${tail(stdout)}\nlast lines:\n${tail(lines)}`));
            }, reject);
        },
      );
      // who asks for a password gets none
      bash.stdin?.end();
    });
}

const tail = (text: string) => text.trimEnd().split('\n').slice(-8).join('\n');
