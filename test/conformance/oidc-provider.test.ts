import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { base64url } from '../../src/core/bytes.ts';
import { signJws } from '../../src/core/jws.ts';
import type { SoftwareKey } from '../../src/core/signer.ts';
import { generateKey } from '../../src/core/signer.ts';
import type { Grant } from '../../src/grants/grant.ts';
import { narrows, readGrant } from '../../src/grants/index.ts';
import { issueClientAttestation } from '../../src/identity/wit.ts';
import type { House, TestAgent } from '../tokens/house.ts';
import { DOG, house, ISSUER, MOVE, overWire, VEHICLE } from '../tokens/house.ts';

/** What is varied in one request; everything else is as an honest client would have it. */
interface Variation {
  readonly form?: Readonly<Record<string, string>>;
  readonly attestation?: (made: {
    home: House;
    dog: TestAgent;
    random: ReturnType<typeof seededRandom>;
  }) => Promise<string>;
  readonly dpopKey?: SoftwareKey;
  readonly dpop?: Readonly<Record<string, unknown>>;
  readonly typ?: string;
  readonly without?: 'attestation' | 'dpop' | 'nonce';
  readonly twice?: boolean;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
}
type Send = (headers: Readonly<Record<string, string>>, body: string) => Promise<Answer>;

const random = seededRandom(11, 'oracle');
const stranger = generateKey(random);

let home: House;
let dog: TestAgent;
let ours: Send;
let oracle: Send;
let close: () => Promise<void>;

beforeAll(async () => {
  home = await house({ nonceRequired: true });
  // The oracle has no other clock than the machine's.
  home.clock.setWall(Date.now());
  await home.grant(DOG, MOVE);
  dog = await home.agent(DOG);
  ours = async (headers, body) => {
    const answer = await overWire(home.issuer, {
      method: 'POST',
      url: `${ISSUER}/token`,
      headers,
      body: Buffer.from(body),
    });
    return { ...answer, body: JSON.parse(Buffer.from(answer.body).toString() || '{}') };
  };
  const started = await startOracle(home);
  oracle = started.send;
  close = started.close;
});
afterAll(() => close());

/** oidc-provider, told the same policy: one client, attestation with DPoP in one, our `authorization_details` type. */
async function startOracle(of: House): Promise<{ send: Send; close: () => Promise<void> }> {
  // It warns about this Node version and its experimental parts; both are known (docs/dependencies.md).
  vi.spyOn(console, 'warn').mockImplementation(() => {});
  vi.spyOn(console, 'info').mockImplementation(() => {});
  const { default: Provider } = await import('oidc-provider');
  const signing = generateKey(random);
  const provider = new Provider(ISSUER, {
    jwks: {
      keys: [
        {
          ...(signing.privateKey.export({ format: 'jwk' }) as object),
          kid: signing.kid,
          alg: 'ES256',
          use: 'sig',
        },
      ],
    },
    clients: [
      {
        client_id: DOG,
        token_endpoint_auth_method: 'attest_jwt_client_auth_dpop',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        dpop_bound_access_tokens: true,
        id_token_signed_response_alg: 'ES256',
        authorization_details_types: ['fealty/action'],
      },
    ],
    clientAuthMethods: ['attest_jwt_client_auth_dpop'],
    ttl: { ClientCredentials: 300 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true, nonceSecret: Buffer.from(random.bytes(32)) },
      attestClientAuth: {
        enabled: true,
        ack: 'draft-12',
        challengeSecret: Buffer.from(random.bytes(32)),
        getAttestationSignaturePublicKey: async (_ctx: unknown, header: { kid?: string }) => {
          if (header.kid !== of.keys.wit.kid) throw new Error('unknown attester');
          const { createPublicKey } = await import('node:crypto');
          return createPublicKey({ key: { ...of.keys.wit.publicJwk }, format: 'jwk' });
        },
        assertAttestationJwtAndPop: async () => {},
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => VEHICLE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: '',
          audience: VEHICLE,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
      richAuthorizationRequests: {
        enabled: true,
        types: {
          'fealty/action': {
            validate: async (_ctx: unknown, detail: unknown) => {
              const { errors } = await import('oidc-provider');
              try {
                narrows(MOVE, readGrant(detail));
              } catch (error) {
                throw new errors.InvalidAuthorizationDetails(String(error));
              }
            },
          },
        },
        authorizationDetailsForAccessToken: (ctx: { oidc: { params: { authorization_details?: string } } }) =>
          JSON.parse(ctx.oidc.params.authorization_details ?? 'null') ?? undefined,
        authorizationDetailsForGrantSource: () => undefined,
        authorizationDetailsForIntrospection: () => undefined,
      },
    },
  } as never);
  provider.proxy = true;
  const server = createServer(provider.callback());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    send: async (headers, body) => {
      const answer = await fetch(`http://127.0.0.1:${port}/token`, {
        method: 'POST',
        headers: { ...headers, 'x-forwarded-proto': 'https', 'x-forwarded-host': new URL(ISSUER).host },
        body,
      });
      return {
        status: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: (await answer.json()) as Record<string, unknown>,
      };
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Sends one variation to a service, with a nonce of that service. */
async function run(send: Send, variation: Variation): Promise<Answer> {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: DOG,
    authorization_details: JSON.stringify([MOVE]),
    ...variation.form,
  }).toString();
  const attestation =
    (await variation.attestation?.({ home, dog, random })) ?? dog.credential.clientAttestation;
  const request = async (nonce: string | undefined) => {
    const key = variation.dpopKey ?? dog.key;
    const proof = await signJws(
      key,
      variation.typ ?? 'dpop+jwt',
      {
        jti: base64url(random.bytes(16)),
        htm: 'POST',
        htu: `${ISSUER}/token`,
        iat: Math.floor(Date.now() / 1000),
        ...(nonce === undefined || variation.without === 'nonce' ? {} : { nonce }),
        ...variation.dpop,
      },
      { jwk: { ...key.publicJwk } },
    );
    return {
      'content-type': 'application/x-www-form-urlencoded',
      ...(variation.without === 'attestation' ? {} : { 'oauth-client-attestation': attestation }),
      ...(variation.without === 'dpop' ? {} : { dpop: proof }),
    };
  };
  const honest = await send(
    {
      'content-type': 'application/x-www-form-urlencoded',
      'oauth-client-attestation': dog.credential.clientAttestation,
      dpop: await signJws(
        dog.key,
        'dpop+jwt',
        {
          jti: base64url(random.bytes(16)),
          htm: 'POST',
          htu: `${ISSUER}/token`,
          iat: Math.floor(Date.now() / 1000),
        },
        { jwk: { ...dog.key.publicJwk } },
      ),
    },
    new URLSearchParams({ grant_type: 'client_credentials', client_id: DOG }).toString(),
  );
  expect(honest.body['error']).toBe('use_dpop_nonce');
  const headers = await request(honest.headers['dpop-nonce']);
  const answer = await send(headers, form);
  return variation.twice ? await send(headers, form) : answer;
}

const details = (grant: unknown): Readonly<Record<string, string>> => ({
  authorization_details: JSON.stringify([grant]),
});
const attested = (over: object) => async (made: { home: House; dog: TestAgent }) =>
  issueClientAttestation({
    signer: made.home.keys.wit,
    random,
    iss: ISSUER,
    sub: DOG,
    key: made.dog.key.publicJwk,
    issuedAt: Date.now(),
    expiresAt: Date.now() + 60_000,
    ...over,
  });

const same: readonly (readonly [string, 'accepted' | 'refused', Variation])[] = [
  ['an honest request', 'accepted', {}],
  ['a narrower detail', 'accepted', { form: details({ ...MOVE, actions: ['move'] }) }],
  ['a resource that is the place', 'accepted', { form: { resource: VEHICLE } }],
  ['no attestation', 'refused', { without: 'attestation' }],
  ['no proof', 'refused', { without: 'dpop' }],
  ['no nonce', 'refused', { without: 'nonce' }],
  ['a made-up nonce', 'refused', { dpop: { nonce: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' } }],
  ['a proof twice', 'refused', { twice: true }],
  ['a proof by another key', 'refused', { dpopKey: stranger }],
  ['a proof for another method', 'refused', { dpop: { htm: 'GET' } }],
  ['a proof for another path', 'refused', { dpop: { htu: `${ISSUER}/other` } }],
  ['a proof for another host', 'refused', { dpop: { htu: 'https://evil.example/token' } }],
  ['a proof without `jti`', 'refused', { dpop: { jti: undefined } }],
  ['a proof without `iat`', 'refused', { dpop: { iat: undefined } }],
  ['a proof of another type', 'refused', { typ: 'jwt' }],
  ['an attestation by a stranger', 'refused', { attestation: attested({ signer: stranger }) }],
  ['an attestation for another client', 'refused', { attestation: attested({ sub: VEHICLE }) }],
  ['an attestation of another key', 'refused', { attestation: attested({ key: stranger.publicJwk }) }],
  [
    'an attestation that is over',
    'refused',
    { attestation: attested({ issuedAt: Date.now() - 9e5, expiresAt: Date.now() - 6e5 }) },
  ],
  ['a client nobody knows', 'refused', { form: { client_id: VEHICLE } }],
  ['a grant type nobody knows', 'refused', { form: { grant_type: 'password' } }],
  ['details of a type nobody knows', 'refused', { form: details({ ...MOVE, type: 'payment' }) }],
  ['details that are no list', 'refused', { form: { authorization_details: JSON.stringify(MOVE) } }],
  ['details that are no JSON', 'refused', { form: { authorization_details: '[{' } }],
  ['details without a type', 'refused', { form: details({ ...MOVE, type: undefined }) }],
  ['a wider detail', 'refused', { form: details({ ...MOVE, actions: ['move', 'throw'] }) }],
  ['a faster detail', 'refused', { form: details({ ...MOVE, arguments: { move: { speed: { max: 9 } } } }) }],
];

/** Where we refuse what the oracle lets pass, on purpose. */
const stricter: readonly (readonly [string, Variation])[] = [
  // RFC 6749 §3.3 lets a server ignore scopes; we have none, and ignoring would hide a mistake.
  ['a scope', { form: { scope: 'everything' } }],
];

const outcomeOf = ({ status, body }: Answer) =>
  status === 200 && typeof body['access_token'] === 'string' ? 'accepted' : 'refused';

describe('our token service beside oidc-provider (attest_jwt_client_auth_dpop, DPoP, RAR)', () => {
  it.each(same)('both: %s is %s', async (_name, outcome, variation) => {
    const [a, b] = [await run(ours, variation), await run(oracle, variation)];
    expect({ ours: outcomeOf(a), oracle: outcomeOf(b), why: [a.body, b.body] }).toMatchObject({
      ours: outcome,
      oracle: outcome,
    });
  });

  it.each(stricter)('ours alone refuses %s', async (_name, variation) => {
    expect(outcomeOf(await run(ours, variation))).toBe('refused');
    expect(outcomeOf(await run(oracle, variation))).toBe('accepted');
  });

  it('both issue a token with the same claims of RFC 9068, 9396 and 9449', async () => {
    const common = (answer: Answer) => {
      const [head = '', body = ''] = String(answer.body['access_token']).split('.');
      const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>;
      const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
      return {
        header: { typ: header['typ'], alg: header['alg'], kid: typeof header['kid'] },
        iss: claims['iss'],
        sub: claims['sub'],
        client_id: claims['client_id'],
        aud: [claims['aud']].flat(),
        cnf: claims['cnf'],
        authorization_details: claims['authorization_details'],
        life: Number(claims['exp']) - Number(claims['iat']),
        jti: typeof claims['jti'],
        token_type: answer.body['token_type'],
        expires_in: answer.body['expires_in'],
      };
    };
    const narrow: Grant = { ...MOVE, actions: ['move'] };
    const mine = common(await run(ours, { form: details(narrow) }));
    expect(mine).toEqual(common(await run(oracle, { form: details(narrow) })));
    expect(mine).toMatchObject({ cnf: { jkt: dog.key.kid }, authorization_details: [narrow] });
  });
});
