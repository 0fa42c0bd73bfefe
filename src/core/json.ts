import { text, utf8 } from './bytes.ts';
import { Malformed } from './errors.ts';

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** A JSON object. */
export type JsonObject = { readonly [name: string]: Json };

/** RFC 8785 canonical JSON. Members that are `undefined` are left out. @throws {TypeError} for what JSON cannot say. */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('JSON has no NaN and no infinity');
    return JSON.stringify(value); // ECMAScript's number format is RFC 8785's
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object') {
    const record = value as Record<string, unknown>;
    const members = Object.keys(record)
      .filter((name) => record[name] !== undefined)
      .sort(); // by UTF-16 code units, as RFC 8785 §3.2.3 asks
    return `{${members.map((name) => `${JSON.stringify(name)}:${canonicalJson(record[name])}`).join(',')}}`;
  }
  throw new TypeError(`JSON has no ${typeof value}`);
}

/** UTF-8 bytes of {@link canonicalJson}. */
export function canonicalBytes(value: unknown): Uint8Array {
  return utf8(canonicalJson(value));
}

/** Bounds of {@link parseJson}. */
export interface JsonBounds {
  /** Largest input in bytes. Default: 65,536. */
  readonly maxBytes?: number;
  /** Deepest nesting. Default: 32. */
  readonly maxDepth?: number;
}

/**
 * Parses JSON strictly: UTF-8, bounded, no duplicate members, no `__proto__`.
 * `JSON.parse` keeps the last of two equal members, so two readers can disagree about one signed text.
 *
 * @throws {Malformed}
 */
export function parseJson(input: Uint8Array | string, bounds: JsonBounds = {}): Json {
  const { maxBytes = 65_536, maxDepth = 32 } = bounds;
  if (input.length > maxBytes) throw new Malformed(`JSON of more than ${maxBytes} bytes`);
  const source = typeof input === 'string' ? input : text(input);
  refuseDuplicates(source, maxDepth);
  try {
    return JSON.parse(source) as Json;
  } catch (cause) {
    throw new Malformed('not JSON', { cause });
  }
}

/** {@link parseJson}, and the value is an object. */
export function parseJsonObject(input: Uint8Array | string, bounds: JsonBounds = {}): JsonObject {
  const value = parseJson(input, bounds);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Malformed('not a JSON object');
  return value as JsonObject;
}

/** One pass over the tokens, before parsing: depth, and equal names within one object. */
function refuseDuplicates(source: string, maxDepth: number): void {
  const open: (Set<string> | null)[] = [];
  const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gsu;
  let last: string | undefined;
  for (const [found] of source.matchAll(token)) {
    if (found === '{' || found === '[') {
      open.push(found === '{' ? new Set() : null);
      if (open.length > maxDepth) throw new Malformed(`JSON nested deeper than ${maxDepth}`);
    } else if (found === '}' || found === ']') {
      open.pop();
    } else if (found === ':' && last?.startsWith('"')) {
      const names = open.at(-1);
      let name: unknown;
      try {
        name = JSON.parse(last);
      } catch (cause) {
        throw new Malformed('not JSON', { cause });
      }
      if (typeof name !== 'string' || name === '__proto__')
        throw new Malformed('a member may not have that name');
      if (names?.has(name)) throw new Malformed(`member \`${name.slice(0, 64)}\` appears twice`);
      names?.add(name);
    }
    last = found;
  }
}
