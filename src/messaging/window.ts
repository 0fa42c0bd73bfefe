/** How many sequence numbers behind the newest are still accepted once each. */
export const windowSize = 1024;

/**
 * Anti-replay window (RFC 4303 §3.4.3 and appendix A2, with 64-bit numbers): reordering within 1,024 and losses of any
 * length are free, nothing counts twice. `look` before the cryptography, `accept` only after all of it.
 */
export class Window {
  #newest = 0n;
  readonly #seen = new Uint32Array(windowSize / 32);

  /** Highest number accepted; 0 when none. */
  get newest(): bigint {
    return this.#newest;
  }

  /** Whether `seq` could be accepted; changes nothing. Numbers begin at 1. */
  look(seq: bigint): 'new' | 'seen' | 'old' {
    if (seq <= 0n) return 'old';
    if (seq > this.#newest) return 'new';
    if (this.#newest - seq >= BigInt(windowSize)) return 'old';
    return this.#bit(seq) ? 'seen' : 'new';
  }

  /** Marks `seq` as received and moves the window. @returns false, and nothing changed, when it is not new. */
  accept(seq: bigint): boolean {
    if (this.look(seq) !== 'new') return false;
    if (seq > this.#newest) {
      const step = seq - this.#newest;
      if (step >= BigInt(windowSize)) this.#seen.fill(0);
      else for (let between = this.#newest + 1n; between < seq; between++) this.#set(between, false);
      this.#newest = seq;
    }
    this.#set(seq, true);
    return true;
  }

  #bit(seq: bigint): boolean {
    const at = Number(seq % BigInt(windowSize));
    return ((this.#seen[at >>> 5] ?? 0) & (1 << (at & 31))) !== 0;
  }

  #set(seq: bigint, on: boolean): void {
    const at = Number(seq % BigInt(windowSize));
    const word = this.#seen[at >>> 5] ?? 0;
    this.#seen[at >>> 5] = on ? word | (1 << (at & 31)) : word & ~(1 << (at & 31));
  }
}
