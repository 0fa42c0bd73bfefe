import type { webcrypto } from 'node:crypto';
import { Crypto } from '../../core/webcrypto.ts';
import { Slots } from '../client/slots.ts';
import type { Tpm } from '../client/tpm.ts';
import { ecdh } from '../decryption.ts';
import { padLeft } from '../integers.ts';
import type { TpmObject } from '../objects.ts';
import { createKey, createPrimary } from '../objects.ts';
import { owned, withKey } from '../owned.ts';
import { coordinateSize, spkiOfPublic } from '../public-keys.ts';
import { srkTemplate } from '../templates.ts';
import type { AnyAlgorithm, TpmAlgorithm } from './algorithms.ts';
import { importAlgorithm, templateOf, tpmAlgorithm, usagesOf } from './algorithms.ts';
import type { KeyPlace } from './key.ts';
import { TpmCryptoKey } from './key.ts';

/** The keys of one {@link TpmCrypto}: makes them, and loads one for as long as it is used. */
export class KeyRing {
  readonly tpm: Tpm;
  /** Everything that needs no private key in the TPM. */
  readonly software: webcrypto.SubtleCrypto = new Crypto().subtle as webcrypto.SubtleCrypto;
  readonly #parent: TpmObject | undefined;
  readonly #auth: Uint8Array | undefined;
  /** One key at a time: a TPM may have room for three objects, and the parent takes one. */
  readonly #turn = new Slots(1);

  constructor(
    tpm: Tpm,
    options: { readonly parent?: TpmObject | undefined; readonly auth?: Uint8Array | undefined },
  ) {
    this.tpm = tpm;
    this.#parent = options.parent;
    this.#auth = options.auth;
  }

  /** A new pair, its private key wrapped by the parent. */
  async generate(
    name: TpmAlgorithm,
    algorithm: AnyAlgorithm,
    usages: readonly webcrypto.KeyUsage[],
  ): Promise<webcrypto.CryptoKeyPair> {
    usagesOf(name, usages); // what is wrong with them is said before a key is made
    const auth = this.#auth;
    const template = templateOf(name, algorithm, auth === undefined || auth.length === 0);
    const wrapped = await this.#withParent((parent) =>
      createKey(this.tpm, parent, { template, auth, saltedTo: parent }),
    );
    return await this.pair({ kind: 'wrapped', wrapped }, algorithm, usages);
  }

  /** The pair of a key that exists. @throws {DOMException} `NotSupportedError`, `SyntaxError`, `DataError` */
  async pair(
    place: KeyPlace,
    algorithm: AnyAlgorithm,
    usages: readonly webcrypto.KeyUsage[],
  ): Promise<webcrypto.CryptoKeyPair> {
    const name = tpmAlgorithm(algorithm);
    if (name === undefined) throw new DOMException('not an algorithm of the TPM', 'NotSupportedError');
    const divided = usagesOf(name, usages);
    const area = place.kind === 'wrapped' ? place.wrapped.public : place.object.public;
    const { restricted, sign, decrypt } = area.objectAttributes;
    if (restricted === true || (name === 'ECDH' ? decrypt : sign) !== true)
      throw new DOMException('the key is restricted, or for something else', 'NotSupportedError');
    const fits =
      area.type === 'ecc'
        ? (name === 'ECDSA' || name === 'ECDH') && area.parameters.curveID === algorithm.namedCurve
        : area.type === 'rsa' && (name === 'RSASSA-PKCS1-v1_5' || name === 'RSA-PSS');
    if (!fits) throw new DOMException(`the key is no ${name} key of that kind`, 'DataError');
    const publicKey = await this.software.importKey(
      'spki',
      spkiOfPublic(area),
      importAlgorithm(name, algorithm),
      true,
      divided.public,
    );
    const described = { ...publicKey.algorithm, name };
    return { publicKey, privateKey: new TpmCryptoKey(this.tpm, place, described, divided.private) };
  }

  /** Has the key loaded while `work` uses it. */
  async use<T>(key: TpmCryptoKey, work: (object: TpmObject) => Promise<T>): Promise<T> {
    const place = key.placeIn(this.tpm);
    if (place.kind === 'object') return await work(place.object);
    return await this.#withParent((parent) => withKey(this.tpm, parent, place.wrapped, work, this.#auth));
  }

  /** The x-coordinate of the product of the key and a point (TPM2_ECDH_ZGen), hidden from whoever listens. */
  async agree(
    key: TpmCryptoKey,
    point: { readonly x: Uint8Array; readonly y: Uint8Array },
  ): Promise<Uint8Array> {
    const place = key.placeIn(this.tpm);
    return await this.#withParent(async (parent) => {
      const agreed = async (object: TpmObject): Promise<Uint8Array> => {
        const { x } = await ecdh(this.tpm, object, point, { saltedTo: parent });
        return padLeft(
          x,
          object.public.type === 'ecc' ? coordinateSize(object.public.parameters.curveID) : 0,
        );
      };
      if (place.kind === 'object') return await agreed(place.object);
      return await withKey(this.tpm, parent, place.wrapped, agreed, this.#auth);
    });
  }

  async #withParent<T>(work: (parent: TpmObject) => Promise<T>): Promise<T> {
    return await this.#turn.hold(1, async () => {
      if (this.#parent !== undefined) return await work(this.#parent);
      await using parent = owned(
        this.tpm,
        await createPrimary(this.tpm, { hierarchy: 'owner', template: srkTemplate }),
      );
      return await work(parent);
    });
  }
}
