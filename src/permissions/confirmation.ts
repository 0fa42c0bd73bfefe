import { hex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { canonicalBytes, canonicalJson } from '../core/json.ts';
import type { Grant } from '../grants/index.ts';
import type { ActionRequest, ConfirmationNeeded } from './decision.ts';
import { TooMany } from './errors.ts';
import type { TimeTrust } from './time.ts';

/** A person's yes to one action, given out of band (design.md section 6, Confirmation). */
export interface Confirmation {
  /** Who said yes: an identifier of a person or role of the owner. */
  readonly by: string;
  readonly device: string;
  readonly action: string;
  /** RFC 8785 canonical JSON of the arguments. */
  readonly arguments: string;
  /** The agent that asked: the first subject of the request. */
  readonly agent: string;
  readonly txn: string;
  /** SHA-256 (hex) of the policy under which it was asked for. */
  readonly policy: string;
  /** NumericDate, seconds since 1970. */
  readonly exp: number;
}

/**
 * Confirmations that were given and not yet used. Each counts once, for exactly what it names.
 * Whoever calls `add` has checked that the person named in `by` gave it, by a way that does not lead through the agent.
 * They are not stored: after a restart the person is asked again.
 */
export class Confirmations {
  readonly #time: TimeTrust;
  readonly #given = new Map<string, Confirmation>();

  constructor(time: TimeTrust) {
    this.#time = time;
  }

  /** @throws {TooMany} when 1,024 wait to be used. */
  add(confirmation: Confirmation): void {
    for (const [key, one] of this.#given)
      if (this.#time.before(one.exp * 1_000) === 0) this.#given.delete(key);
    if (this.#given.size >= 1_024) throw new TooMany('more than 1,024 unused confirmations');
    this.#given.set(keyOf(confirmation), confirmation);
  }

  /** Whether everything in `needed` was confirmed for exactly this request and has certainly not expired. */
  holds(request: ActionRequest, needed: readonly ConfirmationNeeded[]): boolean {
    return needed.every((one) => {
      const found = this.#given.get(keyFor(request, one));
      return found !== undefined && this.#time.before(found.exp * 1_000) === 1;
    });
  }

  /** Uses them up. */
  consume(request: ActionRequest, needed: readonly ConfirmationNeeded[]): void {
    for (const one of needed) this.#given.delete(keyFor(request, one));
  }
}

/** SHA-256 (hex) of the canonical grants, root last: what a person is shown and confirms under. */
export function policyDigest(grants: readonly Grant[]): string {
  return hex(sha256(canonicalBytes(grants)));
}

function keyFor(request: ActionRequest, needed: ConfirmationNeeded): string {
  // A request without a transaction cannot be told from another: it matches nothing.
  return keyOf({
    by: needed.by,
    policy: needed.policy,
    device: request.device,
    action: request.action,
    arguments: canonicalJson(request.arguments ?? {}),
    agent: request.subjects[0] ?? '',
    txn: request.txn ?? '\u0000none',
  });
}

function keyOf(one: Omit<Confirmation, 'exp'>): string {
  return JSON.stringify([one.by, one.policy, one.device, one.action, one.arguments, one.agent, one.txn]);
}
