import type { Decision } from './decision.ts';
import { explain } from './explain.ts';
import type { LeaseEnd } from './lease.ts';

/** How many decisions are kept for `why`. */
const KEPT_MAX = 256;

/** @internal Recent decisions and how they ended, for people who ask. In memory alone: the audit log is what lasts. */
export class History {
  readonly #kept = new Map<string, { readonly decision: Decision; end?: LeaseEnd }>();

  /** Keeps one more; the oldest goes when there are too many. */
  keep(decision: Decision): void {
    if (this.#kept.size >= KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value ?? '');
    this.#kept.set(decision.id, { decision });
  }

  /** The action of a decision is over. Nothing happens when the decision is no longer kept. */
  ended(id: string, end: LeaseEnd): void {
    const kept = this.#kept.get(id);
    if (kept !== undefined) kept.end = end;
  }

  /** A decision in words, with the tree of conditions and why its action ended; `undefined` when it is not kept. */
  why(id: string): string | undefined {
    const kept = this.#kept.get(id);
    if (kept?.end === undefined) return kept && explain(kept.decision);
    return kept.end.cause === 'withdrawn'
      ? `${explain(kept.decision)}\nended, no longer permitted:\n${explain(kept.end.decision)}`
      : `${explain(kept.decision)}\nended: ${kept.end.cause}`;
  }

  /** All that are kept, oldest first. */
  recent(): readonly Decision[] {
    return [...this.#kept.values()].map(({ decision }) => decision);
  }
}
