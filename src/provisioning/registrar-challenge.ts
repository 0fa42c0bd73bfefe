import { base64url, fromBase64url } from '../core/bytes.ts';
import { FealtyError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { check, v } from '../core/schema.ts';
import { refuse } from './refuse.ts';
import { LIFETIMES } from './registrar-issue.ts';
import type { RegistrarOptions } from './registrar-options.ts';

/** Too many challenges wait for their answers. */
export class RegistrarBusy extends FealtyError {
  override readonly code = 'provisioning.busy';
  override readonly remedy = 'retry';
}

const text = v.string();
const common = { nonce: text, agentId: text };

/** What the registrar remembers between challenge and answer. Nothing of it is taken from the device again. */
export const enrolState = v.strictObject({
  kind: v.literal('enrol'),
  ...common,
  activationSecret: text,
  csr: text,
  maker: text,
  model: text,
  serial: text,
  ek: text,
  iak: text,
  idevidName: text,
  hwSerialNum: text,
  simulated: v.boolean(),
  capabilities: v.array(text),
  owner: text,
  aibom: text,
  endorsement: text,
});
/** {@link enrolState} */
export type EnrolState = v.InferOutput<typeof enrolState>;

/** The same for a renewal. */
export const renewState = v.strictObject({ kind: v.literal('renew'), ...common });
/** {@link renewState} */
export type RenewState = v.InferOutput<typeof renewState>;

/** Stores a challenge; the caller has filled `state.nonce`. @returns its identifier. @throws {RegistrarBusy} */
export async function putChallenge(
  options: RegistrarOptions,
  state: EnrolState | RenewState,
): Promise<string> {
  const { platform, store, lifetimes, challengesMax = 10_000 } = options;
  const at = platform.clock.now();
  if ((await store.sweepChallenges(at)) >= challengesMax)
    throw new RegistrarBusy('too many devices are enrolling');
  const id = base64url(platform.random.bytes(32));
  await store.putChallenge({
    id,
    expiresAt: at + (lifetimes?.challengeMs ?? LIFETIMES.challengeMs),
    state: JSON.stringify(state),
  });
  return id;
}

/** The challenge `id`, once. @throws {EnrolmentRefused} `challenge`: unknown, used, expired, or for something else. */
export async function takeChallenge<const S extends v.GenericSchema<unknown, EnrolState | RenewState>>(
  options: RegistrarOptions,
  schema: S,
  id: string,
): Promise<v.InferOutput<S> & { readonly nonceBytes: Uint8Array }> {
  const record = await options.store.takeChallenge(id);
  if (record === undefined)
    return refuse('challenge', 'there is no such challenge, or it was answered before');
  if (record.expiresAt <= options.platform.clock.now()) refuse('challenge', 'it has expired');
  const json = parseJson(record.state, { maxBytes: 1 << 20 });
  if (!v.is(v.looseObject({ kind: v.string() }), json)) throw new TypeError('a stored challenge is broken');
  const parsed = v.safeParse(schema, json);
  if (!parsed.success) return refuse('challenge', 'it was made for something else');
  const state: v.InferOutput<S> = check(schema, json, 'stored challenge');
  return { ...state, nonceBytes: fromBase64url(state.nonce) };
}
