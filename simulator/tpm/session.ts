import { concat, equal } from '../../src/core/bytes.ts';
import { aesCfbDecrypt, aesCfbEncrypt } from './crypto/cipher.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digestSize, hmac } from './crypto/hash.ts';
import { kdfA, xorObfuscate } from './crypto/kdf.ts';

/** TPM_SE. */
export type SessionType = 'hmac' | 'policy' | 'trial';

/** How a session hides parameters; `undefined`: not at all. */
export type SessionCipher = { readonly kind: 'aes'; readonly keyBits: number } | { readonly kind: 'xor' };

/** What policy assertions have collected (Part 1 §19.7). */
export interface PolicyState {
  digest: Uint8Array;
  commandCode: number | undefined;
  cpHash: Uint8Array | undefined;
  nameHash: Uint8Array | undefined;
  /** Bits of localities, or `undefined` for any. */
  locality: number | undefined;
  /** The entity's auth value goes into the HMAC key (PolicyAuthValue). */
  authValueNeeded: boolean;
  /** The entity's auth value is given in clear (PolicyPassword). */
  passwordNeeded: boolean;
  /** pcrUpdateCounter when PolicyPCR was checked. */
  pcrCounter: number | undefined;
  /** NV index must (not) have been written. */
  nvWritten: boolean | undefined;
  /** Milliseconds of TPM time at which the policy ends. */
  expiresAt: number | undefined;
}

/** A session, loaded or saved. */
export interface Session {
  readonly handle: number;
  readonly type: SessionType;
  readonly hash: HashAlgorithm;
  readonly cipher: SessionCipher | undefined;
  readonly key: Uint8Array;
  /** What {@link boundTo} gives for the entity it was bound to. */
  readonly bound: Uint8Array | undefined;
  /** It is bound to an entity whose auth value must not be guessed: a wrong HMAC counts against the lockout. */
  readonly guarded: boolean;
  /** It is bound to the lockout hierarchy: a wrong HMAC is a wrong lockoutAuth. */
  readonly lockoutBound: boolean;
  readonly nonceSize: number;
  /** TPM time of its start, in milliseconds. */
  readonly startedAt: number;
  nonceTpm: Uint8Array;
  policy: PolicyState;
  /** Rises with every context save, so that an old copy cannot be loaded. */
  contextId: bigint;
}

/** Bits of TPMA_SESSION. */
export const SESSION = {
  continueSession: 0x01,
  auditExclusive: 0x02,
  auditReset: 0x04,
  reserved: 0x18,
  decrypt: 0x20,
  encrypt: 0x40,
  audit: 0x80,
} as const;

/** The policy state of a fresh, restarted or used policy session. */
export function freshPolicy(hash: HashAlgorithm): PolicyState {
  return {
    digest: new Uint8Array(digestSize(hash)),
    commandCode: undefined,
    cpHash: undefined,
    nameHash: undefined,
    locality: undefined,
    authValueNeeded: false,
    passwordNeeded: false,
    pcrCounter: undefined,
    nvWritten: undefined,
    expiresAt: undefined,
  };
}

/** sessionKey (Part 1 §19.6.8): empty when there is neither salt nor bind. */
export function sessionKey(
  hash: HashAlgorithm,
  authOfBind: Uint8Array,
  salt: Uint8Array,
  nonceTpm: Uint8Array,
  nonceCaller: Uint8Array,
): Uint8Array {
  return kdfA(hash, concat(authOfBind, salt), 'ATH', nonceTpm, nonceCaller, digestSize(hash) * 8);
}

/** Identifies the entity a session is bound to: its Name and the auth value it had (Part 1 §19.6.11). */
export function boundTo(name: Uint8Array, auth: Uint8Array): Uint8Array {
  return concat(name, new Uint8Array([0]), auth);
}

/** Whether the session is bound to this very entity, with the same auth value. */
export function isBoundTo(session: Session, name: Uint8Array, auth: Uint8Array): boolean {
  return session.bound !== undefined && equal(session.bound, boundTo(name, auth));
}

/** The HMAC of one session (Part 1 §19.6.5). `pHash` is cpHash or rpHash; `extra` are the nonces of other sessions. */
export function sessionHmac(
  session: Session,
  auth: Uint8Array,
  pHash: Uint8Array,
  nonceNewer: Uint8Array,
  nonceOlder: Uint8Array,
  extra: Uint8Array,
  attributes: number,
): Uint8Array {
  const key = concat(session.key, auth);
  return hmac(session.hash, key, pHash, nonceNewer, nonceOlder, extra, new Uint8Array([attributes]));
}

/** Hides a parameter (Part 1 §21); `auth` is the value of the entity the session authorises, if any. */
export function encryptParameter(
  session: Session,
  auth: Uint8Array,
  nonceNewer: Uint8Array,
  nonceOlder: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  return crypt(session, auth, nonceNewer, nonceOlder, data, aesCfbEncrypt);
}

/** The inverse of {@link encryptParameter}. */
export function decryptParameter(
  session: Session,
  auth: Uint8Array,
  nonceNewer: Uint8Array,
  nonceOlder: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  return crypt(session, auth, nonceNewer, nonceOlder, data, aesCfbDecrypt);
}

function crypt(
  session: Session,
  auth: Uint8Array,
  nonceNewer: Uint8Array,
  nonceOlder: Uint8Array,
  data: Uint8Array,
  aes: (key: Uint8Array, data: Uint8Array, iv: Uint8Array) => Uint8Array,
): Uint8Array {
  const { cipher, hash } = session;
  const key = concat(session.key, auth);
  if (cipher === undefined) return data;
  if (cipher.kind === 'xor') return xorObfuscate(hash, key, nonceNewer, nonceOlder, data);
  const stream = kdfA(hash, key, 'CFB', nonceNewer, nonceOlder, cipher.keyBits + 128);
  const split = cipher.keyBits / 8;
  return aes(stream.subarray(0, split), data, stream.subarray(split));
}
