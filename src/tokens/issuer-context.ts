import type { AuditLog } from '../core/audit.ts';
import type { Clock, Random } from '../core/platform.ts';
import type { Signer } from '../core/signer.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import type { IssuerStore } from './issuer-store.ts';

/** What the token service is made of. */
export interface IssuerOptions {
  /** Base URL of the authority, without path: `iss` of everything it signs. */
  readonly issuer: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly store: IssuerStore;
  /** Each decision is recorded here before it is answered. */
  readonly audit: AuditLog;
  readonly keys: {
    /** `fealty/issuer` of the bundle. */
    readonly issuer: Signer;
    /** `fealty/status` of the bundle. */
    readonly status: Signer;
  };
  /** Anchors of the clients' attestations: this domain's and federated ones. */
  readonly bundles: () => readonly TrustBundle[];
  /** Life of an access token in seconds. Default: 300. */
  readonly lifeS?: number | undefined;
  /** Refuse DPoP proofs without a nonce of ours. Default: false; the replay store is durable. */
  readonly nonceRequired?: boolean | undefined;
  /** Called with a signed generations statement after each revocation. */
  readonly onRevoked?: ((statement: string) => void) | undefined;
}

/** Options with every default filled in, and the nonces of this run. */
export interface IssuerContext extends IssuerOptions {
  readonly lifeS: number;
  readonly nonces: Nonces;
}

/** DPoP nonces that need no memory: time and a MAC of it (RFC 9449 §8). */
export interface Nonces {
  make(): string;
  isOurs(nonce: string): boolean;
}
