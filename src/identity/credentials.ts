import type { Signer, SoftwareKey } from '../core/signer.ts';
import type { TrustBundle } from './bundle.ts';

/**
 * What an enrolled agent holds: short-lived documents, each bound to a key (design.md section 2).
 * Nothing here is secret; the keys are in {@link CredentialKeys}.
 */
export interface Credentials {
  /** The agent's one identifier, a SPIFFE-compatible URI. */
  readonly agentId: string;
  /** `slugOf(agentId)`: its name in topics and certificate CNs. */
  readonly slug: string;
  /** LDevID certificate and intermediates, DER, leaf first; the URI SAN is `agentId`. */
  readonly ldevidChain: readonly Uint8Array[];
  /** Workload identity token (`wit+jwt`), `cnf.jwk` = the credential key. */
  readonly wit: string;
  /** Workload identity certificate, DER, leaf first, for the TLS key: CN = slug, exactly one URI SAN. */
  readonly wic: readonly Uint8Array[];
  /** Certificate of the lobby key (P-256 ECDH), DER. */
  readonly lobbyCertificate: Uint8Array;
  /** Client attestation (`oauth-client-attestation+jwt`), `cnf.jwk` = the credential key. */
  readonly clientAttestation: string;
  /** The verifier's attestation result (EAR, JWT). */
  readonly ear: string;
  /** Trust anchors by trust domain. */
  readonly bundles: readonly TrustBundle[];
  /** Where the owner's authority and broker are. */
  readonly endpoints: Endpoints;
  /** When the shortest-lived of these ends, milliseconds since 1970. */
  readonly notAfter: number;
}

/** Where an enrolled agent finds the services of its owner. */
export interface Endpoints {
  /** Base URL of the authority, `https://host:port`. It is also the issuer identifier of its tokens. */
  readonly authority: string;
  /** `mqtts://host:port` of the broker, if there is one. */
  readonly broker?: string | undefined;
}

/** The private halves. Software keys are fresh for each credential and never stored. */
export interface CredentialKeys {
  /** WIT `cnf`, client attestation `cnf`, DPoP key. */
  readonly credential: Signer;
  /** Key of the WIC, for TLS handshakes. */
  readonly tls: SoftwareKey;
  /** Receives sealed invitations (ECDH). */
  readonly lobby: SoftwareKey;
  /** In the TPM: renewal, domain handshake transcripts, log heads. Signs only `domainSeparated` data. */
  readonly ldevid: Signer;
}
