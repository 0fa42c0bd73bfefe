import type { Measurement } from '../attestation/runtime-log.ts';
import type { Platform } from '../core/platform.ts';
import type { Invitation, JoinDecision } from '../domains/index.ts';
import type { Device, Grant, Prohibition } from '../grants/index.ts';
import type { DevicePapers } from '../provisioning/index.ts';
import type { Transport } from '../tpm/index.ts';

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

/** A device and, for a console, none: what {@link Agent.open} is made from. */
export interface AgentOptions {
  readonly platform: Platform;
  /** How its TPM is reached: `openTransport('device:/dev/tpmrm0')`, swtpm, or a software TPM in the process. */
  readonly transport: Transport;
  /** What the maker and the provider put beside the TPM. */
  readonly papers: DevicePapers;
  /** Base URL of the owner's authority, for example `https://authority.example:8443`. */
  readonly authority: string;
  /** `mqtts://host:port`. Default: what the authority says at enrolment. */
  readonly broker?: string | undefined;
  readonly devices?: readonly Device[] | undefined;
  /** What it offers in the registry; must be exactly what the authority signs. Default: what the credential says. */
  readonly capabilities?: readonly string[] | undefined;
  /** For people. */
  readonly title?: string | undefined;
  /** What no grant can widen. Default: none. */
  readonly houseRules?: readonly Prohibition[] | undefined;
  /** What it asks the issuer for. Default: everything the owner granted it. */
  readonly authorizationDetails?: readonly Grant[] | undefined;
  /** Streams of its own devices in every domain it joins, by name. Default: none. */
  readonly streams?: Readonly<Record<string, StreamOptions>> | undefined;
  /** Whether it goes where it is invited. Default: to whoever its own authority lets convene. */
  readonly joinPolicy?: ((invitation: Invitation) => JoinDecision | Promise<JoinDecision>) | undefined;
  /** What runs here, measured into the TPM before use: bundle, configuration, drivers, models. Default: nothing. */
  readonly measurements?: readonly Measurement[] | undefined;
  /** Whether the machine's wall clock is believed without the authority. Default: false. */
  readonly trustClock?: boolean | undefined;
}
