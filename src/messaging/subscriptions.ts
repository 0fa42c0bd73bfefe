import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/platform.ts';
import type { LinkMessage } from './link.ts';
import { matches } from './topics.ts';

type Handler = (message: LinkMessage) => void;

interface Entry {
  readonly filter: string;
  qos: 0 | 1;
  readonly handlers: Set<Handler>;
  readonly granted: Promise<void>;
  readonly settle: { readonly resolve: () => void; readonly reject: (error: Error) => void };
  /** Whether the broker ever granted it. */
  held: boolean;
  /** How often in a row it refused it since. */
  refusals: number;
}

/** What a link listens to, whether or not a connection stands. */
export class Subscriptions {
  readonly #log: Log;
  readonly #byFilter = new Map<string, Entry>();

  constructor(log: Log) {
    this.#log = log;
  }

  get filters(): readonly string[] {
    return [...this.#byFilter.keys()];
  }

  qosOf(filter: string): 0 | 1 | undefined {
    return this.#byFilter.get(filter)?.qos;
  }

  /** Adds a handler; `granted` settles with the broker's answer. */
  add(filter: string, handler: Handler, qos: 0 | 1): { readonly granted: Promise<void> } {
    let entry = this.#byFilter.get(filter);
    if (entry === undefined) {
      let settle: Entry['settle'] | undefined;
      const granted = new Promise<void>((resolve, reject) => {
        settle = { resolve, reject };
      });
      granted.catch(() => {});
      if (settle === undefined) throw new TypeError('unreachable');
      entry = { filter, qos, handlers: new Set(), granted, settle, held: false, refusals: 0 };
      this.#byFilter.set(filter, entry);
    }
    if (qos > entry.qos) entry.qos = qos;
    entry.handlers.add(handler);
    return entry;
  }

  /** Removes a handler. @returns whether it was the last, so that the broker need not send any more. */
  remove(filter: string, handler: Handler): boolean {
    const entry = this.#byFilter.get(filter);
    if (!entry?.handlers.delete(handler) || entry.handlers.size > 0) return false;
    this.#byFilter.delete(filter);
    return true;
  }

  granted(filter: string): void {
    const entry = this.#byFilter.get(filter);
    if (entry === undefined) return;
    entry.held = true;
    entry.refusals = 0;
    entry.settle.resolve();
  }

  /**
   * The broker said no. What it never granted is given up; what it granted before is kept, because a broker that
   * started anew does not know its domains until their coordinators are back.
   *
   * @returns how often in a row it refused what it once granted; 0 when it is given up.
   */
  refused(filter: string, error: Error): number {
    const entry = this.#byFilter.get(filter);
    if (entry === undefined) return 0;
    if (entry.held) {
      entry.refusals += 1;
      return entry.refusals;
    }
    this.#byFilter.delete(filter);
    entry.settle.reject(error);
    return 0;
  }

  deliver(message: LinkMessage): void {
    for (const entry of [...this.#byFilter.values()]) {
      if (!matches(entry.filter, message.topic)) continue;
      for (const handler of [...entry.handlers]) {
        try {
          handler(message);
        } catch (error) {
          this.#log.warn('a message handler failed', { filter: entry.filter, reason: messageOf(error) });
        }
      }
    }
  }

  close(error: Error): void {
    for (const entry of this.#byFilter.values()) entry.settle.reject(error);
    this.#byFilter.clear();
  }
}
