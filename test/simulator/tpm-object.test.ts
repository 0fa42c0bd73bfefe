import { beforeEach, describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { publicPoint } from '../../simulator/tpm/crypto/ecc.ts';
import { digest } from '../../simulator/tpm/crypto/hash.ts';
import { rsaPrimes } from '../../simulator/tpm/crypto/rsa-key.ts';
import {
  TPM2_ActivateCredential,
  TPM2_Create,
  TPM2_CreatePrimary,
  TPM2_EvictControl,
  TPM2_FlushContext,
  TPM2_Load,
  TPM2_LoadExternal,
  TPM2_MakeCredential,
  TPM2_ObjectChangeAuth,
  TPM2_ReadPublic,
  TPM2_Unseal,
} from '../../src/tpm/commands.ts';
import { qualifiedNameOf, TPM_RH } from '../../src/tpm/index.ts';
import type { TPMT_PUBLIC as Public, TPMT_SENSITIVE as Sensitive } from '../../src/tpm/structures.ts';
import { ask, codeFor, filled, none, passwordOf } from '../tpm/raw.ts';
import type { AttributeName } from '../tpm/raw-templates.ts';
import {
  aes128,
  attributes,
  cipherTemplate,
  creation,
  eccTemplate,
  fixedStorage,
  keyedHashTemplate,
  looseStorage,
  rsaTemplate,
  sealing,
} from '../tpm/raw-templates.ts';

const sealed = keyedHashTemplate(attributes('fixedTPM', 'fixedParent', 'userWithAuth', 'noDA'));
const signer = eccTemplate(
  attributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign'),
);

let chip: SoftwareTpm;

beforeEach(async () => {
  chip = await SoftwareTpm.create({ random: seededRandom('object'), clock: virtualClock() });
});

const primary = async (inPublic: Public, primaryHandle: number = TPM_RH.owner) =>
  (await ask(chip, TPM2_CreatePrimary, { primaryHandle, ...creation, inPublic })).objectHandle;
const flush = (flushHandle: number) => ask(chip, TPM2_FlushContext, { flushHandle });
const create = (parentHandle: number, inPublic: Public, data: Uint8Array = none, auth: Uint8Array = none) =>
  ask(chip, TPM2_Create, { parentHandle, ...creation, inPublic, ...sealing(data, auth) });
const loaded = async (
  parentHandle: number,
  inPublic: Public,
  data: Uint8Array = none,
  auth: Uint8Array = none,
) => {
  const made = await create(parentHandle, inPublic, data, auth);
  const { objectHandle } = await ask(chip, TPM2_Load, {
    parentHandle,
    inPrivate: made.outPrivate,
    inPublic: made.outPublic,
  });
  return objectHandle;
};

describe('an object', () => {
  it('needs a slot, also to be created without being loaded: OBJECT_MEMORY', async () => {
    const parentHandle = await primary(fixedStorage);
    const made = await create(parentHandle, signer);
    await primary(fixedStorage);
    await primary(fixedStorage);
    const { outPrivate: inPrivate, outPublic: inPublic } = made;
    expect(await codeFor(chip, TPM2_Create, { parentHandle, ...creation, inPublic: signer })).toBe(0x902);
    expect(await codeFor(chip, TPM2_Load, { parentHandle, inPrivate, inPublic })).toBe(0x902);
    expect(await codeFor(chip, TPM2_LoadExternal, { inPublic, hierarchy: TPM_RH.null })).toBe(0x902);
  });

  it('hides in its private part how long its auth value is', async () => {
    const parentHandle = await primary(fixedStorage);
    const sizes = await Promise.all(
      [0, 5, 32].map(async (size) => {
        const { outPrivate } = await create(parentHandle, signer, none, filled(size, 1));
        return outPrivate.length;
      }),
    );
    expect(new Set(sizes).size).toBe(1);
  });

  it('forgets the zeros at the end of its auth value', async () => {
    const parentHandle = await primary(fixedStorage);
    const auth = new Uint8Array([1, 0, 2, 0, 0]);
    const itemHandle = await loaded(parentHandle, sealed, filled(4, 9), auth);
    for (const password of [auth, auth.subarray(0, 3), new Uint8Array([1, 0, 2, 0, 0, 0, 0])])
      expect((await ask(chip, TPM2_Unseal, { itemHandle }, [passwordOf(password)])).outData).toEqual(
        filled(4, 9),
      );
    const shorter = [passwordOf(auth.subarray(0, 1))];
    expect(await codeFor(chip, TPM2_Unseal, { itemHandle }, shorter)).toBe(0x9a2);
  });

  it('that is a storage key fixed to its parent protects by the same hash and cipher: HASH, SYMMETRIC', async () => {
    const parentHandle = await primary(fixedStorage);
    const below = (inPublic: Public) => codeFor(chip, TPM2_Create, { parentHandle, ...creation, inPublic });
    const larger = { ...fixedStorage.parameters, symmetric: { ...aes128, keyBits: 256 } };
    expect(await below({ ...fixedStorage, nameAlg: 'sha384' })).toBe(0x2c3);
    expect(await below({ ...fixedStorage, parameters: larger })).toBe(0x2d6);
    expect(await below({ ...looseStorage, nameAlg: 'sha384' })).toBe(0);
  });

  it('made by the TPM but with a secret from the caller does not say that the TPM vouches for it', async () => {
    const restricted = (...set: readonly AttributeName[]) =>
      keyedHashTemplate(attributes('sign', 'restricted', ...set), {
        parameters: { scheme: { scheme: 'hmac', hashAlg: 'sha256' } },
      });
    const parentHandle = await primary(fixedStorage);
    const below = (inPublic: Public) =>
      codeFor(chip, TPM2_Create, { parentHandle, ...creation, inPublic, ...sealing(filled(16)) });
    expect(await below(restricted())).toBe(0);
    expect(await below(restricted('fixedTPM', 'fixedParent'))).toBe(0x2c2);
  });

  it('hangs below a symmetric storage key as well', async () => {
    const root = await primary(fixedStorage);
    const storage = cipherTemplate(
      attributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'restricted', 'decrypt'),
    );
    const parentHandle = await loaded(root, storage);
    const itemHandle = await loaded(parentHandle, sealed, filled(7, 1));
    expect((await ask(chip, TPM2_Unseal, { itemHandle })).outData).toEqual(filled(7, 1));
    const { outPublic, qualifiedName } = await ask(chip, TPM2_ReadPublic, { objectHandle: itemHandle });
    const above = await ask(chip, TPM2_ReadPublic, { objectHandle: parentHandle });
    expect(qualifiedName).toEqual(qualifiedNameOf(above.qualifiedName, outPublic));
  });

  it('comes back only whole, under its own parent and public part: INTEGRITY', async () => {
    const parentHandle = await primary(fixedStorage);
    const made = await create(parentHandle, sealed, filled(4));
    const load = (inPrivate: Uint8Array, inPublic: Public = made.outPublic) =>
      codeFor(chip, TPM2_Load, { parentHandle, inPrivate, inPublic });
    const broken = made.outPrivate.slice();
    broken[60] = (broken[60] ?? 0) ^ 1;
    expect(await load(none)).toBe(0x1d5);
    expect(await load(made.outPrivate.subarray(0, 2))).toBe(0x1da);
    expect(await load(broken)).toBe(0x1df);
    expect(await load(made.outPrivate, { ...made.outPublic, authPolicy: filled(32) })).toBe(0x1df);
    expect(await load(made.outPrivate, { ...made.outPublic, nameAlg: 'null' })).toBe(0x2c3);
    const other = await primary({ ...fixedStorage, unique: { x: filled(32, 1), y: none } });
    const { outPrivate: inPrivate, outPublic: inPublic } = made;
    expect(await codeFor(chip, TPM2_Load, { parentHandle: other, inPrivate, inPublic })).toBe(0x1df);
    expect(await load(made.outPrivate)).toBe(0);
  });
});

describe('TPM2_ObjectChangeAuth', () => {
  it('gives the private part with another auth value, and leaves the loaded object as it is', async () => {
    const parentHandle = await primary(fixedStorage);
    const made = await create(parentHandle, sealed, filled(4, 9), filled(2, 1));
    const { outPublic: inPublic } = made;
    const load = async (inPrivate: Uint8Array) =>
      (await ask(chip, TPM2_Load, { parentHandle, inPrivate, inPublic })).objectHandle;
    const objectHandle = await load(made.outPrivate);
    const old = [passwordOf(filled(2, 1))];
    const newAuth = filled(3, 2);
    const changed = await ask(chip, TPM2_ObjectChangeAuth, { objectHandle, parentHandle, newAuth }, old);
    expect(await codeFor(chip, TPM2_Unseal, { itemHandle: objectHandle }, old)).toBe(0);
    await flush(objectHandle);
    const itemHandle = await load(changed.outPrivate);
    expect(await codeFor(chip, TPM2_Unseal, { itemHandle }, old)).toBe(0x9a2);
    expect(await codeFor(chip, TPM2_Unseal, { itemHandle }, [passwordOf(newAuth)])).toBe(0);
  });

  it('wants the very parent, and a value no longer than a digest of the nameAlg', async () => {
    const parentHandle = await primary(fixedStorage);
    const objectHandle = await loaded(parentHandle, sealed, filled(4));
    const change = (parent: number, newAuth: Uint8Array) =>
      codeFor(chip, TPM2_ObjectChangeAuth, { objectHandle, parentHandle: parent, newAuth });
    expect(await change(parentHandle, filled(33))).toBe(0);
    expect(await change(parentHandle, filled(33, 1))).toBe(0x1d5);
    expect(await change(objectHandle, filled(3))).toBe(0x28a);
    expect(await change(await primary(looseStorage), filled(3))).toBe(0x28a);
  });
});

describe('TPM2_EvictControl', () => {
  const owner = TPM_RH.owner;
  const platform = TPM_RH.platform;
  const evict = (auth: number, objectHandle: number, persistentHandle: number) =>
    codeFor(chip, TPM2_EvictControl, { auth, objectHandle, persistentHandle });

  it('keeps the owner and the platform in their own ranges and hierarchies: RANGE, HIERARCHY', async () => {
    const ofOwner = await primary(fixedStorage);
    const ofPlatform = await primary(fixedStorage, platform);
    expect(await evict(owner, ofOwner, 0x81800000)).toBe(0x1cd);
    expect(await evict(platform, ofOwner, 0x81800000)).toBe(0x285);
    expect(await evict(owner, ofPlatform, 0x81000000)).toBe(0x285);
    expect(await evict(platform, ofPlatform, 0x81000000)).toBe(0x1cd);
    expect(await evict(owner, ofOwner, 0x817fffff)).toBe(0);
    expect(await evict(platform, ofPlatform, 0x81ffffff)).toBe(0);
    expect(await evict(owner, 0x81ffffff, 0x81ffffff)).toBe(0x285);
    // The platform may remove what is the owner's.
    expect(await evict(platform, 0x817fffff, 0x817fffff)).toBe(0);
    expect(await evict(owner, 0x817fffff, 0x817fffff)).toBe(0x28b);
  });

  it('refuses what must not last: NULL hierarchy, stClear and below, public parts alone: ATTRIBUTES', async () => {
    const temporary = await primary(fixedStorage, TPM_RH.null);
    expect(await evict(owner, temporary, 0x81000000)).toBe(0x282);
    await flush(temporary);
    const withStClear = { ...fixedStorage.objectAttributes, stClear: true };
    const volatile = await primary({ ...fixedStorage, objectAttributes: withStClear });
    expect(await evict(owner, volatile, 0x81000000)).toBe(0x282);
    expect(await evict(owner, await loaded(volatile, sealed, filled(4)), 0x81000000)).toBe(0x282);
    const unique = publicPoint('P-256', filled(32, 7));
    const { objectHandle } = await ask(chip, TPM2_LoadExternal, {
      inPublic: { ...signer, unique },
      hierarchy: owner,
    });
    expect(await evict(owner, objectHandle, 0x81000000)).toBe(0x282);
  });

  it('gives each handle once, and takes it back under the same handle only', async () => {
    const object = await primary(fixedStorage);
    expect(await evict(owner, object, 0x81000001)).toBe(0);
    expect(await evict(owner, object, 0x81000001)).toBe(0x14c);
    expect(await evict(owner, 0x81000001, 0x81000002)).toBe(0x28b);
    expect(await evict(owner, 0x81000001, 0x81000001)).toBe(0);
  });
});

describe('an object from outside', () => {
  const scalar = filled(32, 7);
  const unique = publicPoint('P-256', scalar);
  const key = eccTemplate(attributes('sign', 'userWithAuth'), { unique });
  const none32 = { authValue: none, seedValue: none } as const;
  const ecc = (sensitive: Uint8Array): Sensitive => ({ sensitiveType: 'ecc', sensitive, ...none32 });
  const load = (inPublic: Public, inPrivate?: Sensitive, hierarchy: number = TPM_RH.null) =>
    codeFor(chip, TPM2_LoadExternal, { inPublic, ...(inPrivate && { inPrivate }), hierarchy });

  beforeEach(async () => {
    chip = await SoftwareTpm.create({ random: seededRandom('outside'), clock: virtualClock(), slots: 64 });
  });

  it('hangs nowhere: its qualified name is its Name', async () => {
    const { objectHandle, name } = await ask(chip, TPM2_LoadExternal, {
      inPublic: key,
      hierarchy: TPM_RH.owner,
    });
    const read = await ask(chip, TPM2_ReadPublic, { objectHandle });
    expect(read.qualifiedName).toEqual(name);
  });

  it('has an ECC scalar that is one, and is that of the point: KEY_SIZE, BINDING', async () => {
    expect(await load(key, ecc(scalar))).toBe(0);
    expect(await load(key, ecc(filled(32)))).toBe(0x087);
    expect(await load(key, ecc(filled(32, 0xff)))).toBe(0x087);
    expect(await load(key, ecc(filled(32, 8)))).toBe(0x0a5);
    // Without a Name only the private part counts.
    expect(await load({ ...key, nameAlg: 'null' }, ecc(filled(32, 8)))).toBe(0);
  });

  it('has a point of full length, on the curve: KEY, ECC_POINT', async () => {
    expect(await load({ ...key, unique: { ...unique, x: unique.x.subarray(1) } })).toBe(0x2dc);
    expect(await load({ ...key, unique: { x: unique.x, y: unique.x } })).toBe(0x2e7);
  });

  it('has an RSA modulus of full length, and a prime that divides it: KEY, KEY_SIZE, BINDING', async () => {
    const random = seededRandom('outside', 'rsa');
    const { p, n } = rsaPrimes(2048, (count) => random.bytes(count));
    const rsa = rsaTemplate(attributes('sign'), { unique: n });
    const withPrime = (sensitive: Uint8Array): Sensitive => ({ sensitiveType: 'rsa', sensitive, ...none32 });
    const other = p.slice();
    other[127] = (other[127] ?? 0) ^ 2;
    expect(await load(rsa, withPrime(p))).toBe(0);
    expect(await load(rsa, withPrime(other))).toBe(0x0a5);
    expect(await load(rsa, withPrime(p.subarray(1)))).toBe(0x1c7);
    expect(await load({ ...rsa, unique: n.subarray(1) })).toBe(0x2dc);
  });

  it('has a symmetric secret of the right size, bound to `unique` by its seed: KEY_SIZE, BINDING', async () => {
    const seedValue = filled(32, 3);
    const secret = filled(16, 5);
    const cipher = cipherTemplate(attributes('decrypt'), { unique: digest('sha256', seedValue, secret) });
    const parts = (sensitive: Uint8Array, seed: Uint8Array): Sensitive => ({
      sensitiveType: 'symcipher',
      authValue: none,
      seedValue: seed,
      sensitive,
    });
    expect(await load(cipher, parts(secret, seedValue))).toBe(0);
    expect(await load(cipher, parts(filled(32), seedValue))).toBe(0x1c7);
    expect(await load(cipher, parts(secret, filled(31)))).toBe(0x1c7);
    expect(await load(cipher, parts(secret, filled(33)))).toBe(0x1c7);
    expect(await load(cipher, parts(secret, filled(32)))).toBe(0x0a5);
    expect(await load({ ...cipher, unique: none })).toBe(0x2dc);
  });

  it('has its two parts of one type, and an auth value no longer than a digest: TYPE, SIZE', async () => {
    expect(await load(key, { ...ecc(scalar), sensitiveType: 'keyedhash' })).toBe(0x1ca);
    expect(await load(key, { ...ecc(scalar), authValue: filled(33) })).toBe(0x1d5);
    expect(await load(key, { ...ecc(scalar), seedValue: filled(33) })).toBe(0x1c7);
  });
});

describe('a credential', () => {
  const rsaStorage = rsaTemplate(fixedStorage.objectAttributes, { parameters: { symmetric: aes128 } });

  it.each([
    ['ECC', fixedStorage],
    ['RSA', rsaStorage],
  ] as const)('for an %s key is opened for the named object alone', async (_, template) => {
    const keyHandle = await primary(template);
    const activateHandle = await primary(signer);
    const { name } = await ask(chip, TPM2_ReadPublic, { objectHandle: activateHandle });
    const credential = filled(20, 4);
    const made = await ask(chip, TPM2_MakeCredential, { handle: keyHandle, credential, objectName: name });
    const { certInfo } = await ask(chip, TPM2_ActivateCredential, { activateHandle, keyHandle, ...made });
    expect(certInfo).toEqual(credential);
    const other = { activateHandle: keyHandle, keyHandle, ...made };
    expect(await codeFor(chip, TPM2_ActivateCredential, other)).toBe(0x1df);
    const cut = { ...made, credentialBlob: made.credentialBlob.subarray(0, 20) };
    expect(await codeFor(chip, TPM2_ActivateCredential, { activateHandle, keyHandle, ...cut })).toBe(0x1da);
  });

  it('is made for no symmetric key: TYPE', async () => {
    const root = await primary(fixedStorage);
    const { objectAttributes } = fixedStorage;
    const handle = await loaded(root, cipherTemplate(objectAttributes));
    const asked = { handle, credential: filled(4), objectName: filled(34) };
    expect(await codeFor(chip, TPM2_MakeCredential, asked)).toBe(0x18a);
  });
});
