import type { PublicJwk } from '../core/signer.ts';

/** What a key of a bundle may verify. Unknown uses are ignored by readers (SPIFFE bundle §4). */
export type BundleKeyUse =
  /** Root of WIC, LDevID and lobby certificates. */
  | 'x509-svid'
  /** Signs WITs and client attestations. */
  | 'wit-svid'
  /** Signs access tokens, group grants, transaction tokens. */
  | 'fealty/issuer'
  /** Signs attestation results (EAR). */
  | 'fealty/verifier'
  /** Signs status lists and security event tokens. */
  | 'fealty/status';

/** One key of a {@link TrustBundle}. */
export interface BundleKey {
  readonly use: BundleKeyUse;
  readonly kid: string;
  readonly jwk: PublicJwk;
  /** For `x509-svid`: the self-signed anchor certificate, DER. */
  readonly certificate?: Uint8Array | undefined;
}

/** Trust anchors of one trust domain, kept out of band and never discovered from a token (SPIFFE bundle format). */
export interface TrustBundle {
  /** For example `fleet.example`. */
  readonly trustDomain: string;
  /** Rises with each change; an older bundle never replaces a newer one. */
  readonly sequence: number;
  readonly keys: readonly BundleKey[];
}

/** Keys of `trustDomain` that may be used for `use`. */
export function keysFor(
  bundles: readonly TrustBundle[],
  trustDomain: string,
  use: BundleKeyUse,
): readonly BundleKey[] {
  return bundles
    .filter((bundle) => bundle.trustDomain === trustDomain)
    .flatMap((bundle) => bundle.keys.filter((key) => key.use === use));
}
