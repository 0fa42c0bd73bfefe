// Issues and revokes without end, saying each that was acknowledged, until it is killed.
import { sqliteDialect } from '../../src/authority/sqlite.ts';
import { openStore } from '../../src/authority/store.ts';

const store = await openStore(sqliteDialect(process.argv[2] ?? ''));
const client = 'spiffe://fleet.example/agent/dog';
await store.issuer.addGrant({
  id: 'g1',
  client,
  details: { type: 'fealty/action', locations: [client], device: 'arm', actions: ['move'] },
  createdAt: 0,
  revoked: false,
});
for (let i = 0; ; i++) {
  const jti = `t${i}`;
  await store.issuer.issue(
    {
      jti,
      kind: 'access',
      client,
      subject: client,
      task: undefined,
      jkt: 'k',
      exp: 4_000_000_000,
      families: ['g1'],
      tags: [`client:${client}`, 'family:g1'],
    },
    0,
  );
  process.stdout.write(`issued ${jti}\n`);
  if (i % 3 !== 0) continue;
  await store.issuer.revoke({ tags: [`token:${jti}`], close: true, now: 0, until: 4_000_000_000 });
  process.stdout.write(`revoked ${jti}\n`);
}
