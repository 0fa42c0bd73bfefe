import { parseJson } from '../core/json.ts';
import type {
  IssueResult,
  IssuerStore,
  NewToken,
  OwnerGrant,
  TokenRecord,
  TokenStatus,
} from '../tokens/issuer-store.ts';
import { STATUS_LIST_SIZE } from '../tokens/issuer-store.ts';
import type { RaisedTag } from '../tokens/status.ts';
import type { Database, Kysely, Tables } from './database.ts';
import { lastOf, nextOf } from './database.ts';

/** Proofs remembered at a time. */
const PROOFS_MAX = 1_000_000;

/** The token service's store in SQL. Every method is one transaction. */
export async function issuerStore(db: Database): Promise<IssuerStore> {
  const counted = await db
    .selectFrom('proofs')
    .select((e) => e.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  let proofs = Number(counted.n);

  const forgetProofs = async (now: number) => {
    const gone = await db.deleteFrom('proofs').where('until', '<', now).executeTakeFirst();
    proofs = Math.max(0, proofs - Number(gone.numDeletedRows));
  };

  return {
    consume: async (key, until, now) => {
      if (proofs >= PROOFS_MAX) await forgetProofs(now);
      if (proofs >= PROOFS_MAX) return 'full';
      const added = await db
        .insertInto('proofs')
        .values({ key, until })
        .onConflict((conflict) =>
          // The same proof after its end is refused for its time elsewhere; here only its key may count again.
          conflict.column('key').doUpdateSet({ until }).where('proofs.until', '<', now),
        )
        .returning('key')
        .executeTakeFirst();
      if (added === undefined) return 'replayed';
      proofs++;
      return 'fresh';
    },

    addGrant: (grant) =>
      db.transaction().execute(async (tx) => {
        const added = await tx
          .insertInto('owner_grants')
          .values({
            id: grant.id,
            client: grant.client,
            details: JSON.stringify(grant.details),
            created_at: grant.createdAt,
            revoked: grant.revoked ? 1 : 0,
            position: await nextOf(tx, 'grants'),
          })
          .onConflict((conflict) => conflict.column('id').doNothing())
          .returning('id')
          .executeTakeFirst();
        return added !== undefined;
      }),

    grants: async (client) => {
      let query = db.selectFrom('owner_grants').selectAll().orderBy('position');
      if (client !== undefined) query = query.where('client', '=', client);
      const rows = await query.execute();
      return rows.map(
        ({ id, client: holder, details, created_at, revoked }): OwnerGrant => ({
          id,
          client: holder,
          details: parseJson(details, { maxBytes: 1 << 20 }) as unknown as OwnerGrant['details'],
          createdAt: created_at,
          revoked: revoked !== 0,
        }),
      );
    },

    issue: (token) => db.transaction().execute((tx) => issue(tx, token)),

    token: async (jti) => {
      const row = await db.selectFrom('tokens').selectAll().where('jti', '=', jti).executeTakeFirst();
      if (row === undefined) return undefined;
      const tags = await db.selectFrom('token_tags').select('tag').where('token', '=', row.id).execute();
      const own = ownTag(row);
      return {
        jti: row.jti,
        kind: row.kind,
        client: row.client,
        subject: row.subject,
        task: row.task ?? undefined,
        jkt: row.jkt,
        exp: row.exp,
        families: parseJson(row.families) as readonly string[],
        tags: tags.map(({ tag }) => tag).filter((tag) => tag !== own),
        status: row.status as TokenStatus,
        ...placeOf(row.id),
      } satisfies TokenRecord;
    },

    revoke: ({ tags, close, until }) =>
      db.transaction().execute(async (tx) => {
        const raised: RaisedTag[] = [];
        let tokens = 0;
        for (const tag of new Set(tags)) {
          const known = await tx.selectFrom('tags').selectAll().where('tag', '=', tag).executeTakeFirst();
          const ended = await tx
            .updateTable('tokens')
            .set({ status: 1 })
            .where('status', '<>', 1)
            .where('id', 'in', tx.selectFrom('token_tags').select('token').where('tag', '=', tag))
            .executeTakeFirst();
          tokens += Number(ended.numUpdatedRows);
          if (tag.startsWith('family:'))
            await tx.updateTable('owner_grants').set({ revoked: 1 }).where('id', '=', tag.slice(7)).execute();
          // Under a closed tag nothing was issued since, so there is nothing to raise again.
          if (known?.closed === 1) continue;
          const row = {
            tag,
            generation: (known?.generation ?? 0) + 1,
            closed: close ? 1 : 0,
            sequence: await nextOf(tx, 'raises'),
            until: Math.max(until, known?.until ?? 0),
          };
          const { tag: _, ...change } = row;
          await tx
            .insertInto('tags')
            .values(row)
            .onConflict((conflict) => conflict.column('tag').doUpdateSet(change))
            .execute();
          raised.push({ tag, generation: row.generation, until: row.until });
        }
        return { sequence: await lastOf(tx, 'raises'), raised, tokens };
      }),

    reopen: async (tag) => {
      if (!/^(client|device|owner):/.test(tag)) return false;
      const opened = await db
        .updateTable('tags')
        .set({ closed: 0 })
        .where('tag', '=', tag)
        .where('closed', '=', 1)
        .executeTakeFirst();
      return opened.numUpdatedRows > 0n;
    },

    raisedSince: (since, now, limit) =>
      db.transaction().execute(async (tx) => {
        const rows = await tx
          .selectFrom('tags')
          .select(['tag', 'generation', 'until', 'sequence'])
          .where('sequence', '>', since)
          .where('until', '>=', Math.floor(now / 1000))
          .orderBy('sequence')
          .limit(limit + 1)
          .execute();
        const listed = rows.slice(0, limit);
        const more = rows.length > limit;
        const sequence = more ? (listed.at(-1)?.sequence ?? since) : await lastOf(tx, 'raises');
        return {
          sequence,
          raised: listed.map(({ tag, generation, until }) => ({ tag, generation, until })),
          more,
        };
      }),

    statusList: (list) =>
      db.transaction().execute(async (tx) => {
        const first = list * STATUS_LIST_SIZE + 1;
        const size = Math.min((await lastOf(tx, 'tokens')) - first + 1, STATUS_LIST_SIZE);
        if (size <= 0) return undefined;
        const rows = await tx
          .selectFrom('tokens')
          .select(['id', 'status'])
          .where('id', '>=', first)
          .where('id', '<', first + STATUS_LIST_SIZE)
          .where('status', '<>', 0)
          .execute();
        return {
          size,
          marked: rows.map(({ id, status }) => ({ index: id - first, status: status as TokenStatus })),
        };
      }),

    claimTask: (task, coordinator) =>
      db.transaction().execute(async (tx) => {
        await tx
          .insertInto('tasks')
          .values({ task, coordinator })
          .onConflict((conflict) => conflict.column('task').doNothing())
          .execute();
        const row = await tx
          .selectFrom('tasks')
          .select('coordinator')
          .where('task', '=', task)
          .executeTakeFirst();
        return row?.coordinator === coordinator;
      }),

    coordinatorOf: async (task) =>
      (await db.selectFrom('tasks').select('coordinator').where('task', '=', task).executeTakeFirst())
        ?.coordinator,

    sweep: async (now) => {
      await forgetProofs(now);
      await db.transaction().execute(async (tx) => {
        // A day longer than they live, for whoever asks about a token that has just ended.
        const old = tx
          .selectFrom('tokens')
          .select('id')
          .where('exp', '<', Math.floor(now / 1000) - 86_400);
        await tx.deleteFrom('token_tags').where('token', 'in', old).execute();
        await tx
          .deleteFrom('tokens')
          .where('exp', '<', Math.floor(now / 1000) - 86_400)
          .execute();
      });
    },
  };
}

async function issue(tx: Kysely<Tables>, token: NewToken): Promise<IssueResult> {
  const tags = [...new Set(token.tags)];
  const known = await tx.selectFrom('tags').selectAll().where('tag', 'in', tags).execute();
  const closed = known.find((row) => row.closed === 1);
  if (closed !== undefined) return { issued: false, closed: closed.tag };
  const standing = await tx
    .selectFrom('owner_grants')
    .select('id')
    .where('id', 'in', [...token.families])
    .where('revoked', '=', 0)
    .execute();
  const gone = token.families.find((family) => !standing.some(({ id }) => id === family));
  if (gone !== undefined) return { issued: false, closed: `family:${gone}` };
  const id = await nextOf(tx, 'tokens');
  await tx
    .insertInto('tokens')
    .values({
      id,
      jti: token.jti,
      kind: token.kind,
      client: token.client,
      subject: token.subject,
      task: token.task ?? null,
      jkt: token.jkt,
      exp: token.exp,
      families: JSON.stringify(token.families),
      status: 0,
    })
    .execute();
  await tx
    .insertInto('token_tags')
    .values([...tags, ownTag(token)].map((tag) => ({ tag, token: id })))
    .execute();
  const generation = new Map(known.map((row) => [row.tag, row.generation]));
  return {
    issued: true,
    generations: Object.fromEntries(tags.map((tag) => [tag, generation.get(tag) ?? 0])),
    ...placeOf(id),
    ...(token.kind === 'group' ? { reopened: await reopened(tx) } : {}),
  };
}

/** Clients and devices that were revoked once and are open again, latest first. */
async function reopened(tx: Kysely<Tables>): Promise<Readonly<Record<string, number>>> {
  const rows = await tx
    .selectFrom('tags')
    .select(['tag', 'generation'])
    .where('closed', '=', 0)
    .where((e) => e.or([e('tag', 'like', 'client:%'), e('tag', 'like', 'device:%')]))
    .orderBy('sequence', 'desc')
    .limit(256)
    .execute();
  return Object.fromEntries(rows.map(({ tag, generation }) => [tag, generation]));
}

function ownTag({ kind, jti }: { readonly kind: 'access' | 'group'; readonly jti: string }): string {
  return kind === 'group' ? `group:${jti}` : `token:${jti}`;
}

/** Where token number `id` (from 1) stands in the status lists. */
function placeOf(id: number): { readonly list: number; readonly index: number } {
  return { list: Math.floor((id - 1) / STATUS_LIST_SIZE), index: (id - 1) % STATUS_LIST_SIZE };
}
