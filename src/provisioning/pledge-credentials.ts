import { verifyEar } from '../attestation/results.ts';
import { base64url, equal } from '../core/bytes.ts';
import { FealtyError, messageOf } from '../core/errors.ts';
import { slugOf } from '../core/names.ts';
import type { Random } from '../core/platform.ts';
import type { PublicJwk } from '../core/signer.ts';
import { sameKey, thumbprint } from '../core/signer.ts';
import { trustDomainOf } from '../identity/agent-id.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import { keysFor } from '../identity/bundle.ts';
import { replaceBundle } from '../identity/bundle-codec.ts';
import type { Credentials } from '../identity/credentials.ts';
import { jwkOfSpki } from '../identity/public-key.ts';
import type { CertificatePurpose } from '../identity/validate.ts';
import { validateChain } from '../identity/validate.ts';
import { verifyClientAttestation, verifyWit } from '../identity/wit.ts';
import { CredentialsRefused } from './errors.ts';
import type { SoftwareKeys } from './keys.ts';

/** What credentials must be for, on the device that asked for them. */
export interface CredentialExpectations {
  /** The certificate authority the voucher pinned. */
  readonly pinned: Uint8Array;
  readonly ldevid: PublicJwk;
  readonly keys: SoftwareKeys;
  /** The verifier's nonce of this exchange. */
  readonly nonce: Uint8Array;
  /** The identifier it had before, at renewal. */
  readonly agentId?: string | undefined;
  /** The bundles it had before: none goes back. */
  readonly bundles: readonly TrustBundle[];
  /** Now, milliseconds since 1970. */
  readonly at: number;
}

/**
 * Judges what the registrar sent: every document is of the pinned authority, names this agent and one of this device's
 * own keys; nothing is older than before.
 *
 * @throws {CredentialsRefused}
 */
export function judgeCredentials(credentials: Credentials, expected: CredentialExpectations): void {
  try {
    judge(credentials, expected);
  } catch (cause) {
    if (cause instanceof CredentialsRefused || !(cause instanceof FealtyError)) throw cause;
    throw new CredentialsRefused(`what the registrar sent is refused: ${messageOf(cause)}`, { cause });
  }
}

function judge(credentials: Credentials, expected: CredentialExpectations): void {
  const { agentId, bundles } = credentials;
  const { at, keys, ldevid, pinned } = expected;
  if (credentials.slug !== slugOf(agentId)) refuse('a slug of another identifier');
  if (expected.agentId !== undefined && agentId !== expected.agentId)
    refuse('another identifier than before');
  const trustDomain = trustDomainOf(agentId);
  const anchors = keysFor(bundles, trustDomain, 'x509-svid').flatMap(({ certificate }) => certificate ?? []);
  if (!anchors.some((anchor) => equal(anchor, pinned)))
    refuse('a trust bundle without the certificate authority of the voucher');
  for (const before of expected.bundles) {
    const now = bundles.find((bundle) => bundle.trustDomain === before.trustDomain);
    if (now !== undefined) replaceBundle(expected.bundles, now); // throws where it goes back
  }
  const certified = (chain: readonly Uint8Array[], key: PublicJwk, purpose: CertificatePurpose) => {
    const [leaf = new Uint8Array(), ...intermediates] = chain;
    const valid = validateChain({ leaf, intermediates, anchors, at, purpose });
    if (valid.agentId !== agentId || !sameKey(jwkOfSpki(valid.leaf.spki), key))
      refuse(`a ${purpose} certificate for another agent or another key`);
  };
  certified(credentials.ldevidChain, ldevid, 'ldevid');
  certified(credentials.wic, keys.tls.publicJwk, 'wic');
  certified([credentials.lobbyCertificate], keys.lobby.publicJwk, 'lobby');
  for (const token of [
    verifyWit(credentials.wit, bundles, at),
    verifyClientAttestation(credentials.clientAttestation, bundles, at),
  ])
    if (token.sub !== agentId || !sameKey(token.key, keys.credential.publicJwk))
      refuse('a token for another agent or another key');
  verifyEar(credentials.ear, {
    bundles,
    trustDomain,
    agentId,
    ldevid: thumbprint(ldevid),
    nonce: base64url(expected.nonce),
    at,
  });
}

function refuse(what: string): never {
  throw new CredentialsRefused(`the registrar sent ${what}`);
}

/**
 * When to renew: when a third of the life is left, or up to a quarter of that third earlier, so that a thousand robots
 * that started together do not come together.
 *
 * @param issuedAt milliseconds since 1970, as `notAfter`.
 */
export function renewalTime(
  life: { readonly issuedAt: number; readonly notAfter: number },
  random: Random,
): number {
  const third = (life.notAfter - life.issuedAt) / 3;
  const [a = 0, b = 0] = random.bytes(2);
  return Math.floor(life.notAfter - third - (third / 4) * ((a * 256 + b) / 65_536));
}
