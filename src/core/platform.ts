import type { Duplex } from 'node:stream';

/** The only source of time. Nothing else in the package calls `Date.now` or `setTimeout`. */
export interface Clock {
  /** Wall time in milliseconds since 1970. It may jump: compare certificates with it, never durations. */
  now(): number;
  /** Milliseconds since an arbitrary start, including time asleep. It never goes back. */
  elapsed(): number;
  /** Resolves `ms` milliseconds later; rejects with `signal.reason` if aborted before. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `run` once, `ms` milliseconds later, unless the returned function is called before. */
  schedule(ms: number, run: () => void): () => void;
}

/** The only source of chance: the operating system in real life, a seed in a simulation. */
export interface Random {
  /** `count` fresh bytes. */
  bytes(count: number): Uint8Array;
}

/** A file that only grows. */
export interface Journal {
  /** Bytes it holds. */
  readonly size: number;
  /** Adds `chunk`; resolved only when it would survive a power cut. Concurrent calls may share one sync. */
  append(chunk: Uint8Array): Promise<void>;
  /** Everything appended so far; after a power cut the last chunk may be incomplete. */
  read(): Promise<Uint8Array>;
  /** Cuts the journal back to `size` bytes (to drop an incomplete last chunk). */
  truncate(size: number): Promise<void>;
  /** Flushes and lets go of the file; idempotent. */
  close(): Promise<void>;
}

/** Small durable state by name. Names are relative paths of `[a-z0-9._/-]`. */
export interface Store {
  /** The bytes under `name`, or `undefined`. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Replaces the bytes under `name`, whole or not at all, and durably. */
  write(name: string, data: Uint8Array): Promise<void>;
  /** Forgets `name`; no error when there is none. */
  remove(name: string): Promise<void>;
  /** Every name that begins with `prefix`, sorted. */
  list(prefix?: string): Promise<readonly string[]>;
  /** Opens (or creates) the journal under `name`. */
  journal(name: string): Promise<Journal>;
}

/** How one end of a TLS connection is made and judged. */
export interface TlsOptions {
  /** Certificates we present, DER, leaf first. */
  readonly chain?: readonly Uint8Array[] | undefined;
  /** Private key of the leaf, PKCS #8 PEM. */
  readonly privateKeyPem?: string | undefined;
  /**
   * Judges the certificates the other end presented (DER, leaf first) before anything is sent; throws to refuse.
   * The platform itself trusts nobody: no system trust store is consulted.
   */
  readonly verifyPeer: (chain: readonly Uint8Array[]) => void;
}

/** One HTTPS request. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `https://…` (or `http://` to loopback only). */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | undefined;
  readonly tls?: TlsOptions | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until it fails as unreachable. Default: 15,000. */
  readonly timeoutMs?: number | undefined;
}

/** Its answer. Header names are lower case; bodies are at most 1 MiB. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** The only way out of the process. */
export interface Network {
  /** @throws {Unreachable} when there is no answer; errors of `verifyPeer` pass through. */
  request(request: HttpRequest): Promise<HttpResponse>;
  /**
   * A connected byte stream; with `tls`, handshaken and judged.
   * Nagle's algorithm is off (it costs 44 ms a round trip on MQTT).
   */
  connect(to: {
    readonly host: string;
    readonly port: number;
    readonly tls?: TlsOptions | undefined;
    readonly signal?: AbortSignal | undefined;
  }): Promise<Duplex>;
}

/** What a person reads. A constant message and fields, never a secret. */
export interface Log {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Everything that is not a function of its input. */
export interface Platform {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly network: Network;
  readonly log: Log;
  /** True when time or chance is made up; whatever faces the real world refuses such a platform. */
  readonly simulated: boolean;
}
