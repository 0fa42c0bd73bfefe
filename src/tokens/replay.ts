import type { Clock } from '../core/platform.ts';
import { ProofRefused } from './errors.ts';

/** Lets each proof count once. */
export interface ReplayGuard {
  /**
   * @param proof.id unique for the proof and its key.
   * @param proof.forMs how long the proof could still be shown, in milliseconds from now.
   * @param proof.nonce whether it carries a nonce this receiver gave.
   * @throws {ProofRefused} `replayed`, `replay-full`, `nonce-required`.
   */
  admit(proof: {
    readonly id: string;
    readonly forMs: number;
    readonly nonce: boolean;
  }): void | Promise<void>;
}

/** Bounds of {@link replayCache}. */
export interface ReplayCacheOptions {
  readonly clock: Clock;
  /** Longest time a proof can be shown, in milliseconds. Default: 300,000. */
  readonly windowMs?: number;
  /** Proofs remembered at a time. Default: 65,536. */
  readonly capacity?: number;
}

/**
 * A replay cache in memory. It forgets by time, never by count: a full one refuses new proofs. What was seen before a
 * restart is not known, so for the length of one window after its start every proof must carry this receiver's nonce.
 */
export function replayCache(options: ReplayCacheOptions): ReplayGuard {
  const { clock, windowMs = 300_000, capacity = 65_536 } = options;
  const warmAt = clock.elapsed() + windowMs;
  const seen = new Map<string, number>();
  let sweepAt = 0;
  const sweep = (now: number) => {
    if (now < sweepAt) return;
    let next = Number.POSITIVE_INFINITY;
    for (const [id, end] of seen) {
      if (end <= now) seen.delete(id);
      else next = Math.min(next, end);
    }
    // Not more often than once a second, or a full cache would be swept for each proof it refuses.
    sweepAt = Math.max(now + 1_000, Math.min(next, now + windowMs));
  };
  return {
    admit: ({ id, forMs, nonce }) => {
      const now = clock.elapsed();
      if (!(forMs <= windowMs))
        throw new ProofRefused('life', `a proof may be shown for at most ${windowMs} ms`);
      if (!nonce && now < warmAt)
        throw new ProofRefused('nonce-required', 'this receiver has just started: prove with its nonce');
      const known = seen.get(id);
      if (known !== undefined && known > now)
        throw new ProofRefused('replayed', 'the proof was shown before');
      if (seen.size >= capacity) sweep(now);
      if (seen.size >= capacity) throw new ProofRefused('replay-full', 'too many proofs at a time');
      seen.set(id, now + Math.max(0, forMs));
      if (seen.size * 2 > capacity) sweep(now);
    },
  };
}
