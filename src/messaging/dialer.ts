import { messageOf, Unreachable } from '../core/errors.ts';
import type { Platform, TlsOptions } from '../core/platform.ts';
import type { LinkMessage, Will } from './link.ts';
import type { Connection } from './mqtt.ts';
import { openConnection } from './mqtt.ts';

/** Where and as whom a link connects. */
export interface DialOptions {
  readonly platform: Platform;
  /** `mqtts://host:port` (or `mqtt://` to loopback only); several are tried in turn, as the nodes of a cluster. */
  readonly url: string | readonly string[];
  /** How to prove who we are and to judge the broker; a function is asked for each connection (renewed credentials). */
  readonly tls?: TlsOptions | (() => TlsOptions) | undefined;
  /** The agent's slug: brokers of ours accept nothing else. One agent has one link. */
  readonly clientId: string;
  /** For brokers that want them. */
  readonly username?: string | undefined;
  readonly password?: Uint8Array | undefined;
  /** Asked for each connection, so that the will can be sealed anew. */
  readonly will?: (() => Will | undefined) | undefined;
  /** Seconds between signs of life; the broker calls the connection dead after 1.5 of them. Default: 15. */
  readonly keepaliveS?: number;
  /** Milliseconds until a connection attempt fails. Default: 5,000. */
  readonly connectTimeoutMs?: number;
}

const backoffFirstMs = 100;
const backoffMaxMs = 30_000;

/** Makes one connection after the other, each with a longer pause before it than the one before. */
export class Dialer {
  readonly #options: DialOptions;
  readonly #ending: AbortSignal;
  readonly #heard: (message: LinkMessage) => void;
  readonly #drained: () => void;
  #attempt = 0;
  #made = 0;

  /**
   * @param ending ends every attempt. @param heard called for each message. @param drained called when more can be sent.
   * @throws {TypeError} `url` is none.
   */
  constructor(
    options: DialOptions,
    ending: AbortSignal,
    heard: (message: LinkMessage) => void,
    drained: () => void,
  ) {
    this.#options = options;
    for (const url of this.#urls) endpointOf(url);
    this.#ending = ending;
    this.#heard = heard;
    this.#drained = drained;
  }

  /** The next attempt waits no longer than a first one: what was wrong is known to be over. */
  relax(): void {
    this.#attempt = 0;
  }

  /** Tries until it succeeds, or the link ends. */
  async again(): Promise<Connection> {
    const { clock, random, log } = this.#options.platform;
    for (;;) {
      if (this.#made > 0 || this.#attempt > 0) {
        const [chance = 0] = random.bytes(1);
        const most = Math.min(backoffMaxMs, backoffFirstMs * 2 ** Math.min(this.#attempt, 10));
        await clock.sleep((most * (256 + chance)) / 512, this.#ending);
      }
      this.#attempt += 1;
      try {
        return await this.once();
      } catch (error) {
        this.#ending.throwIfAborted();
        log.info('broker not reached', { reason: messageOf(error) });
      }
    }
  }

  /** One attempt. @throws {Unreachable} {@link ConnectRefused} */
  async once(): Promise<Connection> {
    const { platform, clientId, username, password, tls, will } = this.#options;
    const urls = this.#urls;
    const { host, port, secure } = endpointOf(urls[(this.#made + this.#attempt) % urls.length] ?? '');
    const connectTimeoutMs = this.#options.connectTimeoutMs ?? 5000;
    const late = new AbortController();
    const cancel = platform.clock.schedule(connectTimeoutMs, () =>
      late.abort(new Unreachable('the broker does not answer')),
    );
    const signal = AbortSignal.any([this.#ending, late.signal]);
    try {
      const stream = await platform.network.connect({
        host,
        port,
        signal,
        ...(secure ? { tls: typeof tls === 'function' ? tls() : tls } : {}),
      });
      const abort = () => stream.destroy();
      signal.addEventListener('abort', abort, { once: true });
      try {
        signal.throwIfAborted();
        const connection = await openConnection({
          stream,
          clientId,
          username,
          password,
          will: will?.(),
          keepalive: this.#options.keepaliveS ?? 15,
          connectTimeoutMs,
          onMessage: (topic, payload, retained) => this.#heard({ topic, payload, retained }),
          onDrain: this.#drained,
        });
        this.#made += 1;
        return connection;
      } finally {
        signal.removeEventListener('abort', abort);
      }
    } finally {
      cancel();
    }
  }

  get #urls(): readonly string[] {
    const { url } = this.#options;
    return typeof url === 'string' ? [url] : url;
  }
}

function endpointOf(url: string): { readonly host: string; readonly port: number; readonly secure: boolean } {
  const read = URL.parse(url);
  const host = read?.hostname.replace(/^\[|\]$/g, '') ?? '';
  const secure = read?.protocol === 'mqtts:';
  if (!secure && !(read?.protocol === 'mqtt:' && ['localhost', '127.0.0.1', '::1'].includes(host)))
    throw new TypeError('`url` must be mqtts://host:port (mqtt:// to loopback only)');
  return { host, port: Number(read?.port || (secure ? 8883 : 1883)), secure };
}
