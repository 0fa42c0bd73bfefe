import { equal } from '../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import { domainSeparated } from '../core/names.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import { jwkOfPoint, pointOfJwk, publicKeyObject, verifySignature } from '../core/signer.ts';
import { HandshakeRefused } from './errors.ts';
import { agentUri, bytesOf, bytesUpTo, domainName, roleName, VERSION, whole } from './messages.ts';
import type { Papers } from './papers.ts';
import { named } from './papers.ts';

const seconds = v.pipe(whole, v.maxValue(253_402_300_799));
const schema = v.strictObject({
  v: v.literal(VERSION),
  domain: domainName,
  /** SHA-256 of the compact group grant. */
  grant: bytesOf(32),
  /** SHA-256 of the signer's WIT. */
  wth: bytesOf(32),
  /** SHA-256 of the signer's attestation result. */
  ear: bytesOf(32),
  /** The signer and its role, the other party and its role. */
  agent: agentUri,
  role: roleName,
  peer: agentUri,
  peerRole: roleName,
  /** SHA-256 of the Sig_structure of the handshake message it stands in. */
  transcript: bytesOf(32),
  /** The per-domain session key (ES256) and agreement key (ECDH), uncompressed points. */
  session: bytesOf(65),
  agreement: bytesOf(65),
  /** NumericDates. */
  nbf: seconds,
  exp: seconds,
});

/** What an LDevID says about a session key: this key speaks for this agent, in this domain, until then. */
export type DelegationClaims = v.InferOutput<typeof schema>;

/** What goes into a delegation. */
export interface DelegationRequest extends Omit<DelegationClaims, 'v' | 'session' | 'agreement'> {
  readonly session: PublicJwk;
  readonly agreement: PublicJwk;
}

/**
 * Has the LDevID sign a delegation: one TPM signature for each handshake.
 *
 * @returns CBOR [claims, signature].
 */
export async function signDelegation(ldevid: Signer, request: DelegationRequest): Promise<Uint8Array> {
  const claims = encodeCbor({
    ...request,
    v: VERSION,
    session: pointOfJwk(request.session),
    agreement: pointOfJwk(request.agreement),
  } satisfies DelegationClaims);
  return encodeCbor([claims, await ldevid.sign(domainSeparated('domain-delegation', claims))]);
}

/** A delegation that was verified. */
export interface Delegation extends DelegationClaims {
  readonly bytes: Uint8Array;
  readonly sessionKey: PublicJwk;
  readonly agreementKey: PublicJwk;
}

/** What must stand in a delegation; members left out are not compared. */
export type DelegationExpectations = Partial<
  Pick<DelegationClaims, 'domain' | 'role' | 'peer' | 'peerRole' | 'grant' | 'transcript'>
> & {
  /** Milliseconds since 1970. */
  readonly at: number;
};

/** How far clocks of two members may differ, in milliseconds. */
export const SKEW_MS = 60_000;

/**
 * Verifies a delegation: what it says against what was agreed, then the signature by the key in the LDevID certificate.
 *
 * @throws {HandshakeRefused} `transcript`, `delegation`, `ldevid-signature`.
 */
export function verifyDelegation(
  bytes: Uint8Array,
  papers: Papers,
  expected: DelegationExpectations,
): Delegation {
  const [signed, signature] = named('delegation', () =>
    check(v.strictTuple([bytesUpTo(4096), bytesOf(64)]), decodeCbor(bytes), 'delegation'),
  );
  const claims = named('delegation', () => check(schema, decodeCbor(signed), 'delegation'));
  if (expected.transcript !== undefined && !equal(claims.transcript, expected.transcript))
    throw new HandshakeRefused('transcript', 'the delegation belongs to another handshake');
  const differs = (['domain', 'role', 'peer', 'peerRole'] as const).find(
    (name) => expected[name] !== undefined && claims[name] !== expected[name],
  );
  if (differs !== undefined)
    throw new HandshakeRefused('delegation', `\`${differs}\` of the delegation is another`);
  if (expected.grant !== undefined && !equal(claims.grant, expected.grant))
    throw new HandshakeRefused('delegation', 'the delegation is under another group grant');
  if (claims.agent !== papers.agentId)
    throw new HandshakeRefused('identity', 'the delegation is another agent’s');
  if (!equal(claims.wth, papers.wth) || !equal(claims.ear, papers.earHash))
    throw new HandshakeRefused('delegation', 'the delegation was signed for other papers');
  if (expected.at + SKEW_MS < claims.nbf * 1000 || expected.at >= claims.exp * 1000)
    throw new HandshakeRefused('delegation', 'the delegation does not hold now');
  if (!verifySignature(papers.ldevid, domainSeparated('domain-delegation', signed), signature))
    throw new HandshakeRefused('ldevid-signature', 'the key in the LDevID certificate did not sign');
  const [sessionKey, agreementKey] = named('delegation', () => [
    keyOf(claims.session),
    keyOf(claims.agreement),
  ]);
  return { ...claims, bytes, sessionKey, agreementKey };
}

function keyOf(point: Uint8Array): PublicJwk {
  const jwk = jwkOfPoint(point);
  publicKeyObject(jwk);
  return jwk;
}
