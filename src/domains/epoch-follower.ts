import { wipe } from '../core/bytes.ts';
import type { EpochRing } from './epochs.ts';
import { epochKeys } from './epochs.ts';
import type { LogReader } from './log-reader.ts';
import type { MemberMessage } from './member-messages.ts';

/**
 * Brings together what the log says of an epoch and the secret that came beside it. Either may come first; an epoch
 * begins only when its entry is in the log, so that nobody acts under keys whose roster he has not read.
 */
export class EpochFollower {
  readonly #domain: string;
  readonly #ring: EpochRing;
  readonly #log: LogReader;
  readonly #offered = new Map<number, MemberMessage<'epoch'>>();
  readonly #facts = new Map<number, { readonly index: number; readonly roster: Uint8Array }>();

  constructor(domain: string, ring: EpochRing, log: LogReader) {
    this.#domain = domain;
    this.#ring = ring;
    this.#log = log;
  }

  /** The log names an epoch. */
  note(epoch: number, index: number, roster: Uint8Array): void {
    this.#facts.set(epoch, { index, roster });
  }

  /** The coordinator sent us an epoch's secret. @returns whether it is news. */
  offer(message: MemberMessage<'epoch'>): boolean {
    if (message.epoch <= this.#ring.epoch) return false;
    this.#offered.set(message.epoch, message);
    return true;
  }

  /** What was offered and is in the log, lowest epoch first; each is handed out once. */
  ready(): readonly MemberMessage<'epoch'>[] {
    const ready: MemberMessage<'epoch'>[] = [];
    for (const epoch of [...this.#offered.keys()].sort((a, b) => a - b)) {
      const offered = this.#offered.get(epoch);
      const facts = this.#facts.get(epoch);
      if (offered === undefined || facts === undefined) continue;
      this.#offered.delete(epoch);
      if (facts.index === offered.index && epoch > this.#ring.epoch) ready.push(offered);
    }
    return ready;
  }

  /** Begins an epoch that is in the log; the secret is wiped. @returns false when it does not rise. */
  begin(epoch: number, secret: Uint8Array): boolean {
    const facts = this.#facts.get(epoch);
    const head = facts === undefined ? undefined : this.#log.hashAt(facts.index);
    if (facts === undefined || head === undefined) throw new TypeError('the epoch is not in the log');
    const keys = epochKeys(secret, { domain: this.#domain, epoch, head, ...facts });
    wipe(secret);
    if (!this.#ring.begin(keys)) {
      keys.close();
      return false;
    }
    for (const old of [...this.#facts.keys()]) if (old < epoch) this.#facts.delete(old);
    return true;
  }

  /** Forgets secrets that were not used. */
  close(): void {
    for (const { message } of this.#offered.values()) wipe(message);
    this.#offered.clear();
  }
}
