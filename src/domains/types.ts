import type { AuditLog } from '../core/audit.ts';
import type { Platform } from '../core/platform.ts';
import type { CredentialKeys, Credentials } from '../identity/credentials.ts';
import type { BrokerAuthorizer, Link } from '../messaging/index.ts';
import type { Generations } from '../tokens/status.ts';
import type { VerifiedGroupGrant } from '../tokens/verifier.ts';

/** Who an agent is in domains: its credentials, and the keys they are for. */
export interface DomainIdentity {
  readonly credentials: Credentials;
  readonly keys: CredentialKeys;
}

/** What a member may do now, least first; `ended` when it is none any more. */
export const MODES = ['ended', 'observe', 'suggest', 'actuate'] as const;

/** See {@link MODES}. */
export type Mode = (typeof MODES)[number];

/** What an agent is invited to, as the sealed invitation says; provisional until the handshake's last message. */
export interface Invitation {
  /** Identifier of the domain in topics. */
  readonly domain: string;
  readonly task: string;
  /** What the job is, for people and policies. At most 1,024 characters. */
  readonly mission: string;
  /** The role offered. */
  readonly role: string;
  /** Who convenes: credential, grant and attestation result are verified, possession of its keys not yet. */
  readonly convener: string;
  readonly groupGrant: VerifiedGroupGrant;
  /** Milliseconds since 1970. */
  readonly invitedAt: number;
}

/** An agent's own answer to an invitation. */
export type JoinDecision = { readonly join: true } | { readonly join: false; readonly reason: string };

/** Somebody to invite, as the registry found it. */
export interface Candidate {
  readonly agentId: string;
  readonly slug: string;
  /** Certificate of its lobby key, DER. */
  readonly lobbyCertificate: Uint8Array;
  readonly wit: string;
}

/** One member of a domain. */
export interface RosterEntry {
  readonly agentId: string;
  readonly slug: string;
  readonly role: string;
  /** At most `observe` when its WIT or attestation result is not current, at most `suggest` when its posture is worse than asked. */
  readonly mode: Exclude<Mode, 'ended'>;
  /** Whether it coordinates. */
  readonly coordinator: boolean;
  /** Index of the log entry that admitted it. */
  readonly since: number;
}

/** What came with a message. */
export interface MessageMeta {
  readonly stream: string;
  /** When the sender made it, milliseconds since 1970 by its clock. */
  readonly sentAt: number;
  /** Until when it may be used, milliseconds since 1970. */
  readonly expiresAt: number;
  readonly epoch: number;
  /** Whether it was sent as control: current epoch, sender able to actuate, at most its expiry old. */
  readonly control: boolean;
  /** The sender's mode as we see it. */
  readonly mode: Exclude<Mode, 'ended'>;
}

/** How something is published to all members. */
export interface PublishOptions {
  /** Delivered at least to the broker (QoS 1), and no grace for old epochs. Default: false (QoS 0, newest wins). */
  readonly control?: boolean | undefined;
  /** How long it may be used, in milliseconds. Default: 5,000. */
  readonly lifeMs?: number | undefined;
}

/** How an {@link Membership.ask} is made. */
export interface AskOptions {
  /** Milliseconds until it fails with reason `silent`. Default: 5,000. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Times of a domain; the same at all ends. */
export interface DomainTimes {
  /** How often a member shows that it lives, in milliseconds. Default: 2,000. */
  readonly heartbeatMs?: number | undefined;
  /** How long it may live on one answer, in milliseconds. Default: 10,000. */
  readonly tenureMs?: number | undefined;
  /** How long without an answer until it only observes, in milliseconds. Default: half the tenure. */
  readonly observeMs?: number | undefined;
  /** How long messages of others under the epoch before count, in milliseconds. Default: 2,000. */
  readonly graceMs?: number | undefined;
  /** How long admissions are collected for one new epoch, in milliseconds. Default: 1,000; at most 64 are. */
  readonly batchMs?: number | undefined;
  /** How long a handshake may take, in milliseconds. Default: 10,000. */
  readonly handshakeMs?: number | undefined;
}

/** What every end of a domain needs. */
export interface DomainContext {
  readonly platform: Platform;
  readonly link: Link;
  readonly identity: DomainIdentity;
  /** Known revocations. Default: none are known. */
  readonly generations?: Generations | undefined;
  /** Records admissions, evictions, refusals, ends. Default: not recorded. */
  readonly audit?: AuditLog | undefined;
}

/** Options of {@link TaskDomain.convene}. */
export interface ConveneOptions extends DomainContext {
  readonly broker: BrokerAuthorizer;
  /** The compact group grant; its `sub` is this agent. */
  readonly groupGrant: string;
  /** Must be the group grant's. */
  readonly task: string;
  /** At most 1,024 characters. */
  readonly mission: string;
  /** The convener's own role, if it holds one that the grant names. Default: `coordinator`, with no grants. */
  readonly role?: string | undefined;
  readonly options?: DomainTimes | undefined;
}

/** Options of {@link Lobby.open}. */
export interface LobbyOptions extends DomainContext {
  /** Whether to go there. Runs after every check of the invitation passed. */
  readonly joinPolicy: (invitation: Invitation) => JoinDecision | Promise<JoinDecision>;
  readonly options?: LobbyTimes | undefined;
}

/** Bounds of a lobby. */
export interface LobbyTimes extends DomainTimes {
  /** Messages a second that are looked at with more than a length check. Default: 10. */
  readonly perSecond?: number | undefined;
  /** How many may come at once. Default: 20. */
  readonly burst?: number | undefined;
  /** Domains it takes part in at a time. Default: 16. */
  readonly maxDomains?: number | undefined;
}
