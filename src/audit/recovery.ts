import type { Journal, Store } from '../core/platform.ts';
import { AuditBroken } from './errors.ts';
import type { Reading } from './record.ts';
import { readLines } from './record.ts';
import type { Base } from './segments.ts';
import { isArchived } from './segments.ts';

/**
 * Reads the journal of a log and checks its whole chain from `base` on. What power did not let finish is cut off: a last
 * line without its end, or everything, when it was archived and only had to be begun anew.
 *
 * @throws {AuditBroken} when it is not what was written; it is then left as it is, for an auditor.
 */
export async function recover(journal: Journal, store: Store, base: Base): Promise<Reading> {
  let bytes = await journal.read();
  if (await isArchived(store, base, bytes)) {
    await journal.truncate(0);
    bytes = new Uint8Array();
  }
  const reading = readLines(bytes, base);
  const { size, incomplete, broken } = reading;
  if (broken !== undefined)
    throw new AuditBroken(broken.index, `audit record ${broken.index}: ${broken.why}`);
  if (incomplete > 0) await journal.truncate(size);
  return reading;
}
