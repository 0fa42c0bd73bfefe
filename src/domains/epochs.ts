import { wipe } from '../core/bytes.ts';
import { encodeCbor } from '../core/cbor.ts';
import { Malformed } from '../core/errors.ts';
import { hkdf } from '../core/hash.ts';
import type { Clock, Random } from '../core/platform.ts';
import { EpochKeys } from '../messaging/index.ts';

/**
 * How members come to share a secret that others do not have. The flat driver is the default; one for MLS
 * (RFC 9420) would stand behind the same interface where the coordinator must not know the secret.
 */
export interface GroupKeyAgreement {
  readonly name: string;
  /**
   * Coordinator: a secret nobody held before, for exactly these members, and what to send to each under its pairwise key.
   */
  rekey(members: readonly string[]): {
    readonly secret: Uint8Array;
    readonly messages: ReadonlyMap<string, Uint8Array>;
  };
  /** Member: the secret in the coordinator's message. @throws {Malformed} */
  accept(message: Uint8Array): Uint8Array;
}

/** Flat epochs: a fresh secret, sent to each member. 1,000 members: 5 ms to make, 50 KB in all. */
export function flatKeys(random: Random): GroupKeyAgreement {
  return {
    name: 'flat',
    rekey: (members) => {
      const secret = random.bytes(32);
      return { secret, messages: new Map(members.map((member) => [member, secret.slice()])) };
    },
    accept: (message) => {
      if (message.length !== 32) throw new Malformed('an epoch secret has 32 bytes');
      return message.slice();
    },
  };
}

/** What an epoch is bound to: both ends must have read the same log. */
export interface EpochFacts {
  readonly domain: string;
  readonly epoch: number;
  /** Index and hash of the log entry that begins it. */
  readonly index: number;
  readonly head: Uint8Array;
  /** Hash of the roster it is for. */
  readonly roster: Uint8Array;
}

/**
 * The keys of an epoch: HKDF-SHA-256 of the shared secret with domain, epoch, log index, head hash and roster hash as
 * info, so that members who were told two stories share no key.
 */
export function epochKeys(secret: Uint8Array, facts: EpochFacts): EpochKeys {
  const { domain, epoch, index, head, roster } = facts;
  const derive = (label: string, length: number) =>
    hkdf(secret, new Uint8Array(), encodeCbor([label, domain, epoch, index, head, roster]), length);
  const derived = derive('td1 epoch', 32);
  const keys = EpochKeys.group({ domain, epoch, confirmation: derive('td1 confirm', 16), secret: derived });
  wipe(derived);
  return keys;
}

/** The epochs whose keys are held: the current one and, for a short time, the one before. */
export class EpochRing {
  readonly #clock: Clock;
  readonly #graceMs: number;
  #current: EpochKeys | undefined;
  #before: { readonly keys: EpochKeys; readonly until: number; readonly cancel: () => void } | undefined;

  /** @param graceMs how long others' messages of the epoch before count, on our own clock. */
  constructor(clock: Clock, graceMs: number) {
    this.#clock = clock;
    this.#graceMs = graceMs;
  }

  /** 0 before the first. */
  get epoch(): number {
    return this.#current?.epoch ?? 0;
  }

  get current(): EpochKeys | undefined {
    return this.#current;
  }

  /** Begins a later epoch. @returns false, and nothing changed, when it does not rise. */
  begin(keys: EpochKeys): boolean {
    if (keys.epoch <= this.epoch) return false;
    this.#dropBefore();
    const before = this.#current;
    this.#current = keys;
    if (before !== undefined) {
      const until = this.#clock.elapsed() + this.#graceMs;
      const cancel = this.#clock.schedule(this.#graceMs, () => this.#dropBefore());
      this.#before = { keys: before, until, cancel };
    }
    return true;
  }

  /** Keys of `epoch`, when they are held now. */
  keys(epoch: number): EpochKeys | undefined {
    if (this.#current?.epoch === epoch) return this.#current;
    const before = this.#before;
    return before?.keys.epoch === epoch && this.#clock.elapsed() < before.until ? before.keys : undefined;
  }

  /** Wipes everything. Idempotent. */
  close(): void {
    this.#dropBefore();
    this.#current?.close();
  }

  #dropBefore(): void {
    this.#before?.cancel();
    this.#before?.keys.close();
    this.#before = undefined;
  }
}
