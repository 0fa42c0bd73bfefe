import type { UUID, webcrypto } from 'node:crypto';
import { getRandom } from '../basics.ts';
import type { Tpm } from '../client/tpm.ts';
import type { TpmObject, WrappedKey } from '../objects.ts';
import type { TpmKeyAlgorithm } from './algorithms.ts';
import { TpmCryptoKey } from './key.ts';
import { KeyRing } from './key-ring.ts';
import { tpmSubtle } from './subtle.ts';

/** Node's `Crypto`, or the browser's where its types are loaded: libraries want the one or the other. */
type PlatformCrypto = typeof globalThis.crypto;

/** How keys are kept. */
export interface TpmCryptoOptions {
  /**
   * The storage key above every key made or loaded here, for example the persistent SRK. Default: the primary key of
   * `srkTemplate`, made anew for each use, which is the same key always and costs a TPM2_CreatePrimary.
   */
  readonly parent?: TpmObject | undefined;
  /** The auth value of every key made or loaded here, at most 32 bytes. Default: empty. */
  readonly auth?: Uint8Array | undefined;
}

/**
 * WebCrypto whose private keys are in a TPM: ECDSA and ECDH on P-256, P-384 and P-521, RSASSA-PKCS1-v1_5 and RSA-PSS.
 * A new key is wrapped by its parent; it is loaded when it is used, and flushed. Public keys, digests and every other
 * algorithm are software. What the TPM says against it comes through as it is, for example `TpmRefused`; misuse is a
 * `DOMException`, as WebCrypto wants it.
 */
export class TpmCrypto implements Omit<PlatformCrypto, 'CryptoKey'> {
  readonly subtle: PlatformCrypto['subtle'];
  readonly #tpm: Tpm;
  readonly #keys: KeyRing;

  constructor(tpm: Tpm, options: TpmCryptoOptions = {}) {
    this.#tpm = tpm;
    this.#keys = new KeyRing(tpm, options);
    this.subtle = tpmSubtle(this.#keys);
  }

  /**
   * Fills an array of integers by chance. It cannot wait for a TPM, so chance comes from the `random` that the TPM was
   * opened with; {@link TpmCrypto.tpmRandomValues} asks the TPM.
   *
   * @throws {DOMException} `TypeMismatchError`; `QuotaExceededError` above 65,536 bytes.
   */
  getRandomValues<T extends ArrayBufferView>(array: T): T {
    if (!ArrayBuffer.isView(array) || array instanceof DataView || /Float/.test(array.constructor.name))
      throw new DOMException('not an array of integers', 'TypeMismatchError');
    if (array.byteLength > 65_536) throw new DOMException('more than 65,536 bytes', 'QuotaExceededError');
    viewOf(array).set(this.#tpm.random.bytes(array.byteLength));
    return array;
  }

  /** A random UUID (RFC 9562 §5.4), by the same chance. */
  randomUUID(): UUID {
    const bytes = this.#tpm.random.bytes(16);
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    const text = Buffer.from(bytes).toString('hex');
    return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`;
  }

  /** As {@link TpmCrypto.getRandomValues}, of any length, by the TPM's own random number generator (TPM2_GetRandom). */
  async tpmRandomValues<T extends ArrayBufferView>(array: T): Promise<T> {
    viewOf(array).set(await getRandom(this.#tpm, array.byteLength));
    return array;
  }

  /**
   * A private key made here, as its parent wrapped it: keep it, it is of use to this TPM alone.
   *
   * @throws {DOMException} `InvalidAccessError` for any other key.
   */
  wrapped(key: webcrypto.CryptoKey): WrappedKey {
    const place = key instanceof TpmCryptoKey ? key.placeIn(this.#tpm) : undefined;
    if (place?.kind !== 'wrapped') throw new DOMException('not a wrapped key', 'InvalidAccessError');
    return place.wrapped;
  }

  /**
   * The pair of a key that {@link TpmCrypto.wrapped} gave, or any other wrapped by the same parent. That the parent can
   * unwrap it shows when it is used.
   *
   * @param algorithm as for `generateKey`; the curve or size must be the key's.
   */
  async pairOfWrapped(
    wrapped: WrappedKey,
    algorithm: TpmKeyAlgorithm,
    usages: readonly webcrypto.KeyUsage[],
  ): Promise<webcrypto.CryptoKeyPair> {
    return await this.#keys.pair({ kind: 'wrapped', wrapped }, algorithm, usages);
  }

  /** The pair of an object that is in the TPM and stays there, for example a persistent LDevID. */
  async pairOfObject(
    object: TpmObject,
    algorithm: TpmKeyAlgorithm,
    usages: readonly webcrypto.KeyUsage[],
  ): Promise<webcrypto.CryptoKeyPair> {
    return await this.#keys.pair({ kind: 'object', object }, algorithm, usages);
  }
}

function viewOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
