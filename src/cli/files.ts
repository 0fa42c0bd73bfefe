import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { FealtyError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { v } from '../core/schema.ts';
import { check } from '../core/schema.ts';

/** A file that was named on the command line or in a configuration cannot be used. */
export class BadFile extends FealtyError {
  override readonly code = 'cli.bad-file';
  override readonly remedy = 'ask-owner';
  readonly path: string;

  constructor(path: string, why: string, options?: ErrorOptions) {
    super(`\`${path}\` ${why}`, options);
    this.path = path;
  }
}

const BYTES_MAX = 4 << 20;

/** The bytes of a file. @throws {BadFile} */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    throw new BadFile(path, 'cannot be read', { cause });
  }
}

/** The text of a file, without white space around it. @throws {BadFile} */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path)).trim();
}

/** JSON in a file, as `schema` describes it. @throws {BadFile} */
export async function readJsonFile<const S extends v.GenericSchema>(
  path: string,
  schema: S,
  what: string,
): Promise<v.InferOutput<S>> {
  const bytes = await readBytes(path);
  try {
    return check(schema, parseJson(bytes, { maxBytes: BYTES_MAX }), what);
  } catch (cause) {
    throw new BadFile(path, `is no ${what}`, { cause });
  }
}

/** Writes a file, and its folder when it is missing. A secret one only its owner can read. */
export async function writePaper(
  folder: string,
  name: string,
  content: string | Uint8Array,
  options: { readonly secret?: boolean } = {},
): Promise<string> {
  const path = resolve(folder, name);
  const mode = options.secret ? 0o600 : 0o644;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, content, { mode });
  await chmod(path, mode); // a file that was there keeps its mode otherwise
  return path;
}

/** JSON as people read it. */
export function pretty(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
