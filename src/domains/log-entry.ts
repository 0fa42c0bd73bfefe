import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat, u64 } from '../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import { Malformed, messageOf } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { domainSeparated } from '../core/names.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk } from '../core/signer.ts';
import { verifySignature } from '../core/signer.ts';
import { payloadMax } from '../messaging/index.ts';
import { LogRefused } from './errors.ts';
import {
  agentUri,
  bytesOf,
  bytesUpTo,
  compactJws,
  domainName,
  roleName,
  VERSION,
  whole,
} from './messages.ts';

/** What a domain log tells, one kind for each entry. The header that names it is signed and clear. */
export const LOG_KINDS = ['genesis', 'admit', 'assign', 'epoch', 'renew', 'evict', 'end'] as const;

/** See {@link LOG_KINDS}. */
export type LogKind = (typeof LOG_KINDS)[number];

const headerSchema = v.strictObject({
  v: v.literal(VERSION),
  domain: domainName,
  /** From 0, without gaps. */
  index: whole,
  /** Hash of the entry before; 32 zero bytes for the first. */
  previous: bytesOf(32),
  kind: v.picklist(LOG_KINDS),
  /** Milliseconds since 1970 by the coordinator's clock; never less than the entry before. */
  at: whole,
  /** Which log key seals the body: 1 and up, one more at each eviction. */
  key: whole,
  /** Rises when another coordinator takes over; 1 in domains of this version. */
  term: v.literal(1),
});

/** The clear, signed part of an entry. */
export type LogHeader = v.InferOutput<typeof headerSchema>;

const papers = bytesUpTo(49_152);
const delegation = bytesUpTo(4096);
const bodies = {
  /** The coordinator, the mission and the grant: its own papers and a delegation to itself. */
  genesis: v.strictObject({
    task: v.pipe(v.string(), v.maxLength(128)),
    mission: v.pipe(v.string(), v.maxLength(1024)),
    grant: compactJws,
    agent: agentUri,
    role: roleName,
    papers,
    delegation,
  }),
  /** A member, with the whole chain that every other member checks by itself. */
  admit: v.strictObject({ agent: agentUri, role: roleName, papers, delegation, wpt: compactJws }),
  assign: v.strictObject({ agent: agentUri, assignment: compactJws }),
  /** A new epoch for the roster with this hash. */
  epoch: v.strictObject({ epoch: v.pipe(whole, v.minValue(1)), roster: bytesOf(32) }),
  /** Renewed papers; the LDevID's signature over them and over the log head it had seen. */
  renew: v.strictObject({
    agent: agentUri,
    papers,
    seenIndex: whole,
    seenHash: bytesOf(32),
    signature: bytesOf(64),
  }),
  evict: v.strictObject({ agent: agentUri, reason: v.pipe(v.string(), v.maxLength(256)) }),
  end: v.strictObject({ reason: v.pipe(v.string(), v.maxLength(256)) }),
} as const;

/** The body of an entry, by kind. */
export type LogBody = { [K in LogKind]: { readonly kind: K } & v.InferOutput<(typeof bodies)[K]> }[LogKind];

/** An entry as it was received: form checked, nothing else. */
export interface LogEntry {
  readonly bytes: Uint8Array;
  readonly header: LogHeader;
  readonly headerBytes: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly signature: Uint8Array;
  /** What the next entry's `previous` must be. */
  readonly hash: Uint8Array;
}

/** A signed head: an entry without its body. Two that differ at one index prove that their signer lied. */
export interface LogHead {
  readonly bytes: Uint8Array;
  readonly header: LogHeader;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly hash: Uint8Array;
}

/** Makes an entry: CBOR [header, sealed body, signature]. */
export function writeEntry(
  header: LogHeader,
  body: LogBody,
  logKey: Uint8Array,
  sign: (data: Uint8Array) => Uint8Array,
): LogEntry {
  const { kind, ...members } = body;
  if (kind !== header.kind) throw new TypeError('header and body are of two kinds');
  const headerBytes = encodeCbor(header);
  const cipher = createCipheriv('aes-256-gcm', logKey, nonceOf(header.index));
  cipher.setAAD(headerBytes);
  const ciphertext = concat(cipher.update(encodeCbor(members)), cipher.final(), cipher.getAuthTag());
  const signed = signedPart(headerBytes, ciphertext);
  const signature = sign(signed);
  const bytes = encodeCbor([headerBytes, ciphertext, signature]);
  if (bytes.length > payloadMax) throw new TypeError('the entry is larger than a message may be');
  return { bytes, header, headerBytes, ciphertext, signature, hash: sha256(signed) };
}

/** Reads the form of an entry; verifies nothing. @throws {LogRefused} `form` */
export function readEntry(bytes: Uint8Array): LogEntry {
  const [headerBytes, ciphertext, signature] = formed(() =>
    check(
      v.strictTuple([bytesUpTo(1024), bytesUpTo(payloadMax), bytesOf(64)]),
      decodeCbor(bytes),
      'log entry',
    ),
  );
  const header = formed(() => check(headerSchema, decodeCbor(headerBytes), 'header of a log entry'));
  const hash = sha256(signedPart(headerBytes, ciphertext));
  return { bytes, header, headerBytes, ciphertext, signature, hash };
}

/** The signed head of an entry: CBOR [header, SHA-256(sealed body), signature]. */
export function headOf(entry: LogEntry): LogHead {
  const digest = sha256(entry.ciphertext);
  return {
    bytes: encodeCbor([entry.headerBytes, digest, entry.signature]),
    header: entry.header,
    signed: signedPart(entry.headerBytes, entry.ciphertext),
    signature: entry.signature,
    hash: entry.hash,
  };
}

/** Reads a signed head; verifies nothing. @throws {LogRefused} `form` */
export function readHead(bytes: Uint8Array): LogHead {
  const [headerBytes, digest, signature] = formed(() =>
    check(v.strictTuple([bytesUpTo(1024), bytesOf(32), bytesOf(64)]), decodeCbor(bytes), 'log head'),
  );
  const header = formed(() => check(headerSchema, decodeCbor(headerBytes), 'header of a log entry'));
  const signed = domainSeparated('domain-log', encodeCbor([headerBytes, digest]));
  return { bytes, header, signed, signature, hash: sha256(signed) };
}

/** Whether the coordinator's session key signed the head. */
export function isSigned(head: LogHead, coordinator: PublicJwk): boolean {
  return verifySignature(coordinator, head.signed, head.signature);
}

/** The body of an entry. @throws {LogRefused} `seal`, `form` */
export function openBody(entry: LogEntry, logKey: Uint8Array): LogBody {
  const { ciphertext, header } = entry;
  if (ciphertext.length < 16) throw new LogRefused('seal', 'a body that is too short');
  const decipher = createDecipheriv('aes-256-gcm', logKey, nonceOf(header.index), { authTagLength: 16 });
  decipher.setAAD(entry.headerBytes);
  decipher.setAuthTag(ciphertext.subarray(ciphertext.length - 16));
  const plaintext = decipher.update(ciphertext.subarray(0, ciphertext.length - 16));
  try {
    decipher.final();
  } catch {
    throw new LogRefused('seal', `entry ${header.index} does not open under log key ${header.key}`);
  }
  const { kind } = header;
  const members = formed(() =>
    check(bodies[kind], decodeCbor(new Uint8Array(plaintext)), `entry \`${kind}\``),
  );
  return { kind, ...members } as LogBody;
}

/** What a member signs with its LDevID to show renewed papers: over the log head it has seen. */
export function renewalInput(claims: {
  readonly domain: string;
  readonly agent: string;
  readonly papers: Uint8Array;
  readonly session: Uint8Array;
  readonly seenIndex: number;
  readonly seenHash: Uint8Array;
}): Uint8Array {
  const { papers: shown, ...rest } = claims;
  return domainSeparated('domain-renewal', encodeCbor({ ...rest, v: VERSION, papers: sha256(shown) }));
}

function signedPart(headerBytes: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  return domainSeparated('domain-log', encodeCbor([headerBytes, sha256(ciphertext)]));
}

/** Each log key seals an index once, so the index is the nonce. */
function nonceOf(index: number): Uint8Array {
  return concat(new Uint8Array(4), u64(index));
}

function formed<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof Malformed) throw new LogRefused('form', messageOf(cause), { cause });
    throw cause;
  }
}
