import { randomBytes } from 'node:crypto';
import { nodeNetwork } from './node-network.ts';
import { fileStore } from './node-store.ts';
import type { Log, Platform } from './platform.ts';

/** Nothing is printed: the default of a library. */
export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {} };

/**
 * The platform of a real machine: system clock, system randomness, files under `directory`, sockets.
 * The one place in the package where time, chance and timers of the process are used.
 */
export function nodePlatform(options: { readonly directory: string; readonly log?: Log }): Platform {
  return {
    clock: {
      now: () => Date.now(),
      elapsed: () => performance.now(),
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) {
            reject(signal.reason as Error);
            return;
          }
          const abort = () => {
            clearTimeout(timer);
            reject(signal?.reason as Error);
          };
          const timer = setTimeout(() => {
            signal?.removeEventListener('abort', abort);
            resolve();
          }, ms);
          signal?.addEventListener('abort', abort, { once: true });
        }),
      schedule: (ms, run) => {
        // setTimeout fires at once beyond 2^31 - 1 ms (25 days); a long wait is taken in steps.
        const longest = 2 ** 31 - 1;
        if (ms <= longest) {
          const only = setTimeout(run, Math.max(0, ms));
          return () => clearTimeout(only);
        }
        let timer: NodeJS.Timeout;
        const arm = (left: number) => {
          timer = setTimeout(() => (left > longest ? arm(left - longest) : run()), Math.min(left, longest));
        };
        arm(ms);
        return () => clearTimeout(timer);
      },
    },
    random: { bytes: (count) => new Uint8Array(randomBytes(count)) },
    store: fileStore(options.directory),
    network: nodeNetwork(),
    log: options.log ?? silentLog,
    simulated: false,
  };
}
