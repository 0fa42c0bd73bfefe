import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/index.ts';
import { Attester } from '../../src/attestation/attester.ts';
import { pinnedAuthority } from '../../src/authority/index.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/hash.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { agentIdOf } from '../../src/identity/agent-id.ts';
import { aibomDigest } from '../../src/provisioning/aibom.ts';
import { anchorsOf, createMakerLine, makeVoucher, manufacture } from '../../src/provisioning/maker.ts';
import { signBinding, signEndorsement } from '../../src/provisioning/papers.ts';
import { Pledge } from '../../src/provisioning/pledge.ts';
import { register } from '../../src/registry/registrant.ts';
import { seek } from '../../src/registry/seeker.ts';
import { TokenClient } from '../../src/tokens/client.ts';
import { Tpm } from '../../src/tpm/index.ts';
import { DOG, MOVE } from '../tokens/house.ts';
import type { Served } from './served.ts';
import { served } from './served.ts';

const MODEL = 'dog-1';
const SERIAL = 'D-0001';
const AIBOM = utf8(
  JSON.stringify({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', name: 'dog agent', version: '1.0.0' } },
    components: [],
  }),
);
const digest = (content: string) => Buffer.from(sha256(utf8(content))).toString('hex');

/** Maker, owner and device, ready for the first contact. */
async function shelf(home: Served) {
  const directory = await mkdtemp(join(tmpdir(), 'fealty-dog-'));
  const platform = nodePlatform({ directory });
  const line = await createMakerLine(platform, 'Acme Robotics');
  const anchors = anchorsOf(line);
  const before = await home.owner.anchors();
  await home.owner.setAnchors({
    ...before,
    ekVendors: [anchors.ekVendor],
    makers: [anchors.maker],
    providers: [anchors.provider],
  });
  await home.owner.setReference({
    version: 1,
    measurements: [
      { kind: 'bundle', name: 'agent.mjs', digests: [digest('bundle')] },
      { kind: 'configuration', name: 'fealty.json', digests: [digest('configuration')] },
    ],
  });
  const chip = await SoftwareTpm.create({ random: platform.random, clock: platform.clock, seed: 'dog' });
  const tpm = await Tpm.open({ transport: chip, random: platform.random, clock: platform.clock });
  await manufacture(tpm, line, { serial: SERIAL, model: MODEL });
  const now = Math.floor(platform.clock.now() / 1000);
  await home.owner.addVoucher(
    SERIAL,
    await makeVoucher(line, {
      serial: SERIAL,
      owner: home.authority.ca.certificate,
      ownership: 1,
      at: platform.clock.now(),
    }),
  );
  await home.owner.addBinding(
    await signBinding(home.ownerKey, {
      iss: 'owner',
      iat: now,
      exp: now + 600,
      jti: 'binding-of-the-dog-1',
      maker: line.name,
      serial: SERIAL,
      agent: agentIdOf('fleet.example', 'dog'),
      owner: 'alice',
    }),
  );
  const endorsement = await signEndorsement(line.providerKey, {
    iss: line.name,
    iat: now,
    exp: now + 600,
    maker: line.name,
    model: MODEL,
    aibom: aibomDigest(AIBOM),
    capabilities: ['lidar', 'walk'],
  });
  const attester = await Attester.open({ store: platform.store, tpm });
  await attester.start('1.0.0');
  await attester.measure('bundle', 'agent.mjs', 'bundle');
  await attester.measure('configuration', 'fealty.json', 'configuration');
  const pledge = await Pledge.open({
    platform,
    tpm,
    authority: home.authority.url,
    attester,
    aibom: AIBOM,
    endorsement,
  });
  return { platform, pledge, directory };
}

describe('a robot and an authority over real sockets', () => {
  it('enrol, register, find, get a token, and part when the owner says so (PV, ID, RV-10)', async () => {
    await using home = await served();
    const { platform, pledge, directory } = await shelf(home);
    try {
      await home.owner.addGrants(DOG, [{ ...MOVE, locations: [DOG] }]);
      const { credentials, keys } = await pledge.obtain();
      expect(credentials).toMatchObject({ agentId: DOG, endpoints: { authority: home.authority.url } });
      expect(
        (await home.owner.agents()).map(({ agentId, serial, status }) => [agentId, serial, status]),
      ).toEqual([[DOG, SERIAL, 'active']]);

      const { url, fingerprint } = home.authority;
      const tls = { verifyPeer: pinnedAuthority({ url, fingerprint, platform }) };
      await register(
        platform,
        { authority: url, tls },
        { credentials, signer: keys.credential, capabilities: ['lidar', 'walk'] },
      );
      const me = { wit: credentials.wit, signer: keys.credential };
      const found = await seek(platform, { authority: url, tls }, me, { capabilities: ['lidar'] });
      expect(found.map(({ agentId }) => agentId)).toEqual([DOG]);

      const client = new TokenClient({
        platform,
        issuer: url,
        tls,
        credential: () => ({
          agentId: DOG,
          clientAttestation: credentials.clientAttestation,
          key: keys.credential,
        }),
      });
      expect((await client.token()).authorizationDetails).toHaveLength(1);

      await home.owner.revokeAgent(DOG, 'stolen');
      client.forget();
      await expect(client.token()).rejects.toMatchObject({ check: 'revoked' });
      await expect(pledge.renew()).rejects.toMatchObject({ check: 'revoked' });
      await expect(
        seek(platform, { authority: url, tls }, me, { capabilities: ['lidar'] }),
      ).rejects.toMatchObject({ check: 'revoked' });
      expect((await home.owner.agents())[0]?.status).toBe('revoked');
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
