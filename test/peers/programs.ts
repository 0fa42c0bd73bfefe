import { accessSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Every program that is installed beside `one` and whose name the pattern matches, sorted. */
export function programsBeside(one: string, pattern: RegExp): readonly string[] {
  const names = (process.env['PATH'] ?? '').split(delimiter).flatMap((folder) => {
    try {
      accessSync(join(folder, one));
      return readdirSync(folder);
    } catch {
      return [];
    }
  });
  return [...new Set(names)].filter((name) => pattern.test(name)).sort();
}

/** The programs that none of the files names. */
export function neverNamed(programs: readonly string[], files: readonly string[]): readonly string[] {
  const words = new Set(files.flatMap((file) => readFileSync(file, 'utf8').match(/\w+/g) ?? []));
  return programs.filter((program) => !words.has(program));
}

/** The files of a folder whose names the pattern matches. */
export function filesOf(folder: string, pattern = /\.ts$/): readonly string[] {
  return readdirSync(folder)
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name));
}
