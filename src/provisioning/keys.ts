import { base64url, concat, fromBase64url, utf8 } from '../core/bytes.ts';
import { hmacSha256, sha256 } from '../core/hash.ts';
import { canonicalBytes } from '../core/json.ts';
import { domainSeparated } from '../core/names.ts';
import type { SoftwareKey } from '../core/signer.ts';
import { readPublicJwk, thumbprint, verifySignature } from '../core/signer.ts';
import { EnrolmentRefused } from './errors.ts';
import type { RenewRequest, SoftwareKeyProofs } from './messages.ts';

/** Uses of the software keys of one credential, in the order in which they are bound. */
export const SOFTWARE_KEYS = ['credential', 'tls', 'lobby'] as const;
/** One of {@link SOFTWARE_KEYS}. */
export type SoftwareKeyUse = (typeof SOFTWARE_KEYS)[number];

/** Fresh keys of one credential, in memory. */
export type SoftwareKeys = Readonly<Record<SoftwareKeyUse, SoftwareKey>>;

/**
 * What a quote at enrolment is about (`extraData`), so that nothing in the exchange can be swapped:
 * SHA-256("fealty/enrol/v1" ‖ 0 ‖ nonce ‖ activation secret ‖ SHA-256(CSR) ‖ Name(LAK) ‖ Name(LDevID) ‖ thumbprints).
 * Every part has a fixed length but the Names, which say theirs by their hash algorithm and are preceded by it.
 */
export function enrolmentQualifier(parts: {
  readonly nonce: Uint8Array;
  readonly activationSecret: Uint8Array;
  readonly csr: Uint8Array;
  readonly lakName: Uint8Array;
  readonly ldevidName: Uint8Array;
  /** RFC 7638 thumbprints, base64url, in the order of {@link SOFTWARE_KEYS}. */
  readonly thumbprints: readonly string[];
}): Uint8Array {
  return sha256(
    domainSeparated(
      'enrol',
      concat(
        parts.nonce,
        parts.activationSecret,
        sha256(parts.csr),
        parts.lakName,
        parts.ldevidName,
        ...parts.thumbprints.map(fromBase64url),
      ),
    ),
  );
}

/** What a quote at renewal is about: SHA-256("fealty/renew/v1" ‖ 0 ‖ nonce ‖ SHA-256(identifier) ‖ thumbprints). */
export function renewalQualifier(parts: {
  readonly nonce: Uint8Array;
  readonly agentId: string;
  readonly thumbprints: readonly string[];
}): Uint8Array {
  return sha256(
    domainSeparated(
      'renew',
      concat(parts.nonce, sha256(utf8(parts.agentId)), ...parts.thumbprints.map(fromBase64url)),
    ),
  );
}

/** What the LDevID signs at renewal: the whole request without its signature. */
export function renewalBytes(request: Omit<RenewRequest, 'signature'>): Uint8Array {
  return domainSeparated('renewal', canonicalBytes(request));
}

/** Proof that the credential was opened: HMAC-SHA-256 under the activation secret. */
export function activationProof(secret: Uint8Array, nonce: Uint8Array): Uint8Array {
  return hmacSha256(secret, domainSeparated('activation', nonce));
}

function possession(use: SoftwareKeyUse, nonce: Uint8Array): Uint8Array {
  return domainSeparated('key-possession', concat(nonce, utf8(use)));
}

/** Public halves with a proof of possession each, over the challenge's nonce and the key's use. */
export function proveKeys(keys: SoftwareKeys, nonce: Uint8Array): SoftwareKeyProofs {
  const prove = (use: SoftwareKeyUse) => ({
    jwk: keys[use].publicJwk,
    proof: base64url(keys[use].signSync(possession(use, nonce))),
  });
  return { credential: prove('credential'), tls: prove('tls'), lobby: prove('lobby') };
}

/** Thumbprints of all keys in the order of {@link SOFTWARE_KEYS}, after each proof was verified. @throws {EnrolmentRefused} */
export function verifyKeys(proofs: SoftwareKeyProofs, nonce: Uint8Array): readonly string[] {
  const thumbprints = SOFTWARE_KEYS.map((use) => {
    const jwk = readPublicJwk(proofs[use].jwk);
    if (!verifySignature(jwk, possession(use, nonce), fromBase64url(proofs[use].proof)))
      throw new EnrolmentRefused('key-possession', `the ${use} key did not sign its proof`);
    return thumbprint(jwk);
  });
  if (new Set(thumbprints).size !== SOFTWARE_KEYS.length)
    throw new EnrolmentRefused('key-possession', 'one key for two uses');
  return thumbprints;
}
