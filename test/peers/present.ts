import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Whether every program is on the path. With `CI` set a missing one is a failure, not a reason to skip:
 * there, what was promised to be tested against real peers is tested against them.
 */
export function present(...programs: readonly string[]): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const missing = programs.filter((program) => !folders.some((folder) => runs(join(folder, program))));
  if (missing.length === 0) return true;
  if (process.env['CI']) throw new Error(`not installed: ${missing.join(', ')}`);
  return false;
}

/**
 * The path of a shared library's file below the system's library folders, for example `ossl-modules/tpm2.so`, or
 * `undefined` when it is not installed. With `CI` set that is a failure, as in {@link present}.
 */
export function libraryOf(name: string): string | undefined {
  const folders = ['/usr/lib', '/usr/lib64', '/usr/local/lib'];
  const triples = readdirSync('/usr/lib').filter((folder) => folder.endsWith('-linux-gnu'));
  const path = [...folders, ...triples.map((folder) => join('/usr/lib', folder))]
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
  if (path === undefined && process.env['CI']) throw new Error(`not installed: ${name}`);
  return path;
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const told = new Set<string>();

/** {@link present} for one program; says on standard error, once, what is skipped for want of it. */
export function needs(program: string): boolean {
  if (present(program)) return true;
  if (!told.has(program)) process.stderr.write(`skipped: tests against ${program}, which is not installed\n`);
  told.add(program);
  return false;
}
