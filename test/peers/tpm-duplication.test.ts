import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { publicPoint } from '../../simulator/tpm/crypto/ecc.ts';
import { digest } from '../../simulator/tpm/crypto/hash.ts';
import { concat, u32, utf8 } from '../../src/core/bytes.ts';
import { encode } from '../../src/tpm/codec.ts';
import type { ArgumentsOf } from '../../src/tpm/command.ts';
import {
  TPM2_Create,
  TPM2_CreatePrimary,
  TPM2_Duplicate,
  TPM2_FlushContext,
  TPM2_Import,
  TPM2_Load,
  TPM2_LoadExternal,
  TPM2_PolicyCommandCode,
  TPM2_Rewrap,
  TPM2_Unseal,
} from '../../src/tpm/commands.ts';
import { TPM_RH } from '../../src/tpm/index.ts';
import type { TPMT_SYM_DEF_OBJECT as Cipher, TPMT_PUBLIC as Public } from '../../src/tpm/structures.ts';
import { TPMS_ECC_POINT } from '../../src/tpm/structures.ts';
import type { Answering } from '../tpm/raw.ts';
import { ask, filled, none, passwordOf } from '../tpm/raw.ts';
import { startPolicyFor, withPolicy } from '../tpm/raw-sessions.ts';
import type { AttributeName } from '../tpm/raw-templates.ts';
import {
  aes128,
  attributes,
  cipherTemplate,
  creation,
  eccTemplate,
  fixedStorage,
  keyedHashTemplate,
  nullCipher,
  rsaTemplate,
  sealing,
  sensitiveOf,
} from '../tpm/raw-templates.ts';
import type { Pair } from './pair.ts';
import { startPair } from './pair.ts';
import { needs } from './present.ts';

const owner = TPM_RH.owner;
const authPolicy = digest('sha256', filled(32), u32(TPM2_PolicyCommandCode.code), u32(TPM2_Duplicate.code));
const rsaStorage = rsaTemplate(fixedStorage.objectAttributes, { parameters: { symmetric: aes128 } });

/** A policy session that allows one TPM2_Duplicate. */
const permission = (tpm: Answering) => startPolicyFor(tpm, TPM2_Duplicate.code);

const primary = (tpm: Answering, inPublic: Public) =>
  ask(tpm, TPM2_CreatePrimary, { primaryHandle: owner, ...creation, inPublic });
const flush = (tpm: Answering, flushHandle: number) => ask(tpm, TPM2_FlushContext, { flushHandle });

async function loaded(tpm: Answering, parentHandle: number, inPublic: Public, data: Uint8Array = none) {
  const made = await ask(tpm, TPM2_Create, { parentHandle, ...creation, inPublic, ...sealing(data) });
  const { outPrivate: inPrivate, outPublic } = made;
  const { objectHandle } = await ask(tpm, TPM2_Load, { parentHandle, inPrivate, inPublic: outPublic });
  return { objectHandle, outPublic };
}

const parents = { ECC: fixedStorage, RSA: rsaStorage } as const;
const wrappers = { 'in the outer wrapper': nullCipher, 'in both wrappers': aes128 } as const;
const cases = (['to swtpm', 'from swtpm'] as const).flatMap((direction) =>
  Object.keys(parents).flatMap((parent) =>
    Object.keys(wrappers).map((wrapper) => [direction, parent, wrapper] as const),
  ),
) as readonly (readonly ['to swtpm' | 'from swtpm', keyof typeof parents, keyof typeof wrappers])[];

describe.skipIf(!needs('swtpm'))('duplication by the software TPM and by swtpm', { timeout: 60_000 }, () => {
  let pair: Pair;

  beforeEach(async () => {
    pair = await startPair();
  });
  afterEach(() => pair.close());

  it.each(cases)('carries sealed data %s, below an %s parent, %s', async (direction, parent, wrapper) => {
    const [from, to] = direction === 'to swtpm' ? [pair.ours, pair.its] : [pair.its, pair.ours];
    const secret = utf8(`sealed ${direction}`);
    const target = await primary(to, parents[parent]);
    const root = await primary(from, fixedStorage);
    const sealed = keyedHashTemplate(attributes('userWithAuth'), { authPolicy });
    const object = await loaded(from, root.objectHandle, sealed, secret);
    await flush(from, root.objectHandle);
    const newParent = await ask(from, TPM2_LoadExternal, { inPublic: target.outPublic, hierarchy: owner });
    const symmetricAlg: Cipher = wrappers[wrapper];
    const out = await ask(
      from,
      TPM2_Duplicate,
      {
        objectHandle: object.objectHandle,
        newParentHandle: newParent.objectHandle,
        encryptionKeyIn: none,
        symmetricAlg,
      },
      [withPolicy(await permission(from))],
    );
    const parentHandle = target.objectHandle;
    const { outPrivate } = await ask(to, TPM2_Import, {
      parentHandle,
      encryptionKey: out.encryptionKeyOut,
      objectPublic: object.outPublic,
      duplicate: out.duplicate,
      inSymSeed: out.outSymSeed,
      symmetricAlg,
    });
    const load = { parentHandle, inPrivate: outPrivate, inPublic: object.outPublic };
    const { objectHandle: itemHandle } = await ask(to, TPM2_Load, load);
    expect((await ask(to, TPM2_Unseal, { itemHandle })).outData).toEqual(secret);
  });

  /** Both have an ECC parent at 80000000, an RSA parent at 80000001, and the object at 80000002. */
  const staged = async (inPublic: Public, data: Uint8Array = none) => {
    for (const tpm of [pair.ours, pair.its]) {
      await primary(tpm, fixedStorage);
      await primary(tpm, rsaStorage);
      await loaded(tpm, 0x80000000, inPublic, data);
    }
  };
  const signs = (...more: readonly AttributeName[]) =>
    eccTemplate(attributes('sensitiveDataOrigin', 'userWithAuth', 'sign', ...more), { authPolicy });

  it.each([
    ['an ordinary key', signs()],
    ['a key to be encrypted', signs('encryptedDuplication')],
    ['a fixed key', signs('fixedTPM', 'fixedParent')],
  ] as const)('refuses alike for %s', async (_, template) => {
    await staged(template);
    const attempt = async (what: string, changes: Partial<ArgumentsOf<typeof TPM2_Duplicate>>) => {
      const request = {
        objectHandle: 0x80000002,
        newParentHandle: 0x80000000,
        encryptionKeyIn: none,
        symmetricAlg: nullCipher,
        ...changes,
      };
      const session = [await permission(pair.ours), await permission(pair.its)][0] ?? 0;
      await pair.compare(what, TPM2_Duplicate, request, [withPolicy(session)]);
      for (const tpm of [pair.ours, pair.its]) await flush(tpm, session);
      await pair.compare(`${what}, by password`, TPM2_Duplicate, request, [passwordOf()]);
    };
    for (const newParentHandle of [0x80000000, 0x80000001, 0x80000002, TPM_RH.null, owner])
      for (const symmetricAlg of [
        nullCipher,
        aes128,
        { ...aes128, keyBits: 256 },
        { ...aes128, keyBits: 100 },
      ])
        for (const size of [0, 15, 16, 32]) {
          const encryptionKeyIn = filled(size, 1);
          const what = `to ${newParentHandle.toString(16)}, ${JSON.stringify(symmetricAlg)}, key of ${size}`;
          await attempt(what, { newParentHandle, symmetricAlg, encryptionKeyIn });
        }
    expect(pair.differences()).toEqual([]);
  });

  it('imports and refuses alike what was made elsewhere', async () => {
    await staged(cipherTemplate(attributes('sensitiveDataOrigin', 'userWithAuth', 'restricted', 'decrypt')));
    const point = publicPoint('P-256', filled(32, 7));
    const key = (...set: readonly AttributeName[]) =>
      eccTemplate(attributes('userWithAuth', ...set), { unique: point });
    const scalar = (more: Parameters<typeof sensitiveOf>[2] = {}) => sensitiveOf('ecc', filled(32, 7), more);
    const attempt = (what: string, changes: Partial<ArgumentsOf<typeof TPM2_Import>> = {}) =>
      pair.compare(what, TPM2_Import, {
        parentHandle: 0x80000000,
        encryptionKey: none,
        objectPublic: key('sign'),
        duplicate: scalar(),
        inSymSeed: none,
        symmetricAlg: nullCipher,
        ...changes,
      });
    expect(await attempt('an ECC key in clear')).toEqual([0, 0]);
    for (const size of [0, 4, 32, 33])
      for (const byte of [0, 1])
        await attempt(`auth ${size} of ${byte}`, { duplicate: scalar({ authValue: filled(size, byte) }) });
    for (const size of [0, 15, 16, 32, 33]) {
      const duplicate = scalar({ seedValue: filled(size) });
      await attempt(`seed ${size}`, { duplicate });
      const storage = eccTemplate(attributes('restricted', 'decrypt'), {
        unique: point,
        parameters: { symmetric: aes128 },
      });
      await attempt(`storage key, seed ${size}`, { duplicate, objectPublic: storage });
    }
    for (const size of [0, 1, 2, 3, 10, scalar().length - 1])
      await attempt(`cut to ${size}`, { duplicate: scalar().subarray(0, size) });
    await attempt('zeros', { duplicate: filled(40) });
    await attempt('a byte too many', { duplicate: concat(scalar(), filled(1)) });
    await attempt('another key', { duplicate: sensitiveOf('ecc', filled(32, 8)) });
    await attempt('another type', { duplicate: sensitiveOf('keyedhash', filled(32, 7)) });
    for (const name of ['fixedTPM', 'fixedParent', 'restricted', 'sensitiveDataOrigin', 'stClear'] as const)
      await attempt(name, { objectPublic: key('sign', name) });
    await attempt('no use', { objectPublic: key() });
    await attempt('no Name', { objectPublic: { ...key('sign'), nameAlg: 'null' } });
    for (const objectPublic of [key('sign'), key('sign', 'encryptedDuplication')])
      for (const symmetricAlg of [nullCipher, aes128])
        for (const size of [0, 15, 16]) {
          const inner = { objectPublic, symmetricAlg, encryptionKey: filled(size) };
          await attempt(`inner ${symmetricAlg.algorithm} ${size}`, inner);
          await attempt(`inner ${symmetricAlg.algorithm} ${size} of nothing`, { ...inner, duplicate: none });
        }
    const seeds = [filled(10), new Uint8Array([0, 32]), encode(TPMS_ECC_POINT, point)];
    for (const inSymSeed of [...seeds, encode(TPMS_ECC_POINT, { x: point.x, y: point.x })])
      for (const parentHandle of [0x80000000, 0x80000002])
        await attempt(`seed of ${inSymSeed.length} for ${parentHandle.toString(16)}`, {
          inSymSeed,
          parentHandle,
        });
    await attempt('a short seed for RSA', { parentHandle: 0x80000001, inSymSeed: filled(10) });
    await attempt('in clear, below a symmetric parent', { parentHandle: 0x80000002 });
    const seedValue = filled(32, 3);
    for (const size of [0, 16, 64, 65, 128])
      for (const set of [['sign'], ['sign', 'restricted'], [], ['sensitiveDataOrigin']] as const) {
        const unique = digest('sha256', seedValue, filled(size));
        const scheme = (set as readonly string[]).includes('sign')
          ? ({ scheme: 'hmac', hashAlg: 'sha256' } as const)
          : ({ scheme: 'null' } as const);
        await attempt(`keyed hash of ${size}, ${set}`, {
          objectPublic: keyedHashTemplate(attributes(...set), { unique, parameters: { scheme } }),
          duplicate: sensitiveOf('keyedhash', filled(size), { seedValue }),
        });
      }
    for (const size of [15, 16, 32])
      await attempt(`AES key of ${size}`, {
        objectPublic: cipherTemplate(attributes('decrypt'), {
          unique: digest('sha256', seedValue, filled(size)),
        }),
        duplicate: sensitiveOf('symcipher', filled(size), { seedValue }),
      });
    expect(pair.differences()).toEqual([]);
  });

  it('rewraps and refuses alike', async () => {
    await staged(cipherTemplate(attributes('sensitiveDataOrigin', 'userWithAuth', 'restricted', 'decrypt')));
    const point = publicPoint('P-256', filled(32, 7));
    const seeds = [
      none,
      filled(10),
      encode(TPMS_ECC_POINT, point),
      encode(TPMS_ECC_POINT, { ...point, y: point.x }),
    ];
    for (const oldParent of [0x80000000, 0x80000002, TPM_RH.null, owner])
      for (const newParent of [0x80000000, 0x80000001, 0x80000002, TPM_RH.null])
        for (const inSymSeed of seeds)
          for (const inDuplicate of [filled(1), filled(60)]) {
            const request = { oldParent, newParent, inDuplicate, name: filled(34), inSymSeed };
            const what = `${oldParent.toString(16)} to ${newParent.toString(16)}, seed of ${inSymSeed.length}`;
            await pair.compare(what, TPM2_Rewrap, request);
          }
    expect(pair.differences()).toEqual([]);
  });
});
