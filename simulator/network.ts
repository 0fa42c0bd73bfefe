import { Unreachable } from '../src/core/errors.ts';
import type { Clock, HttpRequest, HttpResponse, Network } from '../src/core/platform.ts';

/** A server on a {@link SimulatedNetwork}. */
export interface SimulatedHost {
  /** Certificates it shows now, DER, leaf first. */
  readonly chain: () => readonly Uint8Array[];
  /** Answers one request. */
  readonly handle: (request: Request) => Promise<Response>;
}

/** A network inside the process: its hosts are functions from request to response. */
export interface SimulatedNetwork extends Network {
  /** From now on `origin` (for example `https://authority.example`) answers. @returns takes it off the network. */
  attach(origin: string, host: SimulatedHost): () => void;
  /** Requests that are being answered now: a virtual clock waits for them (`virtualClock(start, busy)`). */
  readonly open: number;
}

const bodyMax = 1 << 20;

/**
 * Makes one. The certificates a host shows are judged by the caller's `verifyPeer` before anything is sent, as on a real
 * network; who is not attached does not answer; there are no byte streams.
 *
 * @param options.latencyMs one way, on `options.clock`. Default: 0.
 */
export function simulatedNetwork(
  options: { readonly clock?: Clock; readonly latencyMs?: number } = {},
): SimulatedNetwork {
  const { clock, latencyMs = 0 } = options;
  const hosts = new Map<string, SimulatedHost>();
  let open = 0;
  const travel = async (signal: AbortSignal | undefined) => {
    if (latencyMs > 0) await clock?.sleep(latencyMs, signal);
  };
  const request = async (asked: HttpRequest): Promise<HttpResponse> => {
    const { origin, host: name } = new URL(asked.url);
    const { tls, signal } = asked;
    if (!origin.startsWith('https:')) throw new TypeError(`only https is spoken here: \`${origin}\``);
    if (tls === undefined) throw new TypeError('an https request needs `tls.verifyPeer`');
    try {
      signal?.throwIfAborted();
      await travel(signal);
    } catch (cause) {
      throw new Unreachable(`no answer from \`${name}\``, { cause });
    }
    const host = hosts.get(origin);
    if (host === undefined) throw new Unreachable(`cannot reach \`${name}\``);
    tls.verifyPeer(host.chain());
    open++;
    let answer: HttpResponse;
    try {
      answer = await answered(host, asked);
    } catch (cause) {
      throw new Unreachable(`no answer from \`${name}\``, { cause });
    } finally {
      open--;
    }
    await travel(undefined);
    return answer;
  };
  return {
    get open() {
      return open;
    },
    attach: (origin, host) => {
      if (new URL(origin).origin !== origin) throw new TypeError('`origin` must be scheme, host and port');
      hosts.set(origin, host);
      return () => {
        if (hosts.get(origin) === host) hosts.delete(origin);
      };
    },
    request,
    connect: ({ host, port }) => Promise.reject(new Unreachable(`cannot reach \`${host}:${port}\``)),
  };
}

async function answered(host: SimulatedHost, asked: HttpRequest): Promise<HttpResponse> {
  const { method, url, headers = {}, body, signal } = asked;
  const answer = await host.handle(
    new Request(url, {
      method,
      headers: { ...headers },
      ...(body === undefined ? {} : { body: body.slice() }),
      ...(signal === undefined ? {} : { signal }),
    }),
  );
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes.length > bodyMax) throw new Unreachable(`an answer of more than ${bodyMax} bytes`);
  return { status: answer.status, headers: Object.fromEntries(answer.headers), body: bytes };
}
