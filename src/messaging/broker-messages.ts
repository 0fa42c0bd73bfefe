import { text, utf8 } from '../core/bytes.ts';
import { parseJson } from '../core/json.ts';
import { check, v } from '../core/schema.ts';
import { isDomainId, isSlug } from './topics.ts';

/** Most slugs in one request. */
export const batchMax = 1000;

const id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{8,64}$/));
const domain = v.pipe(v.string(), v.check(isDomainId));
const slugs = v.pipe(v.array(v.pipe(v.string(), v.check(isSlug))), v.minLength(1), v.maxLength(batchMax));

const request = v.variant('op', [
  v.strictObject({
    op: v.literal('open'),
    id,
    domain,
    grant: v.pipe(v.string(), v.minLength(1), v.maxLength(16_384)),
  }),
  v.strictObject({ op: v.literal('admit'), id, domain, slugs }),
  v.strictObject({ op: v.literal('evict'), id, domain, slugs }),
  v.strictObject({ op: v.literal('destroy'), id, domain }),
]);

const answer = v.union([
  v.strictObject({ id, ok: v.literal(true) }),
  v.strictObject({
    id,
    ok: v.literal(false),
    /** See `BrokerRefused.check`. */
    check: v.pipe(v.string(), v.maxLength(64)),
    message: v.pipe(v.string(), v.maxLength(256)),
  }),
]);

/** What a coordinator asks of the embedded broker, on `td1/broker/control`. Who asks is known from TLS. */
export type BrokerRequest = v.InferOutput<typeof request>;
/** The same without its number. */
export type BrokerQuestion = BrokerRequest extends infer R
  ? R extends { id: string }
    ? Omit<R, 'id'>
    : never
  : never;
/** What the broker answers, on `td1/broker/answer/<slug>`. */
export type BrokerAnswer = v.InferOutput<typeof answer>;

/** JSON, UTF-8. */
export function encodeBrokerMessage(message: BrokerRequest | BrokerAnswer): Uint8Array {
  return utf8(JSON.stringify(message));
}

/** @throws {Malformed} */
export function readBrokerRequest(payload: Uint8Array): BrokerRequest {
  return check(request, parseJson(text(payload)), 'request to the broker');
}

/** The number of a request whose rest may be wrong, so that it can be answered; `undefined` when it has none. */
export function requestIdOf(payload: Uint8Array): string | undefined {
  try {
    return check(v.object({ id }), parseJson(text(payload)), 'request to the broker').id;
  } catch {
    return undefined;
  }
}

/** @throws {Malformed} */
export function readBrokerAnswer(payload: Uint8Array): BrokerAnswer {
  return check(answer, parseJson(text(payload)), 'answer of the broker');
}
