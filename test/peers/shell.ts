import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Runs a bash script in the folder; its stdout. Rejects when a line fails, with that line and what was said. */
export type Shell = (script: string) => Promise<string>;

/** A shell in `directory` in which every script follows `prelude` and stops at the first line that fails. */
export async function openShell(
  directory: string,
  prelude: string,
  environment: Readonly<Record<string, string>>,
): Promise<Shell> {
  const before = join(directory, '.prelude');
  const trace = join(directory, '.trace');
  // what ran is traced, so that a failure can show its line with the values filled in
  await writeFile(before, `${prelude}\nexec 9> ${trace}\nBASH_XTRACEFD=9\nset -ex -o pipefail\n`);
  const env = { ...process.env, TSS2_LOG: 'all+NONE', ...environment, BASH_ENV: before };
  return (script) =>
    new Promise((resolve, reject) => {
      execFile('bash', ['-c', script], { cwd: directory, env, timeout: 50_000 }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else
          void readFile(trace, 'utf8').then((lines) => {
            const last = lines.trimEnd().split('\n').slice(-8).join('\n');
            reject(new Error(`${stderr}\nlast lines:\n${last}`));
          }, reject);
      });
    });
}
