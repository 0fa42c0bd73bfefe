import { concat, hex, u64, utf8, wipe } from '../core/bytes.ts';
import { hkdf, sha256 } from '../core/hash.ts';
import type { PublicJwk, SoftwareKey } from '../core/signer.ts';
import { pointOfJwk } from '../core/signer.ts';
import { SessionEnded } from './errors.ts';
import { isDomainId, isSlug } from './topics.ts';
import { Window } from './window.ts';

/** Bytes of a session key identifier on the wire. */
export const keyIdLength = 8;

/** SHA-256 of the uncompressed point of a session public key. */
export function sessionKeyHash(jwk: PublicJwk): Uint8Array {
  return sha256(pointOfJwk(jwk));
}

/** Identifier of a session key in envelopes: the first 8 bytes of {@link sessionKeyHash}, hexadecimal. */
export function sessionKeyId(jwk: PublicJwk): string {
  return hex(sessionKeyHash(jwk).subarray(0, keyIdLength));
}

/**
 * The keys of one epoch of a domain, or of one pair of members (`epoch` 0). They live in memory alone; `close` wipes
 * them, and nothing is sealed or opened with them afterwards.
 */
export class EpochKeys {
  readonly domain: string;
  /** 1 and up; 0 for a pairwise channel. */
  readonly epoch: number;
  /** What both ends believe about the epoch, for example its log head: differs on the branches of a forked log. */
  readonly confirmation: Uint8Array;
  /** Numbering space of sequence numbers: all epochs of a group share one, each pair has its own. */
  readonly channel: string;
  readonly #secret: Uint8Array;
  readonly #bySender = new Map<string, Uint8Array>();
  #closed = false;

  private constructor(domain: string, epoch: number, confirmation: Uint8Array, secret: Uint8Array) {
    if (!isDomainId(domain)) throw new TypeError('`domain` is not a domain identifier');
    if (secret.length !== 32) throw new TypeError('`secret` must have 32 bytes');
    if (confirmation.length > 64) throw new TypeError('`confirmation` has at most 64 bytes');
    this.domain = domain;
    this.epoch = epoch;
    // Not `slice`: of a Buffer it would be a view.
    this.confirmation = new Uint8Array(confirmation);
    this.channel = epoch > 0 ? 'group' : hex(sha256(utf8('td1 channel'), secret));
    this.#secret = new Uint8Array(secret);
  }

  /** Keys of epoch `epoch` (1 and up). `secret` (32 bytes) is copied; the caller may wipe its own. */
  static group(options: {
    readonly domain: string;
    readonly epoch: number;
    readonly confirmation: Uint8Array;
    readonly secret: Uint8Array;
  }): EpochKeys {
    if (!Number.isSafeInteger(options.epoch) || options.epoch < 1)
      throw new TypeError('`epoch` must be a whole number from 1');
    return new EpochKeys(options.domain, options.epoch, options.confirmation, options.secret);
  }

  /** Keys of two members, from the handshake they made (`secret`: 32 bytes; `confirmation`: its transcript hash). */
  static pairwise(options: {
    readonly domain: string;
    readonly confirmation: Uint8Array;
    readonly secret: Uint8Array;
  }): EpochKeys {
    return new EpochKeys(options.domain, 0, options.confirmation, options.secret);
  }

  /** Whether it was wiped. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * The AES-256 key of one sender in this epoch: HKDF(secret, "td1 snd" ‖ domain ‖ u64 epoch ‖ SHA-256(public key)).
   * The caller must not keep it.
   *
   * @throws {SessionEnded} after `close`.
   */
  senderKey(keyHash: Uint8Array): Uint8Array {
    if (this.#closed) throw new SessionEnded('the epoch is closed');
    const id = hex(keyHash);
    const known = this.#bySender.get(id);
    if (known !== undefined) return known;
    const info = concat(utf8('td1 snd'), utf8(this.domain), u64(this.epoch), keyHash);
    const key = hkdf(this.#secret, new Uint8Array(), info, 32);
    this.#bySender.set(id, key);
    return key;
  }

  /** Wipes the secret and everything derived from it. Idempotent. */
  close(): void {
    this.#closed = true;
    wipe(this.#secret);
    for (const key of this.#bySender.values()) wipe(key);
    this.#bySender.clear();
  }
}

const sequenceMax = 2n ** 64n - 1n;

/**
 * Our own end of a session: the session key that the LDevID vouched for in one domain, and the sequence numbers used
 * with it. Neither is ever stored: a new process makes a new handshake.
 */
export class OwnSession {
  readonly slug: string;
  readonly publicJwk: PublicJwk;
  readonly keyId: string;
  readonly keyHash: Uint8Array;
  #key: SoftwareKey | undefined;
  readonly #last = new Map<string, bigint>();

  /** @param key fresh, made for this domain alone. */
  constructor(slug: string, key: SoftwareKey) {
    if (!isSlug(slug)) throw new TypeError('`slug` is not a slug');
    this.slug = slug;
    this.publicJwk = key.publicJwk;
    this.keyHash = sessionKeyHash(key.publicJwk);
    this.keyId = sessionKeyId(key.publicJwk);
    this.#key = key;
  }

  /** The last number used with all epochs' keys (`group`) or with a pair's; 0 when none. */
  last(channel = 'group'): bigint {
    return this.#last.get(channel) ?? 0n;
  }

  /** Takes the next sequence number of `keys`' numbering space. @throws {SessionEnded} when all are used. */
  next(keys: EpochKeys): bigint {
    const seq = this.last(keys.channel) + 1n;
    if (seq > sequenceMax) throw new SessionEnded('all sequence numbers of the session key are used');
    this.#last.set(keys.channel, seq);
    return seq;
  }

  /** Leaves out numbers, as after a reserved range. @throws {TypeError} when it would go back. */
  skipTo(channel: string, last: bigint): void {
    if (last < this.last(channel)) throw new TypeError('sequence numbers never go back');
    this.#last.set(channel, last);
  }

  /** ES256 over `data`. @throws {SessionEnded} after `close`. */
  sign(data: Uint8Array): Uint8Array {
    if (this.#key === undefined) throw new SessionEnded('the session is closed');
    return this.#key.signSync(data);
  }

  /** Drops the session key. Idempotent. */
  close(): void {
    this.#key = undefined;
  }
}

/** Another member's end of a session: its session public key and what was already received under it. */
export class Peer {
  readonly slug: string;
  readonly publicJwk: PublicJwk;
  readonly keyId: string;
  readonly keyHash: Uint8Array;
  readonly #windows = new Map<string, Window>();

  constructor(slug: string, publicJwk: PublicJwk) {
    if (!isSlug(slug)) throw new TypeError('`slug` is not a slug');
    this.slug = slug;
    this.publicJwk = publicJwk;
    this.keyHash = sessionKeyHash(publicJwk);
    this.keyId = sessionKeyId(publicJwk);
  }

  /** The anti-replay window of a numbering space. */
  window(channel = 'group'): Window {
    let window = this.#windows.get(channel);
    if (window === undefined) {
      window = new Window();
      this.#windows.set(channel, window);
    }
    return window;
  }
}
