import { concat, equal, wipe } from '../../core/bytes.ts';
import { TpmMalformed, TpmUntrusted } from '../errors.ts';
import { cfbDecrypt, cfbEncrypt, digestSize, hmac, kdfa } from '../kdf.ts';
import type { TPMI_ALG_HASH } from '../structures/algorithms.ts';

/** How a session encrypts parameters: AES in CFB mode, XOR obfuscation, or not at all. */
export type SessionCipher = 'aes-128-cfb' | 'aes-256-cfb' | 'xor' | 'none';

/** Everything a session is made from, once the TPM has answered TPM2_StartAuthSession. */
export interface SessionParts {
  readonly handle: number;
  readonly kind: 'hmac' | 'policy';
  readonly hash: TPMI_ALG_HASH;
  readonly cipher: SessionCipher;
  /** Empty when neither salted nor bound. */
  readonly sessionKey: Uint8Array;
  /** The entity it is bound to, as it then was: its auth value is part of the session key. */
  readonly boundTo?: { readonly name: Uint8Array; readonly auth: Uint8Array } | undefined;
  readonly nonceTpm: Uint8Array;
}

/** Our end of an authorization session (Part 1 §19.6): its keys, its rolling nonces. */
export class Session {
  readonly handle: number;
  readonly kind: 'hmac' | 'policy';
  readonly hash: TPMI_ALG_HASH;
  readonly cipher: SessionCipher;
  readonly #boundTo: SessionParts['boundTo'];
  readonly #sessionKey: Uint8Array;
  #nonceTpm: Uint8Array;
  #nonceCaller: Uint8Array = new Uint8Array(0);
  #state: 'open' | 'abandoned' | 'ended' = 'open';
  #authValue: 'unused' | 'hmac' | 'password' = 'unused';
  #usedBound = false;

  constructor(parts: SessionParts) {
    this.handle = parts.handle;
    this.kind = parts.kind;
    this.hash = parts.hash;
    this.cipher = parts.cipher;
    this.#boundTo = parts.boundTo;
    this.#sessionKey = parts.sessionKey;
    this.#nonceTpm = parts.nonceTpm;
  }

  /** Whether the TPM still knows it, as far as we know. */
  get open(): boolean {
    return this.#state === 'open';
  }

  /** The TPM's newest nonce (TPM2_PolicySecret and TPM2_PolicySigned bind to it). */
  get nonceTpm(): Uint8Array {
    return this.#nonceTpm;
  }

  /** The nonce we sent with the newest command. */
  get nonceCaller(): Uint8Array {
    return this.#nonceCaller;
  }

  /** After TPM2_PolicyAuthValue a policy session's HMAC is keyed with the entity's auth value too. */
  requireAuthValue(): void {
    this.#authValue = 'hmac';
  }

  /** After TPM2_PolicyPassword the auth value itself stands in the place of the HMAC, readable on the way. */
  requirePassword(): void {
    this.#authValue = 'password';
  }

  /** Whether the TPM has forgotten it too. */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** The session is over, here and in the TPM; its key is forgotten. */
  end(): void {
    this.#state = 'ended';
    wipe(this.#sessionKey);
  }

  /** What happened to it in the TPM is unknown: it is never used again, but may still have to be flushed. */
  abandon(): void {
    if (this.#state === 'open') this.#state = 'abandoned';
    wipe(this.#sessionKey);
  }

  /** A new command begins: a fresh nonce. */
  begin(nonce: Uint8Array): void {
    if (!this.open) throw new TypeError('the session is closed');
    this.#nonceCaller = nonce;
  }

  /**
   * The HMAC of a command, or nothing for a policy session without any key. `entity` is the Name of what it authorizes:
   * of the very entity it is bound to (the same Name, the same auth value) it has proven the auth value already.
   */
  requestHmac(
    cpHash: Uint8Array,
    auth: Uint8Array,
    entity: Uint8Array | undefined,
    others: Uint8Array,
    attributes: number,
  ): Uint8Array {
    if (this.#authValue === 'password') return auth;
    const bound = this.#boundTo;
    this.#usedBound =
      bound !== undefined &&
      entity !== undefined &&
      equal(bound.name, entity) &&
      equal(trimmedAuth(bound.auth), trimmedAuth(auth));
    const key = this.#hmacKey(auth);
    if (key.length === 0 && this.kind === 'policy') return new Uint8Array(0);
    return hmac(this.hash, key, cpHash, this.#nonceCaller, this.#nonceTpm, others, Uint8Array.of(attributes));
  }

  /** Takes the TPM's nonce over and checks its HMAC. @throws {TpmUntrusted} */
  respond(
    answer: { readonly nonce: Uint8Array; readonly hmac: Uint8Array },
    rpHash: Uint8Array,
    auth: Uint8Array,
    attributes: number,
  ): void {
    const key = this.#hmacKey(auth);
    const keyless = this.#authValue === 'password' || (key.length === 0 && this.kind === 'policy');
    if (answer.nonce.length !== digestSize(this.hash) && !(keyless && answer.nonce.length >= 16))
      throw new TpmMalformed('the session nonce of the answer has the wrong size');
    const expected = keyless
      ? new Uint8Array(0)
      : hmac(this.hash, key, rpHash, answer.nonce, this.#nonceCaller, Uint8Array.of(attributes));
    if (!equal(expected, answer.hmac))
      throw new TpmUntrusted('response-hmac', 'the HMAC of the answer does not verify');
    this.#nonceTpm = answer.nonce;
    this.#authValue = 'unused'; // a used policy session starts over
  }

  /** Encrypts the first parameter of a command (without its size). */
  encrypt(data: Uint8Array, auth: Uint8Array): Uint8Array {
    return this.#crypt(data, auth, this.#nonceCaller, this.#nonceTpm, cfbEncrypt);
  }

  /** Decrypts the first parameter of an answer (without its size); call after {@link Session.respond}. */
  decrypt(data: Uint8Array, auth: Uint8Array): Uint8Array {
    return this.#crypt(data, auth, this.#nonceTpm, this.#nonceCaller, cfbDecrypt);
  }

  #hmacKey(auth: Uint8Array): Uint8Array {
    if (this.kind === 'policy' ? this.#authValue === 'unused' : this.#usedBound) return this.#sessionKey;
    return concat(this.#sessionKey, trimmedAuth(auth));
  }

  /** Part 1 §21.2 (XOR) and §21.3 (CFB). */
  #crypt(
    data: Uint8Array,
    auth: Uint8Array,
    newer: Uint8Array,
    older: Uint8Array,
    cfb: (key: Uint8Array, iv: Uint8Array, data: Uint8Array) => Uint8Array,
  ): Uint8Array {
    const value = concat(this.#sessionKey, trimmedAuth(auth));
    if (this.cipher === 'xor') {
      const mask = kdfa(this.hash, value, 'XOR', newer, older, data.length * 8);
      return data.map((byte, i) => byte ^ (mask[i] ?? 0));
    }
    if (this.cipher === 'none') throw new TypeError('the session has no cipher');
    const keyBytes = this.cipher === 'aes-128-cfb' ? 16 : 32;
    const stream = kdfa(this.hash, value, 'CFB', newer, older, (keyBytes + 16) * 8);
    return cfb(stream.subarray(0, keyBytes), stream.subarray(keyBytes), data);
  }
}

/** An auth value as a TPM keeps it: without zeros at its end (Part 1 §19.6.4.3). */
export function trimmedAuth(auth: Uint8Array): Uint8Array {
  let end = auth.length;
  while (auth[end - 1] === 0) end -= 1;
  return auth.subarray(0, end);
}
