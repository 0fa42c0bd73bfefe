import { check, v } from '../core/schema.ts';
import { payloadMax } from '../messaging/index.ts';
import { bytesOf, bytesUpTo, whole } from './messages.ts';

const nonce = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/, 'a nonce'));
const reason = v.pipe(v.string(), v.maxLength(256));
const index = v.pipe(v.number(), v.safeInteger(), v.minValue(-1));

/**
 * What coordinator and members tell each other in inboxes, each sealed under the pairwise key: by the envelope's type.
 * `docs/reference/wire.md` shows one of each.
 */
export const memberMessages = {
  /** Member: I live, and this is what I know. `key` is the newest log key it holds. */
  beat: v.strictObject({ nonce, epoch: whole, index, head: bytesOf(32), key: whole }),
  /** Coordinator: I heard you; this is what there is. */
  echo: v.strictObject({ nonce, epoch: whole, index, head: bytesOf(32) }),
  /** Coordinator: the key agreement's message for you, begun by the log entry with that index, and log keys. */
  epoch: v.strictObject({
    epoch: v.pipe(whole, v.minValue(1)),
    index: whole,
    message: bytesUpTo(65_536),
    keys: v.pipe(v.array(v.strictTuple([v.pipe(whole, v.minValue(1)), bytesOf(32)])), v.maxLength(1024)),
  }),
  /** Member: give me the log from there. */
  'log-get': v.strictObject({ from: whole }),
  /** Coordinator: entries in order, and the index of the newest. */
  log: v.strictObject({ entries: v.pipe(v.array(bytesUpTo(payloadMax)), v.maxLength(256)), newest: index }),
  /** Member: renewed papers, see the log's `renew`. */
  renew: v.strictObject({
    papers: bytesUpTo(49_152),
    seenIndex: whole,
    seenHash: bytesOf(32),
    signature: bytesOf(64),
  }),
  /** Member: I go. */
  leave: v.strictObject({ reason }),
  /** Coordinator: you are out. */
  evicted: v.strictObject({ reason }),
  /** Coordinator: the domain is over; the tombstone's signed head. */
  end: v.strictObject({ head: bytesUpTo(2048) }),
  /** Member: everything of mine has stopped. */
  ended: v.strictObject({}),
} as const;

/** The name of a {@link memberMessages} message. */
export type MemberMessageType = keyof typeof memberMessages;

/** The body of one. */
export type MemberMessage<T extends MemberMessageType> = v.InferOutput<(typeof memberMessages)[T]>;

/** Types that only the coordinator may send. */
export const fromCoordinator: readonly string[] = ['echo', 'epoch', 'log', 'evicted', 'end'];
/** Types that only go to the coordinator. */
export const toCoordinator: readonly string[] = ['beat', 'log-get', 'renew', 'leave', 'ended'];

/** The body of a member message, checked. @throws {Malformed} */
export function readMemberMessage<T extends MemberMessageType>(type: T, body: unknown): MemberMessage<T> {
  return check(memberMessages[type], body, `message \`${type}\``) as MemberMessage<T>;
}
