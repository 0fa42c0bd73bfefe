import type { Verifier } from '../attestation/verifier.ts';
import type { AuditLog } from '../core/audit.ts';
import type { Platform } from '../core/platform.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import type { Endpoints } from '../identity/credentials.ts';
import type { AibomRules } from './aibom.ts';
import type { VoucherJws } from './messages.ts';
import type { RegistrarStore } from './registrar-store.ts';

/** A TPM vendor whose EK certificates count. */
export interface EkVendorAnchor {
  /** DER. */
  readonly certificate: Uint8Array;
  /** True for the EK certificate authority of a simulator: refused unless the authority is for simulation. */
  readonly simulated: boolean;
}

/** A maker of devices. */
export interface MakerAnchor {
  /** As bindings and endorsements name it; half of the key (maker, serial). */
  readonly name: string;
  /** Certificate authorities of IDevID and IAK certificates, DER; one for each product line. */
  readonly certificates: readonly Uint8Array[];
  /** Keys that sign vouchers. */
  readonly voucherKeys: readonly PublicJwk[];
}

/** Whom the registrar trusts, by role. An anchor of one role never stands in for another. */
export interface RegistrarAnchors {
  readonly ekVendors: readonly EkVendorAnchor[];
  readonly makers: readonly MakerAnchor[];
  /** Providers of agent software: they sign endorsements. */
  readonly providers: readonly PublicJwk[];
  /** Owners: they sign bindings. */
  readonly owners: readonly PublicJwk[];
}

/** The keys of the agent credential authority. */
export interface CredentialAuthority {
  /** For example `home.example`. */
  readonly trustDomain: string;
  /** Base URL of the authority: the issuer of client attestations. */
  readonly issuer: string;
  /** Signs LDevID certificates, WICs and lobby certificates. */
  readonly ca: { readonly signer: Signer; readonly certificate: Uint8Array };
  /** Signs WITs and client attestations. */
  readonly wit: Signer;
  /** Trust anchors that go to the device; asked at each issuance. */
  readonly bundles: () => readonly TrustBundle[];
  readonly endpoints: () => Endpoints;
}

/** How long things live, in milliseconds. */
export interface Lifetimes {
  /** WIT, WIC, lobby certificate, client attestation. Default: 1 hour. */
  readonly credentialMs?: number | undefined;
  /** LDevID certificate. Default: 2 years. */
  readonly ldevidMs?: number | undefined;
  /** From challenge to answer. Default: 2 minutes. */
  readonly challengeMs?: number | undefined;
}

/** What a registrar is made from. */
export interface RegistrarOptions {
  readonly platform: Pick<Platform, 'clock' | 'random' | 'log' | 'simulated'>;
  readonly store: RegistrarStore;
  readonly anchors: RegistrarAnchors;
  readonly authority: CredentialAuthority;
  /** Judges evidence and signs attestation results. */
  readonly verifier: Verifier;
  /** True for an authority that was initialised for simulation. Default: false. */
  readonly simulation?: boolean | undefined;
  readonly aibomRules?: AibomRules | undefined;
  /**
   * The maker's voucher for a device: asked of the maker with the device's nonce, or kept since the sale.
   * `undefined` when there is none.
   */
  readonly voucherFor: (asked: {
    readonly serial: string;
    readonly idevidIssuer?: string | undefined;
    readonly nonce: string;
  }) => Promise<VoucherJws | undefined>;
  /** The owner's binding of a serial number, where it does not travel with the device. Default: there is none. */
  readonly bindingFor?: ((maker: string, serial: string) => Promise<string | undefined>) | undefined;
  readonly lifetimes?: Lifetimes | undefined;
  /** Most challenges that may wait at a time; further devices are asked to try later. Default: 10,000. */
  readonly challengesMax?: number | undefined;
  /** Every issuance and refusal is recorded here *before* the answer leaves. */
  readonly audit?: AuditLog | undefined;
}
