import type { AuditEntry, AuditRecord } from '../core/audit.ts';
import { hex, text, utf8 } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { Json, JsonObject } from '../core/json.ts';
import { canonicalJson, parseJsonObject } from '../core/json.ts';
import { check, v } from '../core/schema.ts';

/** Largest record, in bytes of canonical JSON. */
export const MAX_RECORD_BYTES = 32_768;

/** Deepest nesting of a record. */
export const MAX_RECORD_DEPTH = 48;

/** `previous` of the first record: 64 zeros. */
export const GENESIS = '0'.repeat(64);

/** Kind of the record whose hash a checkpoint signs. */
export const CHECKPOINT = 'checkpoint';

/** Kind of the record that carries a checkpoint's evidence; `detail` is `{ of: <index>, evidence: {…} }`. */
export const CHECKPOINT_EVIDENCE = 'checkpoint-evidence';

/** Kind of the record that says how often a denial was repeated; `detail` is `{ of: <index>, count: <times> }`. */
export const DENIALS = 'denials';

/**
 * Whether only the log itself may write `entry`: a checkpoint or its evidence. Evidence is known by its members too, so
 * that no changed letter of its kind makes a checkpoint vanish.
 */
export function isOwn(entry: AuditEntry): boolean {
  const { kind, detail = {} } = entry;
  return kind === CHECKPOINT || kind === CHECKPOINT_EVIDENCE || ('of' in detail && 'evidence' in detail);
}

/** One line of a log: canonical JSON (RFC 8785) and a line feed. */
export interface Line {
  readonly record: AuditRecord;
  readonly hash: string;
  /** Byte length, line feed included. */
  readonly size: number;
}

/** What {@link readLines} found. */
export interface Reading {
  readonly lines: readonly Line[];
  /** Bytes of complete, fitting lines. */
  readonly size: number;
  /** Bytes after the last line feed: an append that power did not let finish. */
  readonly incomplete: number;
  /** Where and why the log does not fit, if it does not. */
  readonly broken?: { readonly index: number; readonly why: string } | undefined;
}

/** SHA-256 (hex) of a record's canonical JSON. */
export function hashOf(record: AuditRecord): string {
  return hex(sha256(utf8(canonicalJson(record))));
}

/** The line of a record. */
export function lineOf(record: AuditRecord): Uint8Array {
  return utf8(`${canonicalJson(record)}\n`);
}

/**
 * Reads a log up to its first fault: each line is canonical JSON with exactly the members of a record, indices go up
 * by one, and `previous` is the hash of the line before.
 *
 * @param after what stands before the first line, when the log continues another. Default: nothing.
 */
export function readLines(
  bytes: Uint8Array,
  after: { readonly index: number; readonly hash: string } = { index: 0, hash: GENESIS },
): Reading {
  const lines: Line[] = [];
  let { index, hash } = after;
  let at = 0;
  for (;;) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) return { lines, size: at, incomplete: bytes.length - at };
    const line = bytes.subarray(at, end);
    index += 1;
    try {
      const record = readRecord(line);
      if (record.index !== index)
        throw new Malformed(`record ${record.index} stands in the place of ${index}`);
      if (record.previous !== hash) throw new Malformed('the hash of the record before does not fit');
      hash = hex(sha256(line));
      lines.push({ record, hash, size: line.length + 1 });
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      return { lines, size: at, incomplete: 0, broken: { index, why: error.message } };
    }
    at = end + 1;
  }
}

/** What stands before the first line of `bytes`, by that line's own word: for reading, never for verifying. */
export function startOf(bytes: Uint8Array): { readonly index: number; readonly hash: string } {
  const end = bytes.indexOf(0x0a);
  try {
    const { index, previous } = readRecord(bytes.subarray(0, Math.max(0, end)));
    return { index: index - 1, hash: previous };
  } catch {
    return { index: 0, hash: GENESIS };
  }
}

/** A copy of `entry` in which whatever looks like a token is replaced by its hash (OB-12). */
export function withoutTokens(entry: AuditEntry): AuditEntry {
  return redacted(JSON.parse(canonicalJson(entry)) as Json) as unknown as AuditEntry;
}

const short = v.optional(v.pipe(v.string(), v.maxLength(8192)));
const schema = v.strictObject({
  index: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  at: v.pipe(v.number(), v.safeInteger()),
  previous: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  kind: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,31}$/)),
  agent: v.pipe(v.string(), v.maxLength(2048)),
  subject: short,
  resource: short,
  action: short,
  decision: v.optional(v.picklist(['permit', 'deny'])),
  txn: short,
  task: short,
  posture: short,
  cause: short,
  detail: v.optional(
    v.custom<JsonObject>(
      (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
      'an object',
    ),
  ),
});

/** The record on a line (without its line feed). @throws {Malformed} */
export function readRecord(line: Uint8Array): AuditRecord {
  const source = text(line);
  const value = parseJsonObject(source, { maxBytes: MAX_RECORD_BYTES, maxDepth: MAX_RECORD_DEPTH });
  if (canonicalJson(value) !== source) throw new Malformed('the record is not canonical JSON');
  return check(schema, value, 'audit record');
}

/** Three parts of base64url, the first of which is a JSON object: a JWS, whatever signed it. */
const TOKEN = /eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*/g;

function redacted(value: Json): Json {
  if (typeof value === 'string') return value.replace(TOKEN, (token) => `sha256:${hex(sha256(utf8(token)))}`);
  if (Array.isArray(value)) return value.map(redacted);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      // The reader refuses that one name, and what was asked under it is still to be recorded.
      Object.entries(value).map(([name, inner]) => [
        name === '__proto__' ? '_proto_' : redactedText(name),
        redacted(inner),
      ]),
    );
  return value;
}

function redactedText(value: string): string {
  return value.replace(TOKEN, (token) => `sha256:${hex(sha256(utf8(token)))}`);
}
