import { AUDIT_KEY } from '../agent/books.ts';
import type { AuditKeys } from '../audit/auditor.ts';
import { keysOf, showLog } from '../audit/auditor.ts';
import { readWholeLog } from '../audit/index.ts';
import { readKey } from '../authority/folder.ts';
import type { AuditRecord } from '../core/audit.ts';
import { nodePlatform } from '../core/node.ts';
import type { Store } from '../core/platform.ts';
import { decode, TPMT_PUBLIC } from '../tpm/index.ts';
import { BadFile } from './files.ts';

/** The audit log of an agent's or an authority's folder, and the keys there that check its checkpoints. */
export interface AuditFolder {
  readonly bytes: Uint8Array;
  readonly keys: AuditKeys;
  /** Whose log it is. */
  readonly kind: 'agent' | 'authority';
}

/** Reads it, archives first. @throws {BadFile} when there is none. */
export async function readAuditFolder(folder: string): Promise<AuditFolder> {
  const { store } = nodePlatform({ directory: folder });
  const bytes = await readWholeLog(store);
  if (bytes.length === 0) throw new BadFile(folder, 'holds no audit log');
  if ((await store.read('authority.json')) !== undefined)
    return { bytes, kind: 'authority', keys: keysOf(await readKey(store, 'log')) };
  return { bytes, kind: 'agent', keys: await agentKeys(store) };
}

/** Every record of the log in a folder. @throws {BadFile} */
export async function recordsIn(folder: string): Promise<readonly AuditRecord[]> {
  return showLog((await readAuditFolder(folder)).bytes);
}

async function agentKeys(store: Store): Promise<AuditKeys> {
  const lak = await store.read(AUDIT_KEY);
  return lak === undefined ? {} : { attestationKeys: [decode(TPMT_PUBLIC, lak)] };
}
