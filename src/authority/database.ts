import type { Dialect } from 'kysely';
import { Kysely, sql } from 'kysely';

export type { Dialect, Kysely, Transaction } from 'kysely';
export { SqliteDialect } from 'kysely';

/** The authority's tables. Lists and objects are JSON text; times are milliseconds unless they are called `exp` or `until`. */
export interface Tables {
  /** Numbers that only rise: tokens issued, tags raised. */
  counters: { name: string; value: number };
  owner_grants: {
    id: string;
    client: string;
    details: string;
    created_at: number;
    revoked: number;
    position: number;
  };
  tokens: {
    id: number;
    jti: string;
    kind: 'access' | 'group';
    client: string;
    subject: string;
    task: string | null;
    jkt: string;
    exp: number;
    families: string;
    status: number;
  };
  token_tags: { tag: string; token: number };
  /** Revocation tags; `sequence` is the place of the last raise in the book. */
  tags: { tag: string; generation: number; closed: number; sequence: number; until: number };
  tasks: { task: string; coordinator: string };
  /** Proofs, assertions and owner's requests that were shown. */
  proofs: { key: string; until: number };
  devices: {
    agent_id: string;
    slug: string;
    maker: string;
    serial: string;
    ek: string;
    idevid: string;
    iak: string;
    hw_serial: string;
    status: 'active' | 'revoked';
    record: string;
  };
  challenges: { id: string; expires_at: number; state: string };
  registry: { agent_id: string; expires_at: number; record: string };
  capabilities: { capability: string; agent_id: string };
}

/** The authority's database. */
export type Database = Kysely<Tables>;

/** Each migration runs once, in order, in one transaction; it is never edited after a release. */
const migrations: readonly (readonly string[])[] = [
  [
    'create table counters (name text primary key, value integer not null)',
    `create table owner_grants (id text primary key, client text not null, details text not null,
       created_at integer not null, revoked integer not null, position integer not null unique)`,
    'create index owner_grants_client on owner_grants (client)',
    `create table tokens (id integer primary key, jti text not null unique, kind text not null, client text not null,
       subject text not null, task text, jkt text not null, exp integer not null, families text not null,
       status integer not null)`,
    'create index tokens_exp on tokens (exp)',
    'create table token_tags (tag text not null, token integer not null, primary key (tag, token))',
    'create index token_tags_token on token_tags (token)',
    `create table tags (tag text primary key, generation integer not null, closed integer not null,
       sequence integer not null unique, until integer not null)`,
    'create table tasks (task text primary key, coordinator text not null)',
    'create table proofs (key text primary key, until integer not null)',
    'create index proofs_until on proofs (until)',
    `create table devices (agent_id text primary key, slug text not null unique, maker text not null,
       serial text not null, ek text not null unique, idevid text not null unique, iak text not null unique,
       hw_serial text not null unique, status text not null, record text not null, unique (maker, serial))`,
    'create table challenges (id text primary key, expires_at integer not null, state text not null)',
    'create table registry (agent_id text primary key, expires_at integer not null, record text not null)',
    `create table capabilities (capability text not null, agent_id text not null,
       primary key (capability, agent_id))`,
    'create index capabilities_agent on capabilities (agent_id)',
  ],
];

/** Opens the database of `dialect` and brings its tables up to date. */
export async function openDatabase(dialect: Dialect): Promise<Database> {
  const db = new Kysely<Tables>({ dialect });
  try {
    await migrate(db);
    return db;
  } catch (error) {
    await db.destroy();
    throw error;
  }
}

async function migrate(db: Database): Promise<void> {
  await sql`create table if not exists migrations (number integer primary key)`.execute(db);
  const done = await sql<{ number: number }>`select number from migrations`.execute(db);
  const applied = new Set(done.rows.map(({ number }) => Number(number)));
  if ([...applied].some((number) => number > migrations.length))
    throw new TypeError('the database was written by a newer version');
  for (const [index, statements] of migrations.entries()) {
    if (applied.has(index + 1)) continue;
    await db.transaction().execute(async (tx) => {
      for (const statement of statements) await sql.raw(statement).execute(tx);
      await sql`insert into migrations (number) values (${index + 1})`.execute(tx);
    });
  }
}

/** The next value of a counter, from 1. Only inside a transaction. */
export async function nextOf(tx: Kysely<Tables>, name: 'tokens' | 'raises' | 'grants'): Promise<number> {
  const row = await tx
    .insertInto('counters')
    .values({ name, value: 1 })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: sql`counters.value + 1` }))
    .returning('value')
    .executeTakeFirstOrThrow();
  return row.value;
}

/** The value of a counter; 0 when it never counted. */
export async function lastOf(db: Kysely<Tables>, name: 'tokens' | 'raises' | 'grants'): Promise<number> {
  const row = await db.selectFrom('counters').select('value').where('name', '=', name).executeTakeFirst();
  return row?.value ?? 0;
}
