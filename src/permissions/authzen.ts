import type { JsonObject } from '../core/json.ts';
import { check, v } from '../core/schema.ts';
import type { Arguments } from '../grants/index.ts';
import type { ActionRequest, Decision } from './decision.ts';

/** One answer of the AuthZEN Authorization API 1.0, section 5.5. */
export interface AuthZenDecision {
  readonly decision: boolean;
  readonly context: JsonObject;
}

/** Most requests in one batch. */
const BATCH_MAX = 128;

/**
 * The outside face of the decision point: an AuthZEN 1.0 access evaluation (section 6) as one of our decisions.
 *
 * `subject.id` is the agent that asks, `resource` of type `device` names the device, `action.name` the action, and
 * `action.properties` are its arguments. Properties of subject and resource, and the caller's `context`, are never inputs
 * of a condition: they are read over.
 *
 * @param decide for example `(request) => pep.simulate(request)`. Deciding does nothing; only `act` acts.
 * @throws {Malformed} when it is not an evaluation request.
 */
export function evaluateAuthZen(
  json: unknown,
  decide: (request: ActionRequest) => Decision,
): AuthZenDecision {
  return answer(check(Evaluation, json, 'evaluation request'), decide);
}

/**
 * A batch (section 7): members of the batch are defaults of its requests; `options.evaluations_semantic` says where it
 * stops.
 *
 * @throws {Malformed}
 */
export function evaluateAllAuthZen(
  json: unknown,
  decide: (request: ActionRequest) => Decision,
): { readonly evaluations: readonly AuthZenDecision[] } {
  const { evaluations, options, ...defaults } = check(Batch, json, 'evaluations request');
  const semantic = options?.evaluations_semantic ?? 'execute_all';
  const answers: AuthZenDecision[] = [];
  for (const one of evaluations) {
    const own = answer(check(Evaluation, { ...defaults, ...one }, 'evaluation request'), decide);
    answers.push(own);
    if (semantic === 'deny_on_first_deny' && !own.decision) break;
    if (semantic === 'permit_on_first_permit' && own.decision) break;
  }
  return { evaluations: answers };
}

function answer(
  { subject, action, resource }: v.InferOutput<typeof Evaluation>,
  decide: (request: ActionRequest) => Decision,
): AuthZenDecision {
  const { verdict, id, reason, message } = decide({
    device: resource.id,
    action: action.name,
    arguments: action.properties as Arguments | undefined,
    subjects: [subject.id],
  });
  return { decision: verdict === 'permit', context: { id, reason, reason_user: { en: message } } };
}

const Id = v.pipe(v.string(), v.minLength(1), v.maxLength(512));
const Anything = v.optional(v.record(v.string(), v.unknown()));
const Subject = v.object({ type: Id, id: Id, properties: Anything });
const Action = v.object({
  name: Id,
  properties: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
});
const Resource = v.object({ type: v.literal('device'), id: Id, properties: Anything });
const Evaluation = v.object({ subject: Subject, action: Action, resource: Resource, context: Anything });
const Batch = v.object({
  subject: v.optional(Subject),
  action: v.optional(Action),
  resource: v.optional(Resource),
  context: Anything,
  evaluations: v.pipe(v.array(v.record(v.string(), v.unknown())), v.minLength(1), v.maxLength(BATCH_MAX)),
  options: v.optional(
    v.object({
      evaluations_semantic: v.optional(
        v.picklist(['execute_all', 'deny_on_first_deny', 'permit_on_first_permit']),
      ),
    }),
  ),
});
