import type { VirtualClock } from '../../simulator/clock.ts';
import { virtualClock } from '../../simulator/clock.ts';
import type { SimulatedPlatform } from '../../simulator/platform.ts';
import { simulatedPlatform } from '../../simulator/platform.ts';
import { seededRandom } from '../../simulator/random.ts';
import { sqliteDialect } from '../../src/authority/sqlite.ts';
import type { AuthorityStore } from '../../src/authority/store.ts';
import { openStore } from '../../src/authority/store.ts';
import { Unreachable } from '../../src/core/errors.ts';
import type { HttpRequest, HttpResponse, Network } from '../../src/core/platform.ts';
import type { SoftwareKey } from '../../src/core/signer.ts';
import { generateKey } from '../../src/core/signer.ts';
import type { Grant } from '../../src/grants/grant.ts';
import type { TrustBundle } from '../../src/identity/bundle.ts';
import { issueClientAttestation } from '../../src/identity/wit.ts';
import type { ConveneGrant } from '../../src/tokens/claims.ts';
import { TokenClient } from '../../src/tokens/client.ts';
import type { ClientCredential } from '../../src/tokens/client-types.ts';
import type { Issuer, IssuerOptions } from '../../src/tokens/issuer.ts';
import { createIssuer } from '../../src/tokens/issuer.ts';
import { Generations } from '../../src/tokens/status.ts';
import { memoryLog } from './memory-log.ts';

/** Address of the authority in these tests. */
export const ISSUER = 'https://authority.fleet.example:8443';
export const DOMAIN = 'fleet.example';
export const DOG = 'spiffe://fleet.example/agent/dog';
export const VEHICLE = 'spiffe://fleet.example/agent/vehicle';
export const CONSOLE = 'spiffe://fleet.example/agent/console';

/** An owner's authority in memory, and agents that hold its credentials. */
export interface House {
  readonly clock: VirtualClock;
  readonly store: AuthorityStore;
  readonly issuer: Issuer;
  readonly audit: ReturnType<typeof memoryLog>;
  readonly keys: { readonly issuer: SoftwareKey; readonly status: SoftwareKey; readonly wit: SoftwareKey };
  readonly bundles: readonly TrustBundle[];
  /** Every request the clients sent, oldest first. */
  readonly sent: HttpRequest[];
  readonly network: Network & { down: boolean };
  readonly statements: string[];
  agent(id: string, options?: { readonly lifeMs?: number }): Promise<TestAgent>;
  grant(client: string, details: Grant | ConveneGrant): Promise<string>;
}

export interface TestAgent {
  readonly id: string;
  readonly platform: SimulatedPlatform;
  readonly key: SoftwareKey;
  readonly credential: ClientCredential;
  readonly client: TokenClient;
  readonly book: Generations;
}

/** @param over what differs from the usual token service. */
export async function house(over: Partial<IssuerOptions> & { readonly file?: string } = {}): Promise<House> {
  const { file = ':memory:', ...options } = over;
  const clock = virtualClock();
  const random = seededRandom(7, 'authority');
  const keys = { issuer: generateKey(random), status: generateKey(random), wit: generateKey(random) };
  const bundles: readonly TrustBundle[] = [
    {
      trustDomain: DOMAIN,
      sequence: 1,
      keys: [
        { use: 'wit-svid', kid: keys.wit.kid, jwk: keys.wit.publicJwk },
        { use: 'fealty/issuer', kid: keys.issuer.kid, jwk: keys.issuer.publicJwk },
        { use: 'fealty/status', kid: keys.status.kid, jwk: keys.status.publicJwk },
      ],
    },
  ];
  const store = await openStore(sqliteDialect(file));
  const audit = memoryLog(clock);
  const statements: string[] = [];
  const issuer = createIssuer({
    issuer: ISSUER,
    trustDomain: DOMAIN,
    clock,
    random,
    store: store.issuer,
    audit,
    keys,
    bundles: () => bundles,
    onRevoked: (statement) => statements.push(statement),
    ...options,
  });
  const sent: HttpRequest[] = [];
  const network = {
    down: false,
    request: async (asked: HttpRequest): Promise<HttpResponse> => {
      if (network.down) throw new Unreachable('no network');
      sent.push(asked);
      return await overWire(issuer, asked);
    },
    connect: () => Promise.reject(new Unreachable('no sockets here')),
  };
  return {
    clock,
    store,
    issuer,
    audit,
    keys,
    bundles,
    sent,
    network,
    statements,
    agent: async (id, { lifeMs = 3_600_000 } = {}) => {
      const platform = simulatedPlatform({ seed: 7, name: id, clock, network });
      const key = generateKey(platform.random);
      const credential: ClientCredential = {
        agentId: id,
        key,
        clientAttestation: await issueClientAttestation({
          signer: keys.wit,
          random,
          iss: ISSUER,
          sub: id,
          key: key.publicJwk,
          issuedAt: clock.now(),
          expiresAt: clock.now() + lifeMs,
        }),
      };
      return {
        id,
        platform,
        key,
        credential,
        client: new TokenClient({ platform, issuer: ISSUER, credential: () => credential }),
        book: await Generations.open({ clock, store: platform.store, trustDomain: DOMAIN }),
      };
    },
    grant: async (client, details) => {
      const id = `g${Buffer.from(random.bytes(8)).toString('hex')}`;
      await store.issuer.addGrant({ id, client, details, createdAt: clock.now(), revoked: false });
      return id;
    },
  };
}

/** Hands a request to the token service as a server would. */
export async function overWire(issuer: Issuer, asked: HttpRequest): Promise<HttpResponse> {
  const answer = await issuer.handle(
    new Request(asked.url, {
      method: asked.method,
      headers: { ...asked.headers },
      ...(asked.body === undefined ? {} : { body: Buffer.from(asked.body) }),
    }),
  );
  return {
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    body: new Uint8Array(await answer.arrayBuffer()),
  };
}

/** Moving the vehicle's arm, at most 0.5 m/s. */
export const MOVE: Grant = {
  type: 'fealty/action',
  locations: [VEHICLE],
  device: 'arm',
  actions: ['move', 'stop'],
  arguments: { move: { speed: { max: 0.5 } } },
};
