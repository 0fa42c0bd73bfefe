import { parseJson } from '../core/json.ts';
import type { DeviceRecord, RegistrarStore, UniqueCheck } from '../provisioning/registrar-store.ts';
import type { Database, Kysely, Tables } from './database.ts';

/** Columns whose value no two devices share, and the check each stands for. */
const unique = [
  ['ek', 'unique-ek'],
  ['idevid', 'unique-idevid'],
  ['iak', 'unique-iak'],
  ['hw_serial', 'unique-hardware-module'],
  ['slug', 'unique-slug'],
] as const satisfies readonly (readonly [keyof Tables['devices'], UniqueCheck])[];

/** The registrar's store in SQL: each uniqueness is a constraint of the database. */
export function registrarStore(db: Database): RegistrarStore {
  return {
    claimDevice: (record) =>
      db.transaction().execute(async (tx) => {
        const row = rowOf(record);
        const own = await tx
          .selectFrom('devices')
          .selectAll()
          .where('agent_id', '=', record.agentId)
          .executeTakeFirst();
        if (own?.status === 'revoked') return 'revoked';
        const taken = await clash(tx, row, record.agentId);
        if (taken !== undefined) return taken;
        if (own === undefined) {
          await tx.insertInto('devices').values(row).execute();
          return undefined;
        }
        // The same device may enrol again; another one may not take its identifier.
        for (const [column, check] of unique) if (own[column] !== row[column]) return check;
        if (own.maker !== row.maker || own.serial !== row.serial) return 'unique-serial';
        await tx.updateTable('devices').set(row).where('agent_id', '=', record.agentId).execute();
        return undefined;
      }),

    device: async (agentId) => {
      const row = await db
        .selectFrom('devices')
        .select('record')
        .where('agent_id', '=', agentId)
        .executeTakeFirst();
      return row && recordOf(row.record);
    },

    updateDevice: (record) =>
      db.transaction().execute(async (tx) => {
        const changed = await tx
          .updateTable('devices')
          .set({ record: JSON.stringify(record), status: record.status })
          .where('agent_id', '=', record.agentId)
          .where('status', '=', 'active')
          .executeTakeFirst();
        return changed.numUpdatedRows > 0n;
      }),

    revokeDevice: (agentId) =>
      db.transaction().execute(async (tx) => {
        const row = await tx
          .selectFrom('devices')
          .select('record')
          .where('agent_id', '=', agentId)
          .executeTakeFirst();
        if (row === undefined) return false;
        const record: DeviceRecord = { ...recordOf(row.record), status: 'revoked' };
        await tx
          .updateTable('devices')
          .set({ status: 'revoked', record: JSON.stringify(record) })
          .where('agent_id', '=', agentId)
          .execute();
        return true;
      }),

    removeDevice: async (agentId) => {
      const gone = await db.deleteFrom('devices').where('agent_id', '=', agentId).executeTakeFirst();
      return gone.numDeletedRows > 0n;
    },

    devices: async () => {
      const rows = await db.selectFrom('devices').select('record').orderBy('agent_id').execute();
      return rows.map(({ record }) => recordOf(record));
    },

    putChallenge: async ({ id, expiresAt, state }) => {
      await db.insertInto('challenges').values({ id, expires_at: expiresAt, state }).execute();
    },

    takeChallenge: async (id) => {
      const row = await db.deleteFrom('challenges').where('id', '=', id).returningAll().executeTakeFirst();
      return row && { id: row.id, expiresAt: row.expires_at, state: row.state };
    },

    sweepChallenges: (at) =>
      db.transaction().execute(async (tx) => {
        await tx.deleteFrom('challenges').where('expires_at', '<', at).execute();
        const left = await tx
          .selectFrom('challenges')
          .select((e) => e.fn.countAll<number>().as('n'))
          .executeTakeFirstOrThrow();
        return Number(left.n);
      }),
  };
}

/** The first uniqueness that another device has already. */
async function clash(
  tx: Kysely<Tables>,
  row: Tables['devices'],
  agentId: string,
): Promise<UniqueCheck | undefined> {
  for (const [column, check] of unique) {
    const other = await tx
      .selectFrom('devices')
      .select('agent_id')
      .where(column, '=', row[column])
      .where('agent_id', '<>', agentId)
      .executeTakeFirst();
    if (other !== undefined) return check;
  }
  const other = await tx
    .selectFrom('devices')
    .select('agent_id')
    .where('maker', '=', row.maker)
    .where('serial', '=', row.serial)
    .where('agent_id', '<>', agentId)
    .executeTakeFirst();
  return other && 'unique-serial';
}

function rowOf(record: DeviceRecord): Tables['devices'] {
  const { agentId, slug, maker, serial, ek, idevid, iak, hwSerialNum, status } = record;
  return {
    agent_id: agentId,
    slug,
    maker,
    serial,
    ek,
    idevid,
    iak,
    hw_serial: hwSerialNum,
    status,
    record: JSON.stringify(record),
  };
}

function recordOf(source: string): DeviceRecord {
  return parseJson(source, { maxBytes: 4 << 20 }) as unknown as DeviceRecord;
}
