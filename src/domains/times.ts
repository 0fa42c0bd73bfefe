import type { DomainTimes } from './types.ts';

/** Times of a domain, all of them. */
export interface Times {
  readonly heartbeatMs: number;
  readonly tenureMs: number;
  readonly observeMs: number;
  readonly graceMs: number;
  readonly batchMs: number;
  readonly handshakeMs: number;
}

/** Fills in the defaults of {@link DomainTimes}. @throws {TypeError} for times that contradict each other. */
export function timesOf(times: DomainTimes = {}): Times {
  const { heartbeatMs = 2_000, tenureMs = 10_000 } = times;
  const all = {
    heartbeatMs,
    tenureMs,
    observeMs: times.observeMs ?? tenureMs / 2,
    graceMs: times.graceMs ?? 2_000,
    batchMs: times.batchMs ?? 1_000,
    handshakeMs: times.handshakeMs ?? 10_000,
  };
  for (const [name, value] of Object.entries(all))
    if (!(value >= 0 && value <= 3_600_000))
      throw new TypeError(`\`${name}\` must be between 0 and 3,600,000`);
  if (all.heartbeatMs < 10) throw new TypeError('`heartbeatMs` must be at least 10');
  if (!(all.heartbeatMs < all.observeMs && all.observeMs <= all.tenureMs))
    throw new TypeError('`heartbeatMs` < `observeMs` ≤ `tenureMs` must hold');
  return all;
}
