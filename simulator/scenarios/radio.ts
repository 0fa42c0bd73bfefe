import type { Duplex } from 'node:stream';
import { Unreachable } from '../../src/core/errors.ts';
import type { HttpRequest, Network } from '../../src/core/platform.ts';

/** A machine's network with a switch: out of reach, and back. */
export interface Radio extends Network {
  /** Out of reach: what is connected breaks, and nothing connects. */
  off(): void;
  /** Back in reach. */
  on(): void;
  /** Bodies of requests that went out, newest last: what somebody who copied the disk and the wire would have. */
  readonly sent: readonly { readonly url: string; readonly body: Uint8Array }[];
}

/** Puts a switch into `network`. */
export function radioOf(network: Network): Radio {
  const open = new Set<Duplex>();
  const sent: { url: string; body: Uint8Array }[] = [];
  let reachable = true;
  return {
    sent,
    off: () => {
      reachable = false;
      for (const stream of open) stream.destroy();
      open.clear();
    },
    on: () => {
      reachable = true;
    },
    request: (asked: HttpRequest) => {
      if (!reachable) return Promise.reject(new Unreachable('out of radio reach'));
      if (asked.body) sent.push({ url: asked.url, body: asked.body });
      return network.request(asked);
    },
    connect: async (to) => {
      if (!reachable) throw new Unreachable('out of radio reach');
      const stream = await network.connect(to);
      if (!reachable) {
        stream.destroy();
        throw new Unreachable('out of radio reach');
      }
      open.add(stream);
      stream.once('close', () => open.delete(stream));
      return stream;
    },
  };
}
