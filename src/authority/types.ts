import type { Platform, Store } from '../core/platform.ts';
import type { RegistrarOptions } from '../provisioning/registrar-options.ts';

/** What {@link initAuthority} makes in an empty folder. */
export interface InitOptions {
  /** Folder of the authority: keys (mode 0600), certificates, database. */
  readonly directory: string;
  /** For example `fleet.example`. */
  readonly trustDomain: string;
  /** Base URL it will be reached at, without path; also the issuer identifier. Default: from host and port when it serves. */
  readonly url?: string | undefined;
  /** Names and addresses in its TLS certificate. Default: `localhost`, `127.0.0.1`. */
  readonly hosts?: readonly string[] | undefined;
  /** Accept simulated TPMs and simulation anchors. Default: false; it cannot be changed later. */
  readonly simulation?: boolean | undefined;
  /** Where the owner's key goes (mode 0600). Default: `owner-key.pem` in the folder. */
  readonly ownerKeyFile?: string | undefined;
  /** Members of the reference values. Default: none, so that no measurement is known. */
  readonly reference?: object | undefined;
  /** Members of the appraisal policy that differ from its defaults. */
  readonly policy?: object | undefined;
  readonly platform: Platform;
  /** Instead of files in `directory`, for simulations. */
  readonly store?: Store | undefined;
}

/** What an authority is known by. */
export interface AuthorityIdentity {
  readonly trustDomain: string;
  readonly simulation: boolean;
  /** SHA-256 of its ACA certificate (DER), hexadecimal: what the first client pins; its TLS certificate chains to it. */
  readonly fingerprint: string;
}

/** How an authority is opened. */
export interface OpenOptions {
  readonly directory: string;
  /** Instead of files in `directory`, for simulations. */
  readonly store?: Store | undefined;
  /** Database file. Default: `authority.db` in the folder; `:memory:` forgets. */
  readonly database?: string | undefined;
  readonly platform: Platform;
  /** Base URL: the issuer identifier of everything it signs. */
  readonly url: string;
  /** `mqtts://host:port`, told to enrolled agents. */
  readonly broker?: string | (() => string | undefined) | undefined;
  /** Asks the maker for a voucher. Default: those kept in the folder. */
  readonly voucherFor?: RegistrarOptions['voucherFor'] | undefined;
  readonly lifetimes?: RegistrarOptions['lifetimes'] | undefined;
  /** Life of an access token in seconds. Default: 300. */
  readonly tokenLifeS?: number | undefined;
  /** Called with each signed generations statement, for whoever distributes them (MQTT, retained). */
  readonly onRevoked?: ((statement: string) => void) | undefined;
}

/** How an authority is served. */
export interface ServeOptions extends Omit<OpenOptions, 'url'> {
  /** Default: 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default: 0, a free port. */
  readonly port?: number | undefined;
  /** URL its clients use. Default: the configured one, else `https://<host>:<port>`. */
  readonly url?: string | undefined;
}
