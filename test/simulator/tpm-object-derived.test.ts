import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { derivedTemplate } from '../../simulator/tpm/derive.ts';
import { hex, utf8 } from '../../src/core/bytes.ts';
import { encode } from '../../src/tpm/codec.ts';
import {
  TPM2_Create,
  TPM2_CreateLoaded,
  TPM2_CreatePrimary,
  TPM2_FlushContext,
  TPM2_Import,
  TPM2_Load,
} from '../../src/tpm/commands.ts';
import { nameOf, TPM_RH } from '../../src/tpm/index.ts';
import { TPMS_DERIVE } from '../../src/tpm/structures.ts';
import { ask, codeFor, filled, none } from '../tpm/raw.ts';
import type { AttributeName } from '../tpm/raw-templates.ts';
import {
  attributes,
  cipherTemplate,
  creation,
  eccTemplate,
  fixedStorage,
  keyedHashTemplate,
  nullCipher,
  rsaTemplate,
  sensitiveOf,
} from '../tpm/raw-templates.ts';

type Template = Parameters<typeof derivedTemplate.write>[1];
type Names = { readonly label: Uint8Array; readonly context: Uint8Array };

const seedValue = filled(32, 3);
const secret = filled(32, 9);
/** A derivation parent whose secret is known: another TPM that has it derives the same. */
const parent = keyedHashTemplate(attributes('restricted', 'decrypt', 'userWithAuth'), {
  // Part 1 §27.5.3.3: the unique value of a parent is an HMAC.
  unique: new Uint8Array(createHmac('sha256', seedValue).update(secret).digest()),
  parameters: { scheme: { scheme: 'xor', hashAlg: 'sha256', kdf: 'kdf1_sp800_108' } },
});

const names = (label: string, context = ''): Names => ({ label: utf8(label), context: utf8(context) });
const child = attributes('fixedParent', 'userWithAuth', 'sign');
const hmac = { scheme: { scheme: 'hmac', hashAlg: 'sha256' } } as const;
const eccChild = (unique: Names, curveID: 'P-256' | 'P-384' | 'P-521' = 'P-256'): Template => ({
  ...eccTemplate(child, { parameters: { curveID } }),
  unique,
});

describe('an object derived from a parent', () => {
  let chip: SoftwareTpm;
  let parentHandle: number;

  beforeEach(async () => {
    chip = await SoftwareTpm.create({ random: seededRandom('derived'), clock: virtualClock() });
    const storage = await ask(chip, TPM2_CreatePrimary, {
      primaryHandle: TPM_RH.owner,
      ...creation,
      inPublic: fixedStorage,
    });
    const { outPrivate } = await ask(chip, TPM2_Import, {
      parentHandle: storage.objectHandle,
      encryptionKey: none,
      objectPublic: parent,
      duplicate: sensitiveOf('keyedhash', secret, { seedValue }),
      inSymSeed: none,
      symmetricAlg: nullCipher,
    });
    const loaded = await ask(chip, TPM2_Load, {
      parentHandle: storage.objectHandle,
      inPrivate: outPrivate,
      inPublic: parent,
    });
    parentHandle = loaded.objectHandle;
  });

  const derive = async (template: Template, data: Uint8Array = none) => {
    const made = await ask(chip, TPM2_CreateLoaded, {
      parentHandle,
      inSensitive: { userAuth: none, data },
      inPublic: encode(derivedTemplate, template),
    });
    await ask(chip, TPM2_FlushContext, { flushHandle: made.objectHandle });
    return made;
  };
  const refused = (inPublic: Uint8Array, data: Uint8Array = none, userAuth: Uint8Array = none) =>
    codeFor(chip, TPM2_CreateLoaded, { parentHandle, inSensitive: { userAuth, data }, inPublic });

  // Made by libtpms 0.9 from the same parent, label and context.
  it.each([
    ['P-256', '000ba5cbbff4c060cba20f527192d12c96502de5257e824067b1e43249ea77801584'],
    ['P-384', '000b1e3fd85b13b416b4f61888cd43ffe75e27426807fa810990d66934c8039e8949'],
    ['P-521', '000b658af3518bbb6503dd47bcdecde23f47038999f07a142a9cc26bef202a70116f'],
  ] as const)('on curve %s is the one that libtpms derives', async (curve, name) => {
    expect(hex((await derive(eccChild(names('label', 'context'), curve))).name)).toBe(name);
  });

  it.each([
    [
      'an HMAC key',
      { ...keyedHashTemplate(child, { parameters: hmac }), unique: names('label', 'context') },
      '000b0805583cfb54af16427c8e7e64250da25a02dcc7c925229792a61d7c11cc7417',
    ],
    [
      'an AES key',
      { ...cipherTemplate(attributes('fixedParent', 'decrypt')), unique: names('label', 'context') },
      '000b61c745d37782dc9139479c6e195a37b7f1a6eec1ce73c935117f5b683d1de7b2',
    ],
  ] as const)('as %s is the one that libtpms derives', async (_, template, name) => {
    expect(hex((await derive(template)).name)).toBe(name);
  });

  it('has no private part to keep, and a Name like any other', async () => {
    const made = await derive(eccChild(names('label')));
    expect(made.outPrivate).toEqual(none);
    expect(made.name).toEqual(nameOf(made.outPublic));
  });

  it('follows from label and context, each in its own place', async () => {
    const seen = new Map<string, string>();
    const text = fc.uint8Array({ maxLength: 32 });
    await fc.assert(
      fc.asyncProperty(text, text, async (label, context) => {
        const first = hex((await derive(eccChild({ label, context }))).name);
        expect(hex((await derive(eccChild({ label, context }))).name)).toBe(first);
        // One zero at the end of a label counts as the end that KDFa gives it anyway.
        const end = label.at(-1) === 0 ? label.subarray(0, -1) : label;
        const id = hex(encode(TPMS_DERIVE, { label: end, context }));
        expect(seen.get(first) ?? id).toBe(id);
        seen.set(first, id);
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  it('takes label and context from the data where the template has none', async () => {
    const given = encode(TPMS_DERIVE, names('label', 'context'));
    const expected = (await derive(eccChild(names('label', 'context')))).name;
    expect((await derive(eccChild(names('')), given)).name).toEqual(expected);
    expect((await derive(eccChild(names('label')), given)).name).toEqual(expected);
    expect((await derive(eccChild(names('other')), given)).name).not.toEqual(expected);
  });

  it('is refused when its data is no label and context: INSUFFICIENT, SIZE', async () => {
    const template = encode(derivedTemplate, eccChild(names('')));
    expect(await refused(template, filled(3))).toBe(0x09a);
    expect(await refused(template, new Uint8Array([0, 33, ...filled(35)]))).toBe(0x095);
  });

  it('is no RSA key, has no data origin, is fixed to its parent and to the TPM as its parent is', async () => {
    const unique = names('label');
    const withAttributes = (...set: readonly AttributeName[]) =>
      encode(derivedTemplate, { ...eccTemplate(attributes(...set)), unique });
    expect(await refused(encode(derivedTemplate, { ...rsaTemplate(child), unique }))).toBe(0x2ca);
    expect(await refused(withAttributes('fixedParent', 'sign', 'sensitiveDataOrigin'))).toBe(0x082);
    expect(await refused(withAttributes('sign'))).toBe(0x2c2);
    expect(await refused(withAttributes('sign', 'fixedParent', 'fixedTPM'))).toBe(0x2c2);
    expect(await refused(withAttributes('sign', 'fixedParent', 'encryptedDuplication'))).toBe(0x2c2);
  });

  it('is refused when its template is cut, has bytes too many, or its auth value is too long', async () => {
    const template = encode(derivedTemplate, eccChild(names('label')));
    expect(await refused(template.subarray(0, -1))).toBe(0x2da);
    expect(await refused(new Uint8Array([...template, 0]))).toBe(0x2d5);
    expect(await refused(none)).toBe(0x2da);
    expect(await refused(template, none, filled(33, 1))).toBe(0x1d5);
  });

  it('is the only kind of child: TPM2_Create and TPM2_Import refuse the parent by its TYPE', async () => {
    expect(await codeFor(chip, TPM2_Create, { parentHandle, ...creation, inPublic: fixedStorage })).toBe(
      0x18a,
    );
    const duplicate = sensitiveOf('keyedhash', secret, { seedValue });
    const rest = { encryptionKey: none, inSymSeed: none, symmetricAlg: nullCipher };
    expect(await codeFor(chip, TPM2_Import, { parentHandle, objectPublic: parent, duplicate, ...rest })).toBe(
      0x18a,
    );
  });
});
