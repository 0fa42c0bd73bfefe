import type { Measurement } from '../attestation/index.ts';
import type { Platform } from '../core/platform.ts';
import type { Invitation, JoinDecision } from '../domains/index.ts';
import type { Device, Grant, Prohibition } from '../grants/index.ts';
import type { BrokerAuthorizer, Link } from '../messaging/index.ts';
import type { Transport } from '../tpm/index.ts';

/** What the maker, the provider and the owner put beside the TPM, as files. */
export interface Papers {
  /** CycloneDX JSON, the very bytes the provider endorsed. */
  readonly aibom: Uint8Array;
  /** The provider's endorsement, compact JWS. */
  readonly endorsement: string;
  /** The owner's binding, when it travels with the device. */
  readonly binding?: string | undefined;
}

/** What a member tells the others of one of its devices, under a name of its own. */
export interface StreamOptions {
  readonly device: string;
  /** Properties that are told each time they are reported. */
  readonly properties: readonly string[];
  /** Events that are told. Default: none. */
  readonly events?: readonly string[] | undefined;
  /** How long a report may be used, in milliseconds. Default: 2,000. */
  readonly lifeMs?: number | undefined;
}

/** What an agent is made from. */
export interface AgentOptions {
  readonly platform: Platform;
  /** How its TPM is reached: `openTransport('device:/dev/tpmrm0')`, swtpm, or a software TPM in the process. */
  readonly transport: Transport;
  readonly papers: Papers;
  /** Base URL of the owner's authority, for example `https://authority.example:8443`. */
  readonly authority: string;
  /** `mqtts://host:port`. Default: what the authority says at enrolment. */
  readonly broker?: string | undefined;
  /** Default: none (a console). */
  readonly devices?: readonly Device[] | undefined;
  /** For people. */
  readonly title?: string | undefined;
  /** What no grant can widen. Default: none. */
  readonly houseRules?: readonly Prohibition[] | undefined;
  /** What it asks the issuer for. Default: everything the owner granted it. */
  readonly authorizationDetails?: readonly Grant[] | undefined;
  /** Streams of its own devices in every domain it joins, by name. Default: none. */
  readonly streams?: Readonly<Record<string, StreamOptions>> | undefined;
  /**
   * How a coordinator changes rights at a broker that is not one of ours, for example Mosquitto.
   * Default: it asks the embedded broker over its own link.
   */
  readonly brokerRights?: ((link: Link, slug: string) => Promise<BrokerAuthorizer>) | undefined;
  /** Whether it goes where it is invited. Default: to whoever holds a group grant of its own trust domain. */
  readonly joinPolicy?: ((invitation: Invitation) => JoinDecision | Promise<JoinDecision>) | undefined;
  /** What runs here, measured into the TPM before it is used. Default: nothing. */
  readonly measurements?: readonly Measurement[] | undefined;
  /** Whether the machine's wall clock is believed without the authority. Default: false. */
  readonly trustClock?: boolean | undefined;
  /** How often the authority is asked for revocations and the time, in milliseconds. Default: 30,000. */
  readonly syncMs?: number | undefined;
  /** How often the TPM signs the head of the audit log, in milliseconds, if anything was recorded. Default: 300,000. */
  readonly checkpointMs?: number | undefined;
}

/** Version of the agent, as it is measured and shown. */
export const VERSION = '0.1.0';
