import { concat, utf8 } from '../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import { Malformed } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { check, v } from '../core/schema.ts';
import { isAgentId } from '../identity/agent-id.ts';
import { isDomainId, payloadMax } from '../messaging/index.ts';
import { METHOD, SUITE } from './key-schedule.ts';

/** Version of everything in this file and of the domain log. */
export const VERSION = 1;

/** Bytes of random identifiers: connection identifiers C_I and C_R. */
export const CONNECTION_BYTES = 8;

/** Largest frame in a lobby, in bytes. */
export const FRAME_MAX = payloadMax;

/** Any bytes of `length`. */
export function bytesOf(length: number) {
  return v.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length === length,
    `${length} bytes`,
  );
}

/** Any bytes up to `max`. */
export function bytesUpTo(max: number) {
  return v.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length <= max,
    `at most ${max} bytes`,
  );
}

/** A whole number from 0. */
export const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** An agent identifier. */
export const agentUri = v.custom<string>(isAgentId, 'an agent identifier');
/** A domain identifier. */
export const domainName = v.custom<string>(
  (value) => typeof value === 'string' && isDomainId(value),
  'a domain identifier',
);
/** The name of a role, or `coordinator`. */
export const roleName = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,63}$/, 'a role name'));
/** A compact JWS. */
export const compactJws = v.pipe(
  v.string(),
  v.maxLength(65_536),
  v.regex(/^[A-Za-z0-9_.-]+$/, 'a compact JWS'),
);
/** The name of a check or a short word for a reason. */
export const word = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9.-]{0,63}$/, 'a word'));

const connection = bytesOf(CONNECTION_BYTES);

/** What travels in lobbies, as deterministic CBOR arrays that begin with a kind. */
export type Frame =
  /** Handshake message 1, sealed to the lobby key: x-coordinate of the sealing key, sealed EDHOC message_1. */
  | { readonly kind: 1; readonly sealKey: Uint8Array; readonly sealed: Uint8Array }
  /** Message 2, to the convener's lobby: C_I, EDHOC message_2 = G_Y ‖ CIPHERTEXT_2. */
  | { readonly kind: 2; readonly connection: Uint8Array; readonly body: Uint8Array }
  /** Message 3, to the candidate's lobby: C_R, EDHOC message_3 = CIPHERTEXT_3. */
  | { readonly kind: 3; readonly connection: Uint8Array; readonly body: Uint8Array }
  /** Refusal by the candidate: C_I, G_Y ‖ sealed name of the check. */
  | { readonly kind: 4; readonly connection: Uint8Array; readonly body: Uint8Array }
  /** Refusal by the convener: C_R, sealed name of the check. */
  | { readonly kind: 5; readonly connection: Uint8Array; readonly body: Uint8Array }
  /** To a member without broker rights any more: {@link domainMark}, an envelope for its inbox. */
  | { readonly kind: 6; readonly connection: Uint8Array; readonly body: Uint8Array };

/** What names a domain in a lobby to those who know it: the first 8 bytes of SHA-256 of its identifier. */
export function domainMark(domain: string): Uint8Array {
  return sha256(utf8(domain)).slice(0, CONNECTION_BYTES);
}

/** Bytes of a frame. */
export function writeFrame(frame: Frame): Uint8Array {
  return encodeCbor(
    frame.kind === 1
      ? ['td1', 1, frame.sealKey, frame.sealed]
      : ['td1', frame.kind, frame.connection, frame.body],
  );
}

const frameSchema = v.union([
  v.strictTuple([v.literal('td1'), v.literal(1), bytesOf(32), bytesUpTo(FRAME_MAX)]),
  v.strictTuple([v.literal('td1'), v.picklist([2, 3, 4, 5, 6]), connection, bytesUpTo(FRAME_MAX)]),
]);

/** Reads a frame: symmetric work only, bounded. @throws {Malformed} */
export function readFrame(bytes: Uint8Array): Frame {
  if (bytes.length > FRAME_MAX) throw new Malformed(`a lobby message of more than ${FRAME_MAX} bytes`);
  const [, kind, first, second] = check(frameSchema, decodeCbor(bytes), 'lobby message');
  return kind === 1 ? { kind, sealKey: first, sealed: second } : { kind, connection: first, body: second };
}

const invitationSchema = v.strictObject({
  v: v.literal(VERSION),
  domain: domainName,
  task: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  mission: v.pipe(v.string(), v.maxLength(1024)),
  /** Role offered, and the convener's own. */
  role: roleName,
  convenerRole: roleName,
  /** Compact group grant. */
  grant: compactJws,
  /** Hash of the domain log's first entry. */
  genesis: bytesOf(32),
  from: agentUri,
  to: agentUri,
  /** Milliseconds since 1970. */
  at: whole,
  /** CRED_I: the convener's papers. */
  papers: bytesUpTo(49_152),
});

/** EAD_1: what the invitation says. */
export type InvitationBody = v.InferOutput<typeof invitationSchema>;

/** EDHOC message_1 = (METHOD, SUITES_I, G_X, C_I, EAD_1). */
export interface Message1 {
  readonly gX: Uint8Array;
  readonly connection: Uint8Array;
  readonly invitation: InvitationBody;
}

/** Bytes of message_1. */
export function writeMessage1(message: Message1): Uint8Array {
  return withoutHead(
    encodeCbor([METHOD, SUITE, message.gX, message.connection, encodeCbor(message.invitation)]),
  );
}

const message1Schema = v.strictTuple([v.number(), v.number(), bytesOf(32), connection, bytesUpTo(FRAME_MAX)]);

/** Reads message_1. @throws {Malformed}; {@link OtherSuite} when method, suite or version are not ours. */
export function readMessage1(bytes: Uint8Array): Message1 {
  const [method, suite, gX, id, ead] = check(message1Schema, sequence(bytes, 5), 'message_1');
  if (method !== METHOD || suite !== SUITE) throw new OtherSuite('another method or suite');
  const body = decodeCbor(ead);
  if (typeof body === 'object' && body !== null && 'v' in body && body.v !== VERSION)
    throw new OtherSuite('another version');
  return { gX, connection: id, invitation: check(invitationSchema, body, 'invitation') };
}

/** Method, suite or version is not ours. */
export class OtherSuite extends Malformed {}

/** `Signature_or_MAC`: what proves the sender, each part over the transcript. */
export interface Proof {
  /** MAC_2 or MAC_3, sent too so that it can be checked before any signature. */
  readonly mac: Uint8Array;
  /** The delegation of the session key, signed by the LDevID. */
  readonly delegation: Uint8Array;
  /** The workload proof token. */
  readonly wpt: string;
}

const proofSchema = v.strictTuple([bytesOf(32), bytesUpTo(4096), compactJws]);

/** PLAINTEXT_2 = (C_R, ID_CRED_R, Signature_or_MAC_2); the credential travels by value. */
export interface Plaintext2 {
  readonly connection: Uint8Array;
  readonly papers: Uint8Array;
  readonly proof: Proof;
}

/** ID_CRED of a credential sent by value. */
export function credentialByValue(papers: Uint8Array): Uint8Array {
  return encodeCbor({ 'fealty/papers': papers });
}

/** ID_CRED of a credential that the other end already has: its SHA-256. */
export function credentialByHash(hash: Uint8Array): Uint8Array {
  return encodeCbor({ 'fealty/papers-hash': hash });
}

/** Bytes of PLAINTEXT_2. */
export function writePlaintext2(message: Plaintext2): Uint8Array {
  return withoutHead(
    encodeCbor([message.connection, { 'fealty/papers': message.papers }, writeProof(message.proof)]),
  );
}

const plaintext2Schema = v.strictTuple([
  connection,
  v.strictObject({ 'fealty/papers': bytesUpTo(49_152) }),
  bytesUpTo(16_384),
]);

/** Reads PLAINTEXT_2. @throws {Malformed} */
export function readPlaintext2(bytes: Uint8Array): Plaintext2 {
  const [id, credential, proof] = check(plaintext2Schema, sequence(bytes, 3), 'message_2');
  return { connection: id, papers: credential['fealty/papers'], proof: readProof(proof) };
}

/** PLAINTEXT_3 = (ID_CRED_I, Signature_or_MAC_3); the credential came with message 1. */
export interface Plaintext3 {
  readonly papersHash: Uint8Array;
  readonly proof: Proof;
}

/** Bytes of PLAINTEXT_3. */
export function writePlaintext3(message: Plaintext3): Uint8Array {
  return withoutHead(encodeCbor([{ 'fealty/papers-hash': message.papersHash }, writeProof(message.proof)]));
}

const plaintext3Schema = v.strictTuple([
  v.strictObject({ 'fealty/papers-hash': bytesOf(32) }),
  bytesUpTo(16_384),
]);

/** Reads PLAINTEXT_3. @throws {Malformed} */
export function readPlaintext3(bytes: Uint8Array): Plaintext3 {
  const [credential, proof] = check(plaintext3Schema, sequence(bytes, 2), 'message_3');
  return { papersHash: credential['fealty/papers-hash'], proof: readProof(proof) };
}

function writeProof(proof: Proof): Uint8Array {
  return encodeCbor([proof.mac, proof.delegation, proof.wpt]);
}

function readProof(bytes: Uint8Array): Proof {
  const [macBytes, delegation, wpt] = check(proofSchema, decodeCbor(bytes), 'proof');
  return { mac: macBytes, delegation, wpt };
}

/** A CBOR sequence of at most 23 items is an array of them without its one head byte. */
function withoutHead(array: Uint8Array): Uint8Array {
  return array.subarray(1);
}

function sequence(bytes: Uint8Array, items: number): unknown {
  return decodeCbor(concat(Uint8Array.of(0x80 + items), bytes));
}
