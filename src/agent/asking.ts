import { messageOf } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import type { Log } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { Membership } from '../domains/index.ts';
import type { Pep } from '../permissions/index.ts';
import { PermissionDenied } from '../permissions/index.ts';

/** What one member asks of another's device. */
const askSchema = v.strictObject({
  op: v.literal('act'),
  device: v.pipe(v.string(), v.maxLength(64)),
  action: v.pipe(v.string(), v.maxLength(64)),
  arguments: v.optional(
    v.record(v.pipe(v.string(), v.maxLength(64)), v.union([v.string(), v.number(), v.boolean()])),
  ),
  txn: v.optional(v.pipe(v.string(), v.maxLength(128))),
});

/** A request to another member: `{ op: 'act', device, action, arguments?, txn? }`. */
export type Ask = v.InferOutput<typeof askSchema>;

const answerSchema = v.strictObject({
  permitted: v.boolean(),
  /** Identifier of the decision there, for `fealty why`. */
  decision: v.string(),
  /** Why not; `permitted` otherwise. */
  reason: v.string(),
  /** Whether it still runs, under a lease. */
  running: v.boolean(),
});

/** What became of it. A refusal names its reason and decision, never the inputs. */
export type Answer = v.InferOutput<typeof answerSchema>;

/**
 * Lets the members of a domain ask for actions here. Both must be allowed: who asks, by its assignment, and this agent,
 * by its own token (decision 0010).
 */
export function answerAsks(membership: Membership, pep: Pep, log: Log): void {
  membership.answer(async (body, from): Promise<Answer> => {
    const ask = check(askSchema, body, 'request of a member');
    try {
      const { decision, running } = await pep.act({
        device: ask.device,
        action: ask.action,
        arguments: ask.arguments,
        txn: ask.txn,
        task: membership.task,
        subjects: [from, membership.agentId],
      });
      return {
        permitted: true,
        decision: decision.id,
        reason: decision.reason,
        running: running !== undefined,
      };
    } catch (error) {
      if (!(error instanceof PermissionDenied)) {
        // The asker learns the code alone; the reason is for whoever looks after this machine.
        log.warn('an action that was asked for failed', {
          from,
          action: ask.action,
          error: messageOf(error),
        });
        throw error;
      }
      const { id, reason } = error.decision;
      return { permitted: false, decision: id, reason, running: false };
    }
  });
}

/** Asks `agentId` for an action. @throws {AskFailed} when it does not answer. */
export async function askFor(membership: Membership, agentId: string, ask: Omit<Ask, 'op'>): Promise<Answer> {
  const answer = await membership.ask(agentId, { op: 'act', ...ask });
  return check(answerSchema, answer as Json, 'answer of a member');
}
