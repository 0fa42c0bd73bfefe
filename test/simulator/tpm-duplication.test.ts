import { createHmac, generateKeyPairSync, verify } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { publicPoint } from '../../simulator/tpm/crypto/ecc.ts';
import { digest } from '../../simulator/tpm/crypto/hash.ts';
import { concat, u32, utf8 } from '../../src/core/bytes.ts';
import type { ArgumentsOf } from '../../src/tpm/command.ts';
import {
  TPM2_Certify,
  TPM2_Create,
  TPM2_CreatePrimary,
  TPM2_Duplicate,
  TPM2_FlushContext,
  TPM2_Import,
  TPM2_Load,
  TPM2_LoadExternal,
  TPM2_PolicyCommandCode,
  TPM2_PolicySecret,
  TPM2_ReadPublic,
  TPM2_Rewrap,
  TPM2_Sign,
  TPM2_Unseal,
} from '../../src/tpm/commands.ts';
import { ekTemplate, keyObjectOfPublic, nameOf, TPM_RH } from '../../src/tpm/index.ts';
import type {
  TPMT_SYM_DEF_OBJECT as Cipher,
  TPMA_OBJECT as ObjectAttributes,
  TPMT_PUBLIC as Public,
} from '../../src/tpm/structures.ts';
import { innerWrapped, outerWrapped } from '../tpm/made-elsewhere.ts';
import { ask, codeFor, filled, none } from '../tpm/raw.ts';
import { startKeyless, startPolicyFor, withPolicy } from '../tpm/raw-sessions.ts';
import {
  aes128,
  attributes,
  cipherTemplate,
  creation,
  eccTemplate,
  fixedStorage,
  keyedHashTemplate,
  looseStorage,
  nullCipher,
  rsaTemplate,
  sealing,
  sensitiveOf,
} from '../tpm/raw-templates.ts';

const duplicateCode = TPM2_Duplicate.code;
/** PolicyCommandCode(TPM2_Duplicate), which the DUP role demands. */
const authPolicy = digest('sha256', filled(32), u32(TPM2_PolicyCommandCode.code), u32(duplicateCode));
const random = seededRandom('duplication', 'caller');
const owner = TPM_RH.owner;

const boot = (name: string) =>
  SoftwareTpm.create({ random: seededRandom('duplication', name), clock: virtualClock(), slots: 16 });

const primary = async (chip: SoftwareTpm, inPublic: Public) =>
  ask(chip, TPM2_CreatePrimary, { primaryHandle: owner, ...creation, inPublic });

/** A policy session that allows one TPM2_Duplicate. */
const permission = (chip: SoftwareTpm) => startPolicyFor(chip, duplicateCode);

interface Wrapping {
  readonly newParentHandle: number;
  readonly encryptionKeyIn?: Uint8Array;
  readonly symmetricAlg?: Cipher;
}

async function duplicate(chip: SoftwareTpm, objectHandle: number, wrapping: Wrapping) {
  const session = await permission(chip);
  const request = { objectHandle, encryptionKeyIn: none, symmetricAlg: nullCipher, ...wrapping };
  const out = await ask(chip, TPM2_Duplicate, request, [withPolicy(session)]);
  await ask(chip, TPM2_FlushContext, { flushHandle: session });
  return out;
}

async function refusedDuplicate(chip: SoftwareTpm, objectHandle: number, wrapping: Wrapping) {
  const session = await permission(chip);
  const request = { objectHandle, encryptionKeyIn: none, symmetricAlg: nullCipher, ...wrapping };
  const code = await codeFor(chip, TPM2_Duplicate, request, [withPolicy(session)]);
  await ask(chip, TPM2_FlushContext, { flushHandle: session });
  return code;
}

const bare = { encryptionKey: none, inSymSeed: none, symmetricAlg: nullCipher } as const;
const signs = (...more: readonly (keyof ObjectAttributes)[]) =>
  eccTemplate(attributes('sensitiveDataOrigin', 'userWithAuth', 'sign', ...more), {
    authPolicy,
    parameters: { scheme: { scheme: 'ecdsa', hashAlg: 'sha256' } },
  });

/** Signs by a loaded ECDSA or RSASSA key; whether node verifies it. */
async function canSign(chip: SoftwareTpm, keyHandle: number, publicArea: Public): Promise<boolean> {
  const message = utf8('from another TPM');
  const { signature } = await ask(chip, TPM2_Sign, {
    keyHandle,
    digest: digest('sha256', message),
    inScheme: { scheme: 'null' },
    validation: { tag: 'hashcheck', hierarchy: TPM_RH.null, digest: none },
  });
  const key = keyObjectOfPublic(publicArea);
  if (signature.sigAlg === 'rsassa') return verify('sha256', message, key, signature.sig);
  if (signature.sigAlg !== 'ecdsa') return false;
  const raw = concat(signature.signatureR, signature.signatureS);
  return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, raw);
}

describe('an object duplicated to another TPM', () => {
  const parents = {
    'an ECC parent': fixedStorage,
    'an RSA parent': rsaTemplate(fixedStorage.objectAttributes, { parameters: { symmetric: aes128 } }),
    'a parent with AES-256 and SHA-384': {
      ...fixedStorage,
      nameAlg: 'sha384',
      parameters: { ...fixedStorage.parameters, symmetric: { ...aes128, keyBits: 256 } },
    } satisfies Public,
  };
  const inner = {
    'no inner wrapper': {},
    'an inner wrapper with a key of the caller': { symmetricAlg: aes128, encryptionKeyIn: filled(16, 5) },
    'an inner wrapper with a key of the TPM': { symmetricAlg: { ...aes128, keyBits: 256 } },
  } as const;
  const cases = Object.entries(parents).flatMap(([to, template]) =>
    Object.entries(inner).map(([wrapper, wrapping]) => [to, wrapper, template, wrapping] as const),
  );

  it.each(cases)('below %s, with %s, works there', async (_to, _wrapper, template, wrapping) => {
    const here = await boot('here');
    const there = await boot('there');
    const { objectHandle: newParentThere, outPublic } = await primary(there, template);
    const { objectHandle: newParentHandle } = await ask(here, TPM2_LoadExternal, {
      inPublic: outPublic,
      hierarchy: owner,
    });
    const key = await primary(here, signs());
    const out = await duplicate(here, key.objectHandle, { newParentHandle, ...wrapping });
    const given = 'encryptionKeyIn' in wrapping ? wrapping.encryptionKeyIn : none;
    const size = 'symmetricAlg' in wrapping && given.length === 0 ? wrapping.symmetricAlg.keyBits / 8 : 0;
    expect(out.encryptionKeyOut.length).toBe(size);
    const { outPrivate } = await ask(there, TPM2_Import, {
      parentHandle: newParentThere,
      encryptionKey: given.length > 0 ? given : out.encryptionKeyOut,
      objectPublic: key.outPublic,
      duplicate: out.duplicate,
      inSymSeed: out.outSymSeed,
      symmetricAlg: 'symmetricAlg' in wrapping ? wrapping.symmetricAlg : nullCipher,
    });
    const { objectHandle, name } = await ask(there, TPM2_Load, {
      parentHandle: newParentThere,
      inPrivate: outPrivate,
      inPublic: key.outPublic,
    });
    expect(name).toEqual(key.name);
    expect(await canSign(there, objectHandle, key.outPublic)).toBe(true);
  });

  it('without a new parent travels in clear, if it may', async () => {
    const here = await boot('here');
    const root = await primary(here, fixedStorage);
    const sealed = keyedHashTemplate(attributes('userWithAuth'), { authPolicy });
    const made = await ask(here, TPM2_Create, {
      parentHandle: root.objectHandle,
      ...creation,
      inPublic: sealed,
      ...sealing(utf8('the secret')),
    });
    const { objectHandle } = await ask(here, TPM2_Load, {
      parentHandle: root.objectHandle,
      inPrivate: made.outPrivate,
      inPublic: made.outPublic,
    });
    const out = await duplicate(here, objectHandle, { newParentHandle: TPM_RH.null });
    expect(Buffer.from(out.duplicate).includes('the secret')).toBe(true);
    const back = await ask(here, TPM2_Import, {
      parentHandle: root.objectHandle,
      ...bare,
      objectPublic: made.outPublic,
      duplicate: out.duplicate,
    });
    const again = await ask(here, TPM2_Load, {
      parentHandle: root.objectHandle,
      inPrivate: back.outPrivate,
      inPublic: made.outPublic,
    });
    expect((await ask(here, TPM2_Unseal, { itemHandle: again.objectHandle })).outData).toEqual(
      utf8('the secret'),
    );
  });

  it('is rewrapped for the next parent without being seen', async () => {
    const here = await boot('here');
    const via = await primary(
      here,
      rsaTemplate(fixedStorage.objectAttributes, { parameters: { symmetric: aes128 } }),
    );
    const last = await primary(here, fixedStorage);
    const key = await primary(here, signs());
    const first = await duplicate(here, key.objectHandle, { newParentHandle: via.objectHandle });
    const rewrap = {
      oldParent: via.objectHandle,
      newParent: last.objectHandle,
      inDuplicate: first.duplicate,
      name: key.name,
      inSymSeed: first.outSymSeed,
    };
    const { outDuplicate, outSymSeed } = await ask(here, TPM2_Rewrap, rewrap);
    const { outPrivate } = await ask(here, TPM2_Import, {
      parentHandle: last.objectHandle,
      ...bare,
      objectPublic: key.outPublic,
      duplicate: outDuplicate,
      inSymSeed: outSymSeed,
    });
    expect(outPrivate.length).toBeGreaterThan(100);
    expect(await codeFor(here, TPM2_Rewrap, { ...rewrap, name: nameOf(fixedStorage) })).toBe(0x1df);
    expect(await codeFor(here, TPM2_Rewrap, { ...rewrap, inSymSeed: none })).toBe(0x18b);
    expect(await codeFor(here, TPM2_Rewrap, { ...rewrap, inSymSeed: filled(12) })).toBe(0x3c4);
    expect(await codeFor(here, TPM2_Rewrap, { ...rewrap, oldParent: TPM_RH.null })).toBe(0x18b);
    expect(await codeFor(here, TPM2_Rewrap, { ...rewrap, newParent: key.objectHandle })).toBe(0x28a);
    const unwrapped = await ask(here, TPM2_Rewrap, { ...rewrap, newParent: TPM_RH.null });
    expect(unwrapped.outSymSeed).toEqual(none);
  });
});

describe('TPM2_Duplicate', () => {
  let chip: SoftwareTpm;
  let parent: number;
  const clearly = TPM_RH.null;

  beforeEach(async () => {
    chip = await boot('rules');
    parent = (await primary(chip, fixedStorage)).objectHandle;
  });

  it('is never allowed by an auth value: AUTH_TYPE', async () => {
    const { objectHandle } = await primary(chip, signs());
    const request = {
      objectHandle,
      newParentHandle: parent,
      encryptionKeyIn: none,
      symmetricAlg: nullCipher,
    };
    expect(await codeFor(chip, TPM2_Duplicate, request)).toBe(0x124);
  });

  it('leaves what is fixed to its parent: ATTRIBUTES', async () => {
    const { objectHandle } = await primary(chip, signs('fixedTPM', 'fixedParent'));
    expect(await refusedDuplicate(chip, objectHandle, { newParentHandle: parent })).toBe(0x182);
  });

  it('takes a storage key as new parent, asymmetric: TYPE', async () => {
    const { objectHandle } = await primary(chip, signs());
    expect(await refusedDuplicate(chip, objectHandle, { newParentHandle: objectHandle })).toBe(0x28a);
    const made = await ask(chip, TPM2_Create, {
      parentHandle: parent,
      ...creation,
      inPublic: cipherTemplate(fixedStorage.objectAttributes),
    });
    const cipher = await ask(chip, TPM2_Load, {
      parentHandle: parent,
      inPrivate: made.outPrivate,
      inPublic: made.outPublic,
    });
    const toCipher = { newParentHandle: cipher.objectHandle };
    expect(await refusedDuplicate(chip, objectHandle, toCipher)).toBe(0x28a);
  });

  it('with encryptedDuplication wraps twice: SYMMETRIC, HIERARCHY', async () => {
    const { objectHandle } = await primary(chip, signs('encryptedDuplication'));
    const attempt = (wrapping: Wrapping) => refusedDuplicate(chip, objectHandle, wrapping);
    expect(await attempt({ newParentHandle: parent })).toBe(0x2d6);
    expect(await attempt({ newParentHandle: clearly, symmetricAlg: aes128 })).toBe(0x285);
    expect(await attempt({ newParentHandle: parent, symmetricAlg: aes128 })).toBe(0);
  });

  it('takes a key of the size of its cipher, or none: SIZE, VALUE', async () => {
    const { objectHandle } = await primary(chip, signs());
    const attempt = (encryptionKeyIn: Uint8Array, symmetricAlg: Cipher) =>
      refusedDuplicate(chip, objectHandle, { newParentHandle: parent, encryptionKeyIn, symmetricAlg });
    expect(await attempt(filled(16), nullCipher)).toBe(0x1d5);
    expect(await attempt(filled(17), aes128)).toBe(0x1d5);
    expect(await attempt(none, { ...aes128, keyBits: 100 })).toBe(0x2c4);
  });
});

describe('a key made in software', () => {
  let chip: SoftwareTpm;
  let parentHandle: number;
  let parentPublic: Public;

  beforeEach(async () => {
    chip = await boot('software');
    const parent = await primary(chip, fixedStorage);
    parentHandle = parent.objectHandle;
    parentPublic = parent.outPublic;
  });

  const imported = async (objectPublic: Public, sensitive: Uint8Array) => {
    const key = filled(16, 6);
    const inner = innerWrapped(objectPublic, sensitive, key);
    const { outPrivate } = await ask(chip, TPM2_Import, {
      parentHandle,
      encryptionKey: key,
      objectPublic,
      ...outerWrapped(parentPublic, objectPublic, inner, random),
      symmetricAlg: aes128,
    });
    return ask(chip, TPM2_Load, { parentHandle, inPrivate: outPrivate, inPublic: objectPublic });
  };

  const jwkBytes = (member: string | undefined) => new Uint8Array(Buffer.from(member ?? '', 'base64url'));

  it('signs in the TPM as the ECC key it was', async () => {
    const scalar = filled(32, 7);
    const objectPublic: Public = {
      ...signs(),
      objectAttributes: attributes('userWithAuth', 'sign'),
      unique: publicPoint('P-256', scalar),
    };
    const { objectHandle } = await imported(objectPublic, sensitiveOf('ecc', scalar));
    expect(await canSign(chip, objectHandle, objectPublic)).toBe(true);
  });

  it('signs in the TPM as the RSA key it was', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = privateKey.export({ format: 'jwk' });
    const objectPublic = rsaTemplate(attributes('userWithAuth', 'sign'), {
      unique: jwkBytes(jwk.n),
      parameters: { scheme: { scheme: 'rsassa', hashAlg: 'sha256' } },
    });
    const { objectHandle } = await imported(objectPublic, sensitiveOf('rsa', jwkBytes(jwk.p)));
    expect(await canSign(chip, objectHandle, objectPublic)).toBe(true);
  });

  it.each([
    ['an HMAC key', 'keyedhash', 32],
    ['an AES key', 'symcipher', 16],
  ] as const)('is taken as %s', async (_, type, size) => {
    const seedValue = filled(32, 3);
    const secret = filled(size, 4);
    const unique = digest('sha256', seedValue, secret);
    const area =
      type === 'keyedhash'
        ? keyedHashTemplate(attributes('sign', 'userWithAuth'), {
            unique,
            parameters: { scheme: { scheme: 'hmac', hashAlg: 'sha256' } },
          })
        : cipherTemplate(attributes('sign', 'decrypt', 'userWithAuth'), { unique });
    const { objectHandle } = await imported(area, sensitiveOf(type, secret, { seedValue }));
    expect((await ask(chip, TPM2_ReadPublic, { objectHandle })).outPublic).toEqual(area);
  });

  it('below an endorsement key, restricted, certifies a key of that TPM by HMAC', async () => {
    const ek = await ask(chip, TPM2_CreatePrimary, {
      primaryHandle: TPM_RH.endorsement,
      ...creation,
      inPublic: ekTemplate,
    });
    const seedValue = filled(32, 3);
    const secret = filled(32, 4);
    const objectPublic = keyedHashTemplate(attributes('sign', 'restricted', 'userWithAuth'), {
      unique: digest('sha256', seedValue, secret),
      parameters: { scheme: { scheme: 'hmac', hashAlg: 'sha256' } },
    });
    const sensitive = sensitiveOf('keyedhash', secret, { seedValue });
    const asEndorser = async () => {
      const { handle: policySession } = await startKeyless(chip, 'policy');
      await ask(chip, TPM2_PolicySecret, {
        authHandle: TPM_RH.endorsement,
        policySession,
        nonceTPM: none,
        cpHashA: none,
        policyRef: none,
        expiration: 0,
      });
      return [withPolicy(policySession)];
    };
    const { outPrivate } = await ask(
      chip,
      TPM2_Import,
      {
        parentHandle: ek.objectHandle,
        encryptionKey: none,
        objectPublic,
        ...outerWrapped(ek.outPublic, objectPublic, sensitive, random),
        symmetricAlg: nullCipher,
      },
      await asEndorser(),
    );
    const load = { parentHandle: ek.objectHandle, inPrivate: outPrivate, inPublic: objectPublic };
    const { objectHandle: signHandle } = await ask(chip, TPM2_Load, load, await asEndorser());
    const { certifyInfo, signature } = await ask(chip, TPM2_Certify, {
      objectHandle: parentHandle,
      signHandle,
      qualifyingData: utf8('nonce'),
      inScheme: { scheme: 'null' },
    });
    // The scheme signs the digest of what is attested (Part 1 §11.4.5).
    const mac = createHmac('sha256', secret).update(digest('sha256', certifyInfo)).digest();
    expect(signature).toEqual({ sigAlg: 'hmac', hmac: { hashAlg: 'sha256', digest: new Uint8Array(mac) } });
    expect(Buffer.from(certifyInfo).includes(Buffer.from(nameOf(parentPublic)))).toBe(true);
  });

  const ecc = (changes: Partial<Public> = {}): Public =>
    ({
      ...eccTemplate(attributes('sign', 'userWithAuth'), { unique: publicPoint('P-256', filled(32, 7)) }),
      ...changes,
    }) as Public;
  const clear = sensitiveOf('ecc', filled(32, 7));
  const attempt = (changes: Partial<ArgumentsOf<typeof TPM2_Import>> = {}) =>
    codeFor(chip, TPM2_Import, { parentHandle, ...bare, objectPublic: ecc(), duplicate: clear, ...changes });

  it('belongs to its public part and has the form of Part 2: BINDING, TYPE, SIZE, INSUFFICIENT', async () => {
    expect(await attempt()).toBe(0);
    expect(await attempt({ duplicate: sensitiveOf('ecc', filled(32, 8)) })).toBe(0x0a5);
    expect(await attempt({ duplicate: sensitiveOf('keyedhash', filled(32, 7)) })).toBe(0x3ca);
    const longAuth = sensitiveOf('ecc', filled(32, 7), { authValue: filled(33) });
    expect(await attempt({ duplicate: longAuth })).toBe(0x3d5);
    expect(await attempt({ duplicate: clear.subarray(0, -1) })).toBe(0x3d5);
    expect(await attempt({ duplicate: concat(clear, filled(1)) })).toBe(0x3d5);
    expect(await attempt({ duplicate: none })).toBe(0x3da);
    expect(await attempt({ duplicate: filled(2) })).toBe(0x3da);
  });

  it('says nothing of being fixed, and has a Name: ATTRIBUTES, HASH', async () => {
    for (const lie of ['fixedTPM', 'fixedParent'] as const)
      expect(await attempt({ objectPublic: ecc({ objectAttributes: attributes('sign', lie) }) })).toBe(0x2c2);
    expect(await attempt({ objectPublic: ecc({ nameAlg: 'null' }) })).toBe(0x2c3);
    expect(await attempt({ objectPublic: ecc({ objectAttributes: attributes() }) })).toBe(0x2c2);
  });

  it('with encryptedDuplication comes in both wrappers: ATTRIBUTES', async () => {
    const objectPublic = ecc({ objectAttributes: attributes('sign', 'encryptedDuplication') });
    expect(await attempt({ objectPublic })).toBe(0x1c2);
    const encryptionKey = filled(16);
    const inner = innerWrapped(objectPublic, clear, encryptionKey);
    const once = { objectPublic, encryptionKey, symmetricAlg: aes128, duplicate: inner };
    expect(await attempt(once)).toBe(0x4c2);
    const twice = outerWrapped(parentPublic, objectPublic, inner, random);
    expect(await attempt({ ...once, ...twice })).toBe(0);
  });

  it('is taken out of wrappers with the right keys only: INTEGRITY, SIZE, ECC_POINT, TYPE', async () => {
    const encryptionKey = filled(16, 1);
    const inner = innerWrapped(ecc(), clear, encryptionKey);
    const wrapped = { encryptionKey, symmetricAlg: aes128, duplicate: inner };
    expect(await attempt(wrapped)).toBe(0);
    expect(await attempt({ ...wrapped, encryptionKey: none })).toBe(0x1d5);
    expect(await attempt({ ...wrapped, symmetricAlg: nullCipher })).toBe(0x1d5);
    expect(await attempt({ ...wrapped, symmetricAlg: { ...aes128, keyBits: 100 } })).toBe(0x5c4);
    const broken = inner.slice();
    broken[inner.length - 1] = (broken[inner.length - 1] ?? 0) ^ 1;
    expect(await attempt({ ...wrapped, duplicate: broken })).toBe(0x3df);
    const outer = outerWrapped(parentPublic, ecc(), clear, random);
    expect(await attempt(outer)).toBe(0);
    expect(await attempt({ ...outer, objectPublic: ecc({ authPolicy: filled(32) }) })).toBe(0x3df);
    expect(await attempt({ ...outer, inSymSeed: filled(8) })).toBe(0x4e7);
    expect(await attempt({ ...outer, inSymSeed: new Uint8Array([0, 32]) })).toBe(0x4da);
    const leaf = await primary(chip, signs());
    expect(await attempt({ parentHandle: leaf.objectHandle })).toBe(0x18a);
  });

  it('is checked when it is loaded, where its parent may itself be known elsewhere', async () => {
    const loose = await primary(chip, looseStorage);
    const wrong = { parentHandle: loose.objectHandle, duplicate: sensitiveOf('ecc', filled(32, 8)) };
    const { outPrivate: inPrivate } = await ask(chip, TPM2_Import, {
      ...bare,
      objectPublic: ecc(),
      ...wrong,
    });
    const load = { parentHandle: loose.objectHandle, inPrivate, inPublic: ecc() };
    expect(await codeFor(chip, TPM2_Load, load)).toBe(0x0a5);
  });

  it('may have an auth value longer than a digest there, and is refused when it is loaded: SIZE', async () => {
    const { objectHandle } = await primary(chip, looseStorage);
    const duplicate = sensitiveOf('ecc', filled(32, 7), { authValue: filled(33, 1) });
    const { outPrivate: inPrivate } = await ask(chip, TPM2_Import, {
      ...bare,
      parentHandle: objectHandle,
      objectPublic: ecc(),
      duplicate,
    });
    const load = { parentHandle: objectHandle, inPrivate, inPublic: ecc() };
    expect(await codeFor(chip, TPM2_Load, load)).toBe(0x1d5);
  });
});
