interface Bucket {
  tokens: number;
  atMs: number;
}

/** How much an agent may say in lobbies: bursts, and how fast they fill again. */
const perPair = { burst: 12, perSecond: 1 };
const perSender = { burst: 400, perSecond: 100 };
const bucketsMax = 20_000;

/**
 * Limits lobby traffic before anybody does asymmetric work for it: 12 messages at once and then one a second from one
 * agent to another, 400 and then 100 a second from one agent to all. When more pairs talk than can be remembered, new
 * pairs are refused: a flood must not push out what is known.
 */
export class LobbyRate {
  readonly #pairs = new Map<string, Bucket>();
  readonly #senders = new Map<string, Bucket>();
  #forgotAtMs = Number.NEGATIVE_INFINITY;

  /** Whether a message may pass, which counts it. @param nowMs of a clock that never goes back. */
  take(from: string, to: string, nowMs: number): boolean {
    if (this.#pairs.size >= bucketsMax || this.#senders.size >= bucketsMax) this.#forget(nowMs);
    const sender = bucket(this.#senders, from, perSender, nowMs);
    const pair = bucket(this.#pairs, `${from} ${to}`, perPair, nowMs);
    if (sender === undefined || pair === undefined || sender.tokens < 1 || pair.tokens < 1) return false;
    sender.tokens -= 1;
    pair.tokens -= 1;
    return true;
  }

  /** Full buckets are as good as none. Looked for once a second at most, or a flood would cost a search each. */
  #forget(nowMs: number): void {
    if (nowMs - this.#forgotAtMs < 1000) return;
    this.#forgotAtMs = nowMs;
    for (const [buckets, rate] of [
      [this.#pairs, perPair],
      [this.#senders, perSender],
    ] as const)
      for (const [id, each] of buckets)
        if (each.tokens + ((nowMs - each.atMs) / 1000) * rate.perSecond >= rate.burst) buckets.delete(id);
  }
}

function bucket(
  buckets: Map<string, Bucket>,
  id: string,
  rate: { readonly burst: number; readonly perSecond: number },
  nowMs: number,
): Bucket | undefined {
  const known = buckets.get(id);
  if (known === undefined) {
    if (buckets.size >= bucketsMax) return undefined;
    const fresh = { tokens: rate.burst, atMs: nowMs };
    buckets.set(id, fresh);
    return fresh;
  }
  known.tokens = Math.min(rate.burst, known.tokens + ((nowMs - known.atMs) / 1000) * rate.perSecond);
  known.atMs = nowMs;
  return known;
}
