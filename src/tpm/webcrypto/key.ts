import type { webcrypto } from 'node:crypto';
import type { Tpm } from '../client/tpm.ts';
import type { TpmObject, WrappedKey } from '../objects.ts';
import type { TpmAlgorithm } from './algorithms.ts';

/** Where a private key is: wrapped by its parent, to be loaded for each use, or an object that is in the TPM already. */
export type KeyPlace =
  | { readonly kind: 'wrapped'; readonly wrapped: WrappedKey }
  | { readonly kind: 'object'; readonly object: TpmObject };

/** A private key in a TPM, as WebCrypto shows keys. It is never extractable. */
export class TpmCryptoKey implements webcrypto.CryptoKey {
  readonly type = 'private';
  readonly extractable = false;
  readonly algorithm: webcrypto.KeyAlgorithm & { readonly name: TpmAlgorithm };
  readonly usages: webcrypto.KeyUsage[];
  readonly #tpm: Tpm;
  readonly #place: KeyPlace;

  constructor(
    tpm: Tpm,
    place: KeyPlace,
    algorithm: webcrypto.KeyAlgorithm & { readonly name: TpmAlgorithm },
    usages: webcrypto.KeyUsage[],
  ) {
    this.#tpm = tpm;
    this.#place = place;
    this.algorithm = algorithm;
    this.usages = usages;
  }

  /** Where it is. @throws {DOMException} `InvalidAccessError` when it is in another TPM. */
  placeIn(tpm: Tpm): KeyPlace {
    if (tpm !== this.#tpm) throw new DOMException('the key is in another TPM', 'InvalidAccessError');
    return this.#place;
  }
}

/** `key` when it is in a TPM, for `usage` by `name`. @throws {DOMException} `InvalidAccessError` */
export function usable(
  key: TpmCryptoKey,
  name: TpmAlgorithm | undefined,
  usage: webcrypto.KeyUsage,
): TpmAlgorithm {
  if (name !== key.algorithm.name)
    throw new DOMException(`the key is for ${key.algorithm.name}`, 'InvalidAccessError');
  if (!key.usages.includes(usage))
    throw new DOMException(`the key is not for ${usage}`, 'InvalidAccessError');
  return name;
}

/** Refuses keys in the TPM where only software keys can serve. @throws {DOMException} `InvalidAccessError` */
export function refuseTpmKeys(...keys: readonly webcrypto.CryptoKey[]): void {
  if (keys.some((key) => key instanceof TpmCryptoKey))
    throw new DOMException(
      'a private key in the TPM never leaves it and only signs or agrees',
      'InvalidAccessError',
    );
}
