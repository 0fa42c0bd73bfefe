import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat, fromHex, hex, u64 } from '../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import { check, v } from '../core/schema.ts';
import { verifySignature } from '../core/signer.ts';
import { A256GCM, countersignStructure, ES256, encStructure, HEADER } from './cose.ts';
import { readEnvelope } from './envelope-form.ts';
import { MessageRefused } from './errors.ts';
import { payloadMax } from './link.ts';
import type { EpochKeys, OwnSession, Peer } from './session.ts';
import { readTopic } from './topics.ts';

/** Largest envelope in bytes. */
export const envelopeMax = payloadMax;

/** What an envelope carries, apart from who, where and in which order, which its protection binds. */
export interface Content {
  /** When it was made, milliseconds since 1970 by the sender's clock. */
  readonly ts: number;
  /** Until when it may be used, milliseconds since 1970. */
  readonly exp: number;
  /** Topic on which an answer is expected. */
  readonly reply?: string | undefined;
  /** Identifier that the answer repeats. At most 128 characters. */
  readonly corr?: string | undefined;
  /** Identifier of the grant or assignment under which it is said. At most 256 characters. */
  readonly grant?: string | undefined;
  /** Anything deterministic CBOR can hold: text, numbers, bytes, arrays, objects with text keys; not `undefined`. */
  readonly body: unknown;
}

/** What `seal` needs. */
export interface SealOptions extends Content {
  readonly session: OwnSession;
  readonly keys: EpochKeys;
  readonly topic: string;
  /** What the body means, for example `heartbeat`: `[a-z][a-z0-9.-]*`, at most 64 characters. Header `typ`. */
  readonly type: string;
}

/** What `open` needs to know. */
export interface OpenOptions {
  /** The topic the message came on. */
  readonly topic: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The member with this session key, or `undefined`. */
  readonly sender: (keyId: string) => Peer | undefined;
  /** The keys of this epoch (0: the pairwise keys shared with `sender`), or `undefined` when not held or no longer. */
  readonly epoch: (epoch: number, sender: Peer) => EpochKeys | undefined;
}

/** A message that passed every check. */
export interface Opened extends Content {
  readonly sender: Peer;
  readonly epoch: number;
  readonly seq: bigint;
  readonly topic: string;
  readonly type: string;
}

const signProtected = encodeCbor(new Map([[HEADER.alg, ES256]]));
const typeForm = /^[a-z][a-z0-9.-]{0,63}$/;
const instant = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const contentSchema = v.strictObject({
  ts: instant,
  exp: instant,
  reply: v.optional(v.pipe(v.string(), v.maxLength(256))),
  corr: v.optional(v.pipe(v.string(), v.maxLength(128))),
  grant: v.optional(v.pipe(v.string(), v.maxLength(256))),
  body: v.unknown(),
});

/**
 * One message, encrypted for the members of an epoch (or for one member) and countersigned by the sender: a
 * COSE_Encrypt0 (RFC 9052 §5.2, A256GCM) with a version 2 countersignature (RFC 9338, ES256) whose external data binds
 * domain, epoch, its confirmation, session key, sequence number, topic and type. See docs/reference/wire.md.
 *
 * @throws {TypeError} when topic, type or content is nothing a receiver would accept.
 * @throws {MessageRefused} check `size`: the envelope would be larger than 128 KiB.
 * @throws {SessionEnded} `messaging.session-ended`.
 */
export function seal(options: SealOptions): Uint8Array {
  const { session, keys, topic, type } = options;
  const fault = topicFault(topic, keys.domain, keys.epoch, session.slug, options.reply);
  if (fault) throw new TypeError(fault);
  if (!typeForm.test(type)) throw new TypeError('`type` must be lower case letters, digits, dot and dash');
  const plaintext = encodeCbor(contentOf(options));
  if (plaintext.length > envelopeMax - 512) throw new MessageRefused('size', 'the message is too large');
  const aeadKey = keys.senderKey(session.keyHash);
  const seq = session.next(keys);
  const bodyProtected = protectedHeader(type);
  const externalAad = externalData(keys, session.keyId, seq, topic, type);
  const cipher = createCipheriv('aes-256-gcm', aeadKey, nonceOf(seq));
  cipher.setAAD(encStructure(bodyProtected, externalAad));
  const ciphertext = concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
  const signature = session.sign(countersignStructure(bodyProtected, signProtected, externalAad, ciphertext));
  const envelope = encodeCbor([
    bodyProtected,
    new Map<number, unknown>([
      [HEADER.kid, fromHex(session.keyId)],
      [HEADER.partialIv, shortest(seq)],
      [HEADER.kidContext, shortest(BigInt(keys.epoch))],
      [HEADER.countersignature, [signProtected, new Map(), signature]],
    ]),
    ciphertext,
  ]);
  return new Uint8Array(envelope);
}

/**
 * Checks and decrypts one message. The order is: form, sender, topic, epoch, window, AEAD, signature; only then does
 * the window move, and the content is read. An outsider's forgery costs 10 µs, and no message without the sender's own
 * signature can make a later one unacceptable.
 *
 * Objects in `body` have no prototype.
 *
 * @throws {MessageRefused} `messaging.message-refused`, naming the check. It throws nothing else for any bytes.
 */
export function open(bytes: Uint8Array, options: OpenOptions): Opened {
  if (bytes.length > envelopeMax) throw new MessageRefused('size', 'the message is too large');
  const form = readEnvelope(bytes);
  if (form === undefined || !typeForm.test(form.type))
    throw new MessageRefused('form', 'the bytes are not an envelope');
  const sender = options.sender(hex(form.keyId));
  if (sender === undefined) throw new MessageRefused('unknown-sender', 'the session key is not a member’s');
  const keys = options.epoch(form.epoch, sender);
  if (keys === undefined || keys.closed || keys.epoch !== form.epoch)
    throw new MessageRefused('epoch', `epoch ${form.epoch} is not held`);
  const fault = topicFault(options.topic, keys.domain, keys.epoch, sender.slug);
  if (fault) throw new MessageRefused('topic', fault);
  const window = sender.window(keys.channel);
  if (window.look(form.seq) !== 'new') throw new MessageRefused('replay', 'the message was received before');
  const externalAad = externalData(keys, sender.keyId, form.seq, options.topic, form.type);
  const plaintext = decrypt(keys.senderKey(sender.keyHash), form, externalAad);
  const signed = countersignStructure(form.bodyProtected, signProtected, externalAad, form.ciphertext);
  if (!verifySignature(sender.publicJwk, signed, form.signature))
    throw new MessageRefused('signature', 'the countersignature is not the sender’s');
  window.accept(form.seq);
  const content = readContent(plaintext);
  const reply = content.reply === undefined ? undefined : readTopic(content.reply);
  if (
    content.reply !== undefined &&
    (reply === undefined || !('domain' in reply) || reply.domain !== keys.domain)
  )
    throw new MessageRefused('content', 'the reply topic is not one of this domain');
  if (options.now > content.exp) throw new MessageRefused('expired', 'the message has expired');
  return {
    sender,
    epoch: keys.epoch,
    seq: form.seq,
    topic: options.topic,
    type: form.type,
    ...content,
  };
}

/** Why a sender may not speak on a topic under these keys, or `undefined` when it may. */
function topicFault(
  topic: string,
  domain: string,
  epoch: number,
  from: string,
  reply?: string,
): string | undefined {
  const read = readTopic(topic);
  if (read === undefined || !('domain' in read) || read.domain !== domain)
    return 'not a topic of this domain';
  if ('from' in read && read.from !== from) return 'the topic is another member’s';
  if (epoch === 0 && read.kind !== 'inbox') return 'pairwise keys are for inboxes';
  const answer = reply === undefined ? undefined : readTopic(reply);
  if (reply !== undefined && (answer === undefined || !('domain' in answer) || answer.domain !== domain))
    return 'the reply topic is not one of this domain';
  return undefined;
}

function contentOf(options: Content): Record<string, unknown> {
  const { ts, exp, reply, corr, grant, body } = options;
  const content = {
    ts,
    exp,
    ...(reply === undefined ? {} : { reply }),
    ...(corr === undefined ? {} : { corr }),
    ...(grant === undefined ? {} : { grant }),
    body,
  };
  if (body === undefined || !v.safeParse(contentSchema, content).success)
    throw new TypeError('the content of a message has the wrong form');
  return content;
}

function readContent(plaintext: Uint8Array): Content {
  try {
    const content = decodeCbor(plaintext);
    if (typeof content !== 'object' || content === null || !('body' in content))
      throw new TypeError('no body');
    return check(contentSchema, content, 'content of a message');
  } catch (cause) {
    throw new MessageRefused('content', 'the content is not that of an envelope', { cause });
  }
}

function decrypt(
  key: Uint8Array,
  form: { readonly bodyProtected: Uint8Array; readonly ciphertext: Uint8Array; readonly seq: bigint },
  externalAad: Uint8Array,
): Uint8Array {
  const tagAt = form.ciphertext.length - 16;
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(form.seq), { authTagLength: 16 });
  decipher.setAAD(encStructure(form.bodyProtected, externalAad));
  decipher.setAuthTag(form.ciphertext.subarray(tagAt));
  const plaintext = decipher.update(form.ciphertext.subarray(0, tagAt));
  try {
    decipher.final();
  } catch {
    throw new MessageRefused('seal', 'the message was not sealed for here');
  }
  return new Uint8Array(plaintext);
}

function externalData(keys: EpochKeys, keyId: string, seq: bigint, topic: string, type: string): Uint8Array {
  return encodeCbor(['td1', keys.domain, keys.epoch, keys.confirmation, fromHex(keyId), seq, topic, type]);
}

function protectedHeader(type: string): Uint8Array {
  return encodeCbor(
    new Map<number, unknown>([
      [HEADER.alg, A256GCM],
      [HEADER.typ, type],
    ]),
  );
}

/** 4 zero bytes ‖ 64-bit number: the Partial IV left-padded and XORed with an all-zero context IV (RFC 9052 §3.1). */
function nonceOf(seq: bigint): Uint8Array {
  return concat(new Uint8Array(4), u64(seq));
}

function shortest(value: bigint): Uint8Array {
  const bytes = u64(value);
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? new Uint8Array() : bytes.subarray(first);
}
