import type { AttestationResult } from '../attestation/results.ts';
import { isAtLeast, verifyEar } from '../attestation/results.ts';
import { base64url, fromBase64url, utf8 } from '../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import { FealtyError, messageOf } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk } from '../core/signer.ts';
import { thumbprint } from '../core/signer.ts';
import { trustDomainOf } from '../identity/agent-id.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import { keysFor } from '../identity/bundle.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { CertificatePurpose, ValidChain } from '../identity/validate.ts';
import { validateChain } from '../identity/validate.ts';
import type { Wit } from '../identity/wit.ts';
import { verifyWit } from '../identity/wit.ts';
import type { GroupBounds } from '../tokens/claims.ts';
import type { HandshakeCheck } from './errors.ts';
import { HandshakeRefused } from './errors.ts';
import { bytesUpTo, compactJws } from './messages.ts';

/** The papers of an agent, verified: who it is, with which keys, in what state. Possession is proven elsewhere. */
export interface Papers {
  /** What travelled; CRED_I or CRED_R of the handshake. */
  readonly bytes: Uint8Array;
  readonly agentId: string;
  readonly trustDomain: string;
  /** The key in the LDevID certificate. */
  readonly ldevid: PublicJwk;
  /** Its RFC 7638 thumbprint. */
  readonly ldevidThumbprint: string;
  readonly wit: Wit;
  /** SHA-256 of the WIT. */
  readonly wth: Uint8Array;
  readonly ear: AttestationResult;
  /** SHA-256 of the attestation result. */
  readonly earHash: Uint8Array;
  /** When the first of WIT and attestation result ends, milliseconds since 1970. */
  readonly currentUntil: number;
}

/** What a verifier of papers knows by itself. */
export interface PapersExpectations {
  readonly bundles: readonly TrustBundle[];
  /** Milliseconds since 1970. */
  readonly at: number;
  /** What the group grant asks of a member; absent for the coordinator, whom the issuer chose. */
  readonly bounds?: Pick<GroupBounds, 'trustDomains' | 'posture'> | undefined;
}

const schema = v.strictTuple([
  v.pipe(v.array(bytesUpTo(16_384)), v.minLength(1), v.maxLength(3)),
  compactJws,
  compactJws,
]);

/** The papers of an agent as they travel: CBOR [LDevID chain (DER, leaf first), WIT, EAR]. */
export function writePapers(credentials: Pick<Credentials, 'ldevidChain' | 'wit' | 'ear'>): Uint8Array {
  return encodeCbor([credentials.ldevidChain.map((der) => der.slice()), credentials.wit, credentials.ear]);
}

/**
 * Verifies papers: LDevID chain, WIT and attestation result, each against the bundle of its own trust domain, all three
 * of one identifier, the result about this very LDevID key; and trust domain and posture against the group grant.
 *
 * @throws {HandshakeRefused} naming the check.
 */
export function verifyPapers(bytes: Uint8Array, expected: PapersExpectations): Papers {
  const { bundles, at, bounds } = expected;
  const [chain, compactWit, compactEar] = named('form', () => check(schema, decodeCbor(bytes), 'papers'));
  const wit = named('wit', () => verifyWit(compactWit, bundles, at));
  const { agentId, leaf } = named('ldevid-chain', () =>
    validChain(chain, wit.trustDomain, bundles, at, 'ldevid'),
  );
  if (agentId !== wit.sub) throw new HandshakeRefused('identity', 'certificate and token name two agents');
  if (leaf.publicKey.kind !== 'p256')
    throw new HandshakeRefused('ldevid-chain', 'the LDevID key is not on P-256');
  const ldevid = leaf.publicKey.jwk;
  const ldevidThumbprint = thumbprint(ldevid);
  const ear = named('ear', () =>
    verifyEar(compactEar, { bundles, trustDomain: wit.trustDomain, agentId, ldevid: ldevidThumbprint, at }),
  );
  if (bounds !== undefined) {
    if (!bounds.trustDomains.includes(wit.trustDomain))
      throw new HandshakeRefused('trust-domain', `the group takes nobody from \`${wit.trustDomain}\``);
    if (!isAtLeast(ear.status, bounds.posture))
      throw new HandshakeRefused('posture', `the attestation result is \`${ear.status}\``);
  }
  return {
    bytes,
    agentId,
    trustDomain: wit.trustDomain,
    ldevid,
    ldevidThumbprint,
    wit,
    wth: sha256(utf8(compactWit)),
    ear,
    earHash: fromBase64url(ear.hash),
    currentUntil: Math.min(wit.expiresAt, ear.expiresAt),
  };
}

/** The key of a lobby certificate that must be `agentId`'s. @throws {HandshakeRefused} `lobby-certificate` */
export function verifyLobbyCertificate(
  certificate: Uint8Array,
  agentId: string,
  bundles: readonly TrustBundle[],
  at: number,
): PublicJwk {
  return named('lobby-certificate', () => {
    const valid = validChain([certificate], trustDomainOf(agentId), bundles, at, 'lobby');
    if (valid.agentId !== agentId || valid.leaf.publicKey.kind !== 'p256')
      throw new HandshakeRefused('lobby-certificate', 'the lobby certificate is not the candidate’s');
    return valid.leaf.publicKey.jwk;
  });
}

/** SHA-256 of papers, base64url, for logs. */
export function papersHash(papers: Papers): string {
  return base64url(sha256(papers.bytes));
}

/** Runs `look`; whatever of ours it throws becomes a refusal at `name`. */
export function named<T>(name: HandshakeCheck, look: () => T): T {
  try {
    return look();
  } catch (cause) {
    if (cause instanceof HandshakeRefused || !(cause instanceof FealtyError)) throw cause;
    throw new HandshakeRefused(name, messageOf(cause), { cause });
  }
}

function validChain(
  chain: readonly Uint8Array[],
  trustDomain: string,
  bundles: readonly TrustBundle[],
  at: number,
  purpose: CertificatePurpose,
): ValidChain {
  const [leaf = new Uint8Array(), ...intermediates] = chain;
  const anchors = keysFor(bundles, trustDomain, 'x509-svid').flatMap(({ certificate }) =>
    certificate === undefined ? [] : [certificate],
  );
  return validateChain({ leaf, intermediates, anchors, at, purpose });
}
