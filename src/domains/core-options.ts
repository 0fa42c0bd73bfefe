import type { AuditLog } from '../core/audit.ts';
import type { Platform } from '../core/platform.ts';
import type { PublicJwk, SoftwareKey } from '../core/signer.ts';
import type { Link } from '../messaging/index.ts';
import type { Generations } from '../tokens/status.ts';
import type { VerifiedGroupGrant } from '../tokens/verifier.ts';
import type { GroupKeyAgreement } from './epochs.ts';
import type { Times } from './times.ts';
import type { DomainIdentity, Mode } from './types.ts';

/** What a member's part in a domain is made of, after the handshake. */
export interface CoreOptions {
  readonly platform: Platform;
  readonly link: Link;
  readonly identity: DomainIdentity;
  readonly generations: Generations;
  readonly audit?: AuditLog | undefined;
  readonly times: Times;
  readonly agreementDriver: GroupKeyAgreement;
  readonly domain: string;
  readonly groupGrant: VerifiedGroupGrant;
  /** Hash of the log's first entry. */
  readonly genesis: Uint8Array;
  readonly role: string;
  readonly session: SoftwareKey;
  readonly agreement: SoftwareKey;
  readonly coordinator: {
    readonly agentId: string;
    readonly slug: string;
    readonly session: PublicJwk;
    readonly agreement: PublicJwk;
  };
  /** The channel with the coordinator that the handshake made; absent at the coordinator itself. */
  readonly pairwise?: { readonly secret: Uint8Array; readonly transcript: Uint8Array } | undefined;
  /** At the coordinator: what members tell it, and what to do instead of going. */
  readonly coordinate?:
    | {
        readonly told: (type: string, body: unknown, from: string) => void;
        readonly over: (reason: string) => Promise<void>;
      }
    | undefined;
  /** Told of what happens; the public object turns it into events. */
  readonly told: CoreEvents;
}

/** What a core tells. */
export interface CoreEvents {
  mode(mode: Mode, before: Mode, cause: string): void;
  rekeyed(epoch: number): void;
  roster(): void;
  evicted(reason: string): void;
  ended(reason: string): void;
  refused(check: string, topic: string): void;
}
