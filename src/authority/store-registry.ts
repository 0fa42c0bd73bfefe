import { parseJson } from '../core/json.ts';
import type { RegistryRecord, RegistryStore } from '../registry/registry-store.ts';
import type { Database } from './database.ts';

/** The registry's store in SQL. */
export function registryStore(db: Database): RegistryStore {
  return {
    put: (record) =>
      db.transaction().execute(async (tx) => {
        const row = {
          agent_id: record.agentId,
          expires_at: record.expiresAt,
          record: JSON.stringify(record),
        };
        await tx.deleteFrom('capabilities').where('agent_id', '=', record.agentId).execute();
        await tx
          .insertInto('registry')
          .values(row)
          .onConflict((conflict) => conflict.column('agent_id').doUpdateSet(row))
          .execute();
        const offered = [...new Set(record.capabilities)];
        if (offered.length > 0)
          await tx
            .insertInto('capabilities')
            .values(offered.map((capability) => ({ capability, agent_id: record.agentId })))
            .execute();
      }),

    remove: (agentId) =>
      db.transaction().execute(async (tx) => {
        await tx.deleteFrom('capabilities').where('agent_id', '=', agentId).execute();
        const gone = await tx.deleteFrom('registry').where('agent_id', '=', agentId).executeTakeFirst();
        return gone.numDeletedRows > 0n;
      }),

    find: async (capabilities, at) => {
      let query = db
        .selectFrom('registry')
        .select('record')
        .where('expires_at', '>=', at)
        .orderBy('agent_id');
      for (const capability of new Set(capabilities))
        query = query.where(
          'agent_id',
          'in',
          db.selectFrom('capabilities').select('agent_id').where('capability', '=', capability),
        );
      const rows = await query.execute();
      return rows.map(({ record }) => parseJson(record, { maxBytes: 1 << 20 }) as unknown as RegistryRecord);
    },

    sweep: (at) =>
      db.transaction().execute(async (tx) => {
        const old = tx.selectFrom('registry').select('agent_id').where('expires_at', '<', at);
        await tx.deleteFrom('capabilities').where('agent_id', 'in', old).execute();
        await tx.deleteFrom('registry').where('expires_at', '<', at).execute();
      }),

    useOnce: async (agentId, jti, expiresAt) => {
      const added = await db
        .insertInto('proofs')
        .values({ key: `registry:${agentId} ${jti}`, until: expiresAt })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .returning('key')
        .executeTakeFirst();
      return added !== undefined;
    },
  };
}
