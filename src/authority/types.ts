import type { Platform } from '../core/platform.ts';

/** What {@link initAuthority} makes in an empty folder. */
export interface InitOptions {
  /** Folder of the authority: keys (mode 0600), certificates, database. */
  readonly directory: string;
  /** For example `fleet.example`. */
  readonly trustDomain: string;
  /** Base URL it will be reached at, without path; also the issuer identifier. Default: set when it serves. */
  readonly url?: string | undefined;
  /** Names and addresses in its TLS certificate. Default: `localhost`, `127.0.0.1`. */
  readonly hosts?: readonly string[] | undefined;
  /** Accept simulated TPMs and simulation anchors. Default: false; it cannot be changed later. */
  readonly simulation?: boolean | undefined;
  /** Where the owner's key goes (mode 0600). Default: `owner-key.pem` in the folder. */
  readonly ownerKeyFile?: string | undefined;
  readonly platform: Platform;
}

/** What an authority is known by. */
export interface AuthorityIdentity {
  readonly trustDomain: string;
  readonly simulation: boolean;
  /** SHA-256 of its TLS certificate (DER), hexadecimal: what the first client pins. */
  readonly fingerprint: string;
}

/** How an authority is served. */
export interface ServeOptions {
  readonly directory: string;
  /** Default: 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default: 0, a free port. */
  readonly port?: number | undefined;
  /** URL its clients use, when it is not `https://<host>:<port>`. */
  readonly url?: string | undefined;
  /** `mqtts://host:port`, told to enrolled agents. */
  readonly broker?: string | undefined;
  readonly platform: Platform;
  /** Called with each signed generations statement, for whoever distributes them (MQTT, retained). */
  readonly onRevoked?: ((statement: string) => void) | undefined;
}

/** An authority that answers. */
export interface RunningAuthority extends AuthorityIdentity {
  /** `https://host:port`. */
  readonly url: string;
  /** The same handlers without a socket. */
  readonly handle: (request: Request, clientChain?: readonly Uint8Array[]) => Promise<Response>;
  /** Finishes what runs, closes sockets, database and log. Idempotent. */
  close(): Promise<void>;
}
