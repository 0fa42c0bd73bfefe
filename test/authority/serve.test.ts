import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryStore } from '../../simulator/store.ts';
import { KEY_NAMES } from '../../src/authority/folder.ts';
import { initAuthority, ownerClient, pinnedAuthority } from '../../src/authority/index.ts';
import { generateKey } from '../../src/core/signer.ts';
import { Generations } from '../../src/tokens/status.ts';
import { askTime } from '../../src/tokens/time.ts';
import { verifyAccessToken } from '../../src/tokens/verifier.ts';
import { DOG, MOVE, VEHICLE } from '../tokens/house.ts';
import { served } from './served.ts';

describe('an authority on a socket', () => {
  it('grants, issues and revokes over TLS, and the robot notices (RV-08)', async () => {
    await using home = await served();
    const [id = ''] = await home.owner.addGrants(DOG, [MOVE]);
    const { client, key } = await home.client(DOG);
    const token = await client.token({ authorizationDetails: [MOVE] });
    const book = await Generations.open({
      clock: home.platform.clock,
      store: memoryStore(),
      trustDomain: 'fleet.example',
    });
    const bundles = [home.authority.bundle];
    const expected = {
      bundles,
      audience: VEHICLE,
      at: home.platform.clock.now(),
      presenterJkt: key.kid,
      generations: book,
      issuer: home.authority.url,
    };
    expect(verifyAccessToken(token.accessToken, expected).held[0]?.family).toBe(id);

    const { client: vehicle } = await home.client(VEHICLE);
    await vehicle.refreshGenerations(book, { trustDomain: 'fleet.example', bundles });
    expect(verifyAccessToken(token.accessToken, expected).client).toBe(DOG);

    expect(await home.owner.revokeAgent(DOG, 'stolen')).toBe(1);
    await vehicle.refreshGenerations(book, { trustDomain: 'fleet.example', bundles });
    expect(() => verifyAccessToken(token.accessToken, expected)).toThrow(/client:/);
    client.forget();
    await expect(client.token({ authorizationDetails: [MOVE] })).rejects.toMatchObject({ check: 'revoked' });
  });

  it('keeps grants, tokens, replay memory and its log over a restart', async () => {
    await using home = await served();
    await home.owner.addGrants(DOG, [MOVE]);
    const { client } = await home.client(DOG);
    const token = await client.token({ authorizationDetails: [MOVE] });
    const before = home.authority.audit.head().index;
    await home.restart();
    expect((await home.owner.grants(DOG)).map((grant) => grant.authorization_details)).toEqual([MOVE]);
    expect(home.authority.audit.head().index).toBeGreaterThanOrEqual(before);
    expect(await home.authority.store.issuer.token(token.id)).toMatchObject({ client: DOG, status: 0 });
    await client.revoke(token.accessToken);
    expect(await home.authority.store.issuer.token(token.id)).toMatchObject({ status: 1 });
    expect(await home.owner.agents()).toEqual([]);
  });

  it("keeps its keys and the owner's where only their user can read them", async () => {
    await using home = await served();
    for (const name of [...KEY_NAMES.map((key) => `keys/${key}.pem`), 'owner-key.pem']) {
      const { mode } = await stat(join(home.directory, name));
      expect([name, (mode & 0o777).toString(8)]).toEqual([name, '600']);
    }
    await expect(
      initAuthority({ directory: home.directory, trustDomain: 'fleet.example', platform: home.platform }),
    ).rejects.toMatchObject({ code: 'authority.folder' });
  });

  it('is known by the fingerprint of its ACA, and nobody else is', async () => {
    await using home = await served();
    await using other = await served();
    const { url } = home.authority;
    const stranger = ownerClient({
      platform: home.platform,
      url,
      fingerprint: other.authority.fingerprint,
      key: home.ownerKey,
    });
    await expect(stranger.grants()).rejects.toMatchObject({ code: 'authority.unknown' });
    expect(() =>
      pinnedAuthority({ url, fingerprint: home.authority.fingerprint, platform: home.platform })([]),
    ).toThrow();
  });

  it('obeys nobody but its owner', async () => {
    await using home = await served();
    const thief = ownerClient({
      platform: home.platform,
      url: home.authority.url,
      fingerprint: home.authority.fingerprint,
      key: generateKey(home.platform.random),
    });
    await expect(thief.addGrants(DOG, [MOVE])).rejects.toMatchObject({ status: 401, check: 'proof-key' });
    expect(await home.owner.grants()).toEqual([]);
  });

  it('tells the time to whoever sends a nonce', async () => {
    await using home = await served();
    const { url, bundle, fingerprint } = home.authority;
    const tls = { verifyPeer: pinnedAuthority({ url, fingerprint, platform: home.platform }) };
    const keys = bundle.keys.filter(({ use }) => use === 'fealty/status').map(({ jwk }) => jwk);
    const before = home.platform.clock.now();
    const { at } = await askTime(home.platform, { issuer: url, tls, keys });
    expect(at).toBeGreaterThanOrEqual(before);
    const stranger = [generateKey(home.platform.random).publicJwk];
    await expect(askTime(home.platform, { issuer: url, tls, keys: stranger })).rejects.toMatchObject({
      check: 'signature',
    });
  });
});
