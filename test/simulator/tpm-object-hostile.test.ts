import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { publicPoint } from '../../simulator/tpm/crypto/ecc.ts';
import { derivedTemplate } from '../../simulator/tpm/derive.ts';
import { hex } from '../../src/core/bytes.ts';
import { encode } from '../../src/tpm/codec.ts';
import {
  TPM2_ContextLoad,
  TPM2_ContextSave,
  TPM2_CreateLoaded,
  TPM2_CreatePrimary,
  TPM2_DictionaryAttackLockReset,
  TPM2_FlushContext,
  TPM2_Import,
  TPM2_Load,
  TPM2_LoadExternal,
  TPM2_MakeCredential,
  TPM2_Rewrap,
} from '../../src/tpm/commands.ts';
import { TPM_RH } from '../../src/tpm/index.ts';
import { TPMS_DERIVE, TPMS_ECC_POINT, TPMT_PUBLIC } from '../../src/tpm/structures.ts';
import { ask, bytesOf, codeOf, filled, none } from '../tpm/raw.ts';
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
  sensitiveOf,
} from '../tpm/raw-templates.ts';

const FAILURE = 0x101;

/** Every command that brings an object in, as it would succeed (or nearly), and what they need in the chip. */
async function commands(chip: SoftwareTpm): Promise<Uint8Array[]> {
  const primary = async (inPublic: typeof fixedStorage) =>
    (await ask(chip, TPM2_CreatePrimary, { primaryHandle: TPM_RH.owner, ...creation, inPublic }))
      .objectHandle;
  const fixed = await primary(fixedStorage);
  const loose = await primary(looseStorage);
  const seedValue = filled(32, 3);
  const secret = filled(32, 9);
  const inPublic = keyedHashTemplate(attributes('restricted', 'decrypt', 'userWithAuth'), {
    unique: new Uint8Array(createHmac('sha256', seedValue).update(secret).digest()),
    parameters: { scheme: { scheme: 'xor', hashAlg: 'sha256', kdf: 'kdf1_sp800_108' } },
  });
  const bare = { encryptionKey: none, inSymSeed: none, symmetricAlg: nullCipher };
  const { outPrivate: inPrivate } = await ask(chip, TPM2_Import, {
    parentHandle: fixed,
    ...bare,
    objectPublic: inPublic,
    duplicate: sensitiveOf('keyedhash', secret, { seedValue }),
  });
  const load = { parentHandle: fixed, inPrivate, inPublic };
  const deriving = (await ask(chip, TPM2_Load, load)).objectHandle;
  const unique = publicPoint('P-256', filled(32, 7));
  const objectPublic = eccTemplate(attributes('sign', 'userWithAuth'), { unique });
  const duplicate = sensitiveOf('ecc', filled(32, 7));
  const plain = { ...bare, objectPublic, duplicate };
  const inSymSeed = encode(TPMS_ECC_POINT, unique);
  const { context } = await ask(chip, TPM2_ContextSave, { saveHandle: deriving });
  const key = { sensitiveType: 'ecc', authValue: none, seedValue: none, sensitive: filled(32, 7) } as const;
  const cipherKey = { ...key, sensitiveType: 'symcipher', sensitive: filled(16) } as const;
  const names = encode(TPMS_DERIVE, { label: filled(3), context: filled(4) });
  const child = eccTemplate(attributes('sign', 'fixedParent'));
  const ordinary = eccTemplate(attributes('sign', 'sensitiveDataOrigin'));
  return [
    bytesOf(TPM2_Import, { parentHandle: fixed, ...plain }),
    bytesOf(TPM2_Import, { parentHandle: loose, ...plain }),
    bytesOf(TPM2_Import, {
      parentHandle: fixed,
      ...plain,
      inSymSeed,
      encryptionKey: filled(16),
      symmetricAlg: aes128,
    }),
    bytesOf(TPM2_Rewrap, {
      oldParent: TPM_RH.null,
      newParent: fixed,
      inDuplicate: duplicate,
      name: filled(34),
      inSymSeed: none,
    }),
    bytesOf(TPM2_Rewrap, {
      oldParent: fixed,
      newParent: loose,
      inDuplicate: duplicate,
      name: filled(34),
      inSymSeed,
    }),
    bytesOf(TPM2_CreateLoaded, {
      parentHandle: deriving,
      inSensitive: { userAuth: none, data: names },
      inPublic: encode(derivedTemplate, { ...child, unique: { label: none, context: none } }),
    }),
    bytesOf(TPM2_CreateLoaded, {
      parentHandle: fixed,
      inSensitive: { userAuth: none, data: none },
      inPublic: encode(TPMT_PUBLIC, ordinary),
    }),
    bytesOf(TPM2_LoadExternal, { inPublic: objectPublic, inPrivate: key, hierarchy: TPM_RH.null }),
    bytesOf(TPM2_LoadExternal, {
      inPublic: cipherTemplate(attributes('decrypt')),
      inPrivate: cipherKey,
      hierarchy: TPM_RH.null,
    }),
    bytesOf(TPM2_Load, load),
    bytesOf(TPM2_MakeCredential, { handle: fixed, credential: filled(4), objectName: filled(3) }),
    bytesOf(TPM2_ContextLoad, { context }),
  ];
}

/** The command with single bytes changed, cut everywhere, and with three bytes too many everywhere. */
function* variants(command: Uint8Array): Generator<Uint8Array> {
  const sized = (bytes: Uint8Array) => {
    new DataView(bytes.buffer).setUint32(2, bytes.length);
    return bytes;
  };
  yield command;
  for (let at = 10; at < command.length; at++) {
    for (const change of [0x01, 0x10, 0x80, 0xff]) {
      const changed = command.slice();
      changed[at] = (changed[at] ?? 0) ^ change;
      yield changed;
    }
    yield sized(command.slice(0, at));
    const longer = new Uint8Array(command.length + 3);
    longer.set(command.subarray(0, at));
    longer.set(command.subarray(at), at + 3);
    yield sized(longer);
  }
}

describe('commands that bring objects in', () => {
  it('are refused for what is wrong with them, and never bring the chip into failure', async () => {
    const chip = await SoftwareTpm.create({
      random: seededRandom('object-hostile'),
      clock: virtualClock(),
      slots: 5,
    });
    const reset = bytesOf(TPM2_DictionaryAttackLockReset, { lockHandle: TPM_RH.lockout });
    const flush = [3, 4].map((slot) => bytesOf(TPM2_FlushContext, { flushHandle: 0x80000000 + slot }));
    const failed: string[] = [];
    const codes = new Set<number>();
    for (const command of await commands(chip))
      for (const variant of variants(command)) {
        const code = codeOf(await chip.exchange(variant));
        codes.add(code);
        if (code === FAILURE) failed.push(hex(variant));
        for (const one of [...flush, reset]) await chip.exchange(one);
      }
    expect(failed).toEqual([]);
    // What was sent was not refused at the door: integrity, binding and derivation were all reached.
    for (const code of [0, 0x1df, 0x3df, 0x0a5, 0x09a]) expect(codes).toContain(code);
  }, 60_000);
});
