import { concat, equal, utf8 } from '../core/bytes.ts';
import { canonicalJson, parseJsonObject } from '../core/json.ts';
import type { Store } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { LogHead } from './checkpoint.ts';
import { GENESIS } from './record.ts';

/** Where a journal that was begun anew continues: the last record of what was archived. */
export interface Base extends LogHead {
  /** Name of the newest archive in the store; absent before the first. */
  readonly archive?: string | undefined;
}

/** Name of the archive that begins with record `first`. */
export function archiveName(log: string, first: number): string {
  return `${log}.${String(first).padStart(12, '0')}`;
}

/** What stands before the journal of `log`. @throws {Malformed} */
export async function readBase(store: Store, log: string): Promise<Base> {
  const bytes = await store.read(`${log}.base`);
  if (bytes === undefined) return { index: 0, hash: GENESIS };
  return check(baseSchema, parseJsonObject(bytes), 'base of an audit log');
}

/** Says where the journal of `log` continues. */
export async function writeBase(store: Store, log: string, base: Required<Base>): Promise<void> {
  await store.write(`${log}.base`, utf8(canonicalJson(base)));
}

/** Whether `journal` was archived already, and only the power was missing to begin it anew. */
export async function isArchived(store: Store, base: Base, journal: Uint8Array): Promise<boolean> {
  if (base.archive === undefined || journal.length === 0) return false;
  const archive = await store.read(base.archive);
  return archive !== undefined && equal(archive, journal);
}

/**
 * A whole log, archives first: what an auditor checks. Archives that were taken away are missing at its beginning.
 *
 * @param log default: `audit.log`.
 */
export async function readWholeLog(store: Store, log: string = 'audit.log'): Promise<Uint8Array> {
  const archives = (await store.list(`${log}.`)).filter((name) =>
    /^\d{12}$/.test(name.slice(log.length + 1)),
  );
  const parts: Uint8Array[] = [];
  for (const name of archives) parts.push((await store.read(name)) ?? new Uint8Array());
  const journal = (await store.read(log)) ?? new Uint8Array();
  if (!(await isArchived(store, await readBase(store, log), journal))) parts.push(journal);
  return concat(...parts);
}

const baseSchema = v.strictObject({
  index: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  hash: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  archive: v.pipe(v.string(), v.maxLength(256)),
});
