import { beforeEach, describe, expect, it } from 'vitest';
import { simulatedPlatform } from '../../simulator/index.ts';
import { base64url } from '../../src/core/bytes.ts';
import { Unreachable } from '../../src/core/errors.ts';
import { signJws } from '../../src/core/jws.ts';
import type { HttpRequest, Network } from '../../src/core/platform.ts';
import { generateKey } from '../../src/core/signer.ts';
import { agentIdOf } from '../../src/identity/agent-id.ts';
import type { TrustBundle } from '../../src/identity/bundle.ts';
import { issueLobbyCertificate, issueWic } from '../../src/identity/issue.ts';
import type { Enrolled } from '../../src/provisioning/pledge.ts';
import type { SignedRequest } from '../../src/registry/messages.ts';
import { REGISTRY_PATHS, signRequest, witHash } from '../../src/registry/messages.ts';
import { register, withdraw } from '../../src/registry/registrant.ts';
import type { Registry, RegistryOptions } from '../../src/registry/registry.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { seek } from '../../src/registry/seeker.ts';
import { memoryRegistryStore } from '../provisioning/memory-stores.ts';
import { AUTHORITY, DOMAIN, World } from '../provisioning/world.ts';

let world: World;
let dog: Enrolled;
let cart: Enrolled;
let registry: Registry;
let store: ReturnType<typeof memoryRegistryStore>;
const revoked = new Set<string>();
/** Bundles of trust domains that may ask. */
let bundles: TrustBundle[];
let searches = 0;
const address = { authority: AUTHORITY };

beforeEach(async () => {
  world = await World.create('registry');
  revoked.clear();
  dog = await enrolled('DOG-0001', ['lidar', 'walk']);
  cart = await enrolled('CART-0001', ['lidar']);
  bundles = [world.bundle()];
  registry = registryWith({});
});

async function enrolled(serial: string, capabilities: readonly string[]): Promise<Enrolled> {
  const device = await world.device(serial);
  await world.bind(serial, serial.toLowerCase(), { capabilities });
  return await (await device.pledge()).obtain();
}

function registryWith(changes: Partial<RegistryOptions>): Registry {
  store = memoryRegistryStore();
  return createRegistry({
    platform: world.platform,
    store,
    authority: AUTHORITY,
    trustDomain: DOMAIN,
    bundles: () => bundles,
    isRevoked: async (agentId) => revoked.has(agentId),
    ...changes,
  });
}

/** An agent's own machine, with a wire to the registry. */
function machine(name: string) {
  const request = async (asked: HttpRequest) => {
    const body = Buffer.from(asked.body ?? []).toString();
    const response = await registry.handle(new Request(asked.url, { method: asked.method, body }));
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: new Uint8Array(await response.arrayBuffer()),
    };
  };
  const network: Network = { request, connect: () => Promise.reject(new Unreachable('no sockets')) };
  return simulatedPlatform({ seed: 'registry', name, clock: world.clock, network });
}

function offer(agent: Enrolled, capabilities: readonly string[], title?: string) {
  return register(machine(agent.credentials.agentId), address, {
    credentials: agent.credentials,
    signer: agent.keys.credential,
    capabilities,
    title,
  });
}

function search(agent: Enrolled, capabilities: readonly string[]) {
  const { wit } = agent.credentials;
  return seek(
    machine(`seeker ${searches++}`),
    address,
    { wit, signer: agent.keys.credential },
    {
      capabilities,
    },
  );
}

/** A request of `agent` signed by hand. */
function signed(agent: Enrolled, path: string, body: Record<string, unknown>): Promise<SignedRequest> {
  return signRequest(
    world.platform,
    { wit: agent.credentials.wit, signer: agent.keys.credential },
    `${AUTHORITY}${path}`,
    body,
  );
}

function registration(agent: Enrolled, changes: Record<string, unknown> = {}) {
  return signed(agent, REGISTRY_PATHS.register, {
    op: 'register',
    capabilities: ['lidar', 'walk'],
    lobbyCertificate: base64url(agent.credentials.lobbyCertificate),
    ...changes,
  });
}

describe('a registration (RG-01 to RG-03)', () => {
  it('stands until the credential it was made with ends', async () => {
    const expiresAt = await offer(dog, ['walk', 'lidar'], 'the dog');
    expect(expiresAt).toBe(dog.credentials.notAfter);
    expect(await search(cart, ['walk'])).toEqual([
      {
        agentId: 'spiffe://home.test/agent/dog-0001',
        slug: dog.credentials.slug,
        wit: dog.credentials.wit,
        lobbyCertificate: dog.credentials.lobbyCertificate,
        capabilities: ['lidar', 'walk'],
        title: 'the dog',
        expiresAt,
      },
    ]);
  });

  it.each([
    ['more', ['arm.lift', 'lidar', 'walk']],
    ['less', ['lidar']],
    ['other things', ['lidar', 'swim']],
  ])('that claims %s than the ACA signed is refused', async (_, capabilities) => {
    await expect(offer(dog, capabilities)).rejects.toMatchObject({
      code: 'registry.refused',
      check: 'capabilities',
    });
    expect(store.records.size).toBe(0);
  });

  it('needs the very key of the WIT', async () => {
    const thief = { ...dog, keys: { ...dog.keys, credential: cart.keys.credential } };
    await expect(offer(thief, ['lidar', 'walk'])).rejects.toMatchObject({ check: 'proof' });
  });

  it('is refused with a WIT of somebody else glued on', async () => {
    const { request } = await registration(dog);
    await expect(registry.register({ wit: cart.credentials.wit, request })).rejects.toMatchObject({
      check: 'proof',
    });
    // Also where the key is the same and only the WIT is another.
    const other = await signJws(dog.keys.credential, 'fealty-registry+jwt', {
      op: 'register',
      capabilities: ['lidar', 'walk'],
      lobbyCertificate: base64url(dog.credentials.lobbyCertificate),
      aud: `${AUTHORITY}${REGISTRY_PATHS.register}`,
      iat: Math.floor(world.clock.now() / 1000),
      exp: Math.floor(world.clock.now() / 1000) + 30,
      jti: 'A'.repeat(22),
      wth: witHash(cart.credentials.wit),
    });
    await expect(registry.register({ wit: dog.credentials.wit, request: other })).rejects.toMatchObject({
      check: 'proof',
    });
  });

  it('is accepted once', async () => {
    const request = await registration(dog);
    await registry.register(request);
    await expect(registry.register(request)).rejects.toMatchObject({ check: 'replay', remedy: 'retry' });
  });

  it('is refused when it was made for another registry or another question', async () => {
    const request = await signRequest(
      world.platform,
      { wit: dog.credentials.wit, signer: dog.keys.credential },
      'https://elsewhere.test/registry/v1/register',
      { op: 'register', capabilities: [], lobbyCertificate: 'AAAA' },
    );
    await expect(registry.register(request)).rejects.toMatchObject({ check: 'audience' });
    await expect(registry.seek(await registration(dog))).rejects.toMatchObject({ check: 'form' });
  });

  it('is refused a minute later', async () => {
    const request = await registration(dog);
    await world.clock.advance(61_000);
    await expect(registry.register(request)).rejects.toMatchObject({ check: 'expired' });
  });

  it('is refused with a lobby certificate of another agent, or one that is none', async () => {
    const theirs = await registration(dog, {
      lobbyCertificate: base64url(cart.credentials.lobbyCertificate),
    });
    await expect(registry.register(theirs)).rejects.toMatchObject({ check: 'lobby-certificate' });
    const now = world.clock.now();
    const issuing = {
      issuer: world.ca,
      random: world.platform.random,
      notBefore: now - 1000,
      notAfter: now + 60_000,
      agentId: dog.credentials.agentId,
      publicKey: generateKey(world.platform.random).publicJwk,
    };
    const signing = await registration(dog, { lobbyCertificate: base64url(await issueWic(issuing)) });
    await expect(registry.register(signing)).rejects.toMatchObject({ check: 'lobby-certificate' });
    const other = await World.create('other authority');
    const foreign = await registration(dog, {
      lobbyCertificate: base64url(await issueLobbyCertificate({ ...issuing, issuer: other.ca })),
    });
    await expect(registry.register(foreign)).rejects.toMatchObject({ check: 'lobby-certificate' });
  });

  it('of a revoked agent is refused, and what was there is gone (RG-04)', async () => {
    await offer(dog, ['lidar', 'walk']);
    revoked.add(dog.credentials.agentId);
    await expect(offer(dog, ['lidar', 'walk'])).rejects.toMatchObject({ check: 'revoked' });
    expect(await search(cart, ['walk'])).toEqual([]);
    expect(store.records.size).toBe(0);
  });

  it('that meets a revocation half way does not stay', async () => {
    let asked = 0;
    registry = registryWith({ isRevoked: async () => ++asked > 1 });
    await expect(offer(dog, ['lidar', 'walk'])).rejects.toMatchObject({ check: 'revoked' });
    expect(store.records.size).toBe(0);
  });

  it('can be taken back, by the agent itself', async () => {
    await offer(dog, ['lidar', 'walk']);
    await withdraw(machine('dog'), address, { wit: dog.credentials.wit, signer: dog.keys.credential });
    expect(await search(cart, ['walk'])).toEqual([]);
  });

  it('that is no JWS, or one of another kind, is refused', async () => {
    const { wit } = dog.credentials;
    await expect(registry.register({ wit, request: 'a.b.c' })).rejects.toMatchObject({ check: 'form' });
    const other = await signJws(dog.keys.credential, 'wpt+jwt', { aud: AUTHORITY });
    await expect(registry.register({ wit, request: other })).rejects.toMatchObject({ check: 'form' });
  });

  it('with members nobody knows is refused', async () => {
    await expect(registry.register(await registration(dog, { admin: true }))).rejects.toMatchObject({
      check: 'form',
    });
    await expect(registry.register({ ...(await registration(dog)), more: 1 })).rejects.toMatchObject({
      check: 'form',
    });
  });
});

describe('a search (DS-01, DS-02)', () => {
  beforeEach(async () => {
    await offer(dog, ['lidar', 'walk'], 'the dog');
    await offer(cart, ['lidar']);
  });

  it('finds only those that offer everything asked for', async () => {
    expect((await search(cart, ['lidar'])).map(({ slug }) => slug).sort()).toEqual(
      [dog.credentials.slug, cart.credentials.slug].sort(),
    );
    expect((await search(cart, ['lidar', 'walk'])).map(({ slug }) => slug)).toEqual([dog.credentials.slug]);
    expect(await search(cart, ['arm.lift'])).toEqual([]);
  });

  it('needs a credential that is valid now', async () => {
    await world.clock.advance(61 * 60_000);
    await expect(search(cart, ['lidar'])).rejects.toMatchObject({ check: 'wit', remedy: 'renew' });
  });

  it('does not show records whose credentials ended', async () => {
    await world.clock.advance(50 * 60_000);
    const late = await enrolled('LATE-0001', []);
    await world.clock.advance(11 * 60_000);
    expect(await search(late, ['lidar'])).toEqual([]);
    expect(store.records.size).toBe(0);
  });

  it('by an agent of another trust domain finds nothing, unless a rule says what', async () => {
    const stranger = await otherDomain();
    expect(await search(stranger, ['lidar'])).toEqual([]);
    registry = registryWith({ visible: () => 'asked' });
    await offer(dog, ['lidar', 'walk'], 'the dog');
    const [found, ...more] = await search(stranger, ['lidar']);
    expect(more).toEqual([]);
    expect(found).toMatchObject({ agentId: dog.credentials.agentId, capabilities: ['lidar'] });
    expect(found).not.toHaveProperty('title');
    expect(found).not.toHaveProperty('wit'); // it lists every capability
  });

  it('by an agent of a trust domain nobody federated with is refused', async () => {
    const stranger = await otherDomain();
    bundles = [world.bundle()];
    await expect(search(stranger, ['lidar'])).rejects.toMatchObject({ check: 'wit' });
  });

  it('by somebody from another trust domain may not end in a registration', async () => {
    const stranger = await otherDomain();
    await expect(registry.register(await registration(stranger, { capabilities: [] }))).rejects.toMatchObject(
      { check: 'trust-domain' },
    );
  });

  it('gives at most what was asked for', async () => {
    const { wit } = cart.credentials;
    const agent = { wit, signer: cart.keys.credential };
    const found = await seek(machine('cart'), address, agent, { capabilities: ['lidar'], limit: 1 });
    expect(found).toHaveLength(1);
  });
});

/** An agent of another trust domain with which this registry federates: only its WIT counts here. */
async function otherDomain(): Promise<Enrolled> {
  const key = generateKey(world.platform.random);
  const credential = generateKey(world.platform.random);
  bundles = [
    world.bundle(),
    {
      trustDomain: 'elsewhere.test',
      sequence: 1,
      keys: [{ use: 'wit-svid', kid: key.kid, jwk: key.publicJwk }],
    },
  ];
  const now = Math.floor(world.clock.now() / 1000);
  const agentId = agentIdOf('elsewhere.test', 'stranger');
  const wit = await signJws(key, 'wit+jwt', {
    sub: agentId,
    iat: now,
    exp: now + 600,
    cnf: { jwk: { ...credential.publicJwk, alg: 'ES256' } },
  });
  return {
    ...cart,
    credentials: { ...cart.credentials, agentId, wit },
    keys: { ...cart.keys, credential },
  };
}

describe('the registry over HTTP', () => {
  it('answers only what it knows', async () => {
    const ask = (path: string, init: RequestInit) =>
      registry.handle(new Request(`${AUTHORITY}${path}`, init));
    expect((await ask(REGISTRY_PATHS.seek, { method: 'GET' })).status).toBe(405);
    expect((await ask('/registry/v1/other', { method: 'POST', body: '{}' })).status).toBe(404);
    expect((await ask(REGISTRY_PATHS.seek, { method: 'POST', body: '{"a":1,"a":2}' })).status).toBe(400);
    const huge = await ask(REGISTRY_PATHS.seek, { method: 'POST', body: `"${'x'.repeat(100_000)}"` });
    expect(huge.status).toBe(400);
    const refused = await ask(REGISTRY_PATHS.seek, { method: 'POST', body: '{}' });
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ check: 'form' });
  });
});
