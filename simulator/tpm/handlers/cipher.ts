import {
  TPM2_EncryptDecrypt,
  TPM2_EncryptDecrypt2,
  TPM2_RSA_Decrypt,
  TPM2_RSA_Encrypt,
} from '../../../src/tpm/commands.ts';
import type { TPMI_ALG_SYM_MODE, TPMI_YES_NO, TPMT_RSA_DECRYPT } from '../../../src/tpm/structures.ts';
import { aesDecrypt, aesEncrypt, nextIv } from '../crypto/cipher.ts';
import { objectOf } from '../entity.ts';
import { handler } from '../handler.ts';
import { needInputBuffer } from '../limits.ts';
import type { Machine } from '../machine.ts';
import { handleRefused, parameterRefused, RC, Refusal } from '../refusal.ts';
import { rsaDecrypt, rsaEncrypt } from '../rsa-padding.ts';

/** Part 3 §14.2, §14.3, §15.2 and §15.3: encryption. */
export const cipherHandlers = [
  handler(TPM2_RSA_Encrypt, (chip, { keyHandle, message, inScheme, label }) => {
    const { publicArea } = objectOf(chip, keyHandle, 1);
    if (publicArea.type !== 'rsa') throw handleRefused(RC.KEY, 1);
    if (!publicArea.objectAttributes.decrypt) throw handleRefused(RC.ATTRIBUTES, 1);
    const scheme = paddingOf(publicArea.parameters.scheme, inScheme, label);
    const outData = rsaEncrypt(publicArea, scheme, label, message, (count) => chip.random.bytes(count));
    if (typeof outData === 'number') throw new Refusal(outData);
    return { outData };
  }),

  handler(TPM2_RSA_Decrypt, (chip, { keyHandle, cipherText, inScheme, label }) => {
    const key = objectOf(chip, keyHandle, 1);
    const { publicArea } = key;
    if (publicArea.type !== 'rsa') throw handleRefused(RC.KEY, 1);
    const { restricted, decrypt } = publicArea.objectAttributes;
    if (restricted || !decrypt) throw handleRefused(RC.ATTRIBUTES, 1);
    const scheme = paddingOf(publicArea.parameters.scheme, inScheme, label);
    const message = rsaDecrypt(key, scheme, label, cipherText);
    if (typeof message === 'number') throw new Refusal(message);
    return { message };
  }),

  handler(TPM2_EncryptDecrypt, (chip, request) => {
    const operands = { mode: 2, ivIn: 3, inData: 4 };
    return encryptDecrypt(chip, request, operands);
  }),

  handler(TPM2_EncryptDecrypt2, (chip, request) => {
    const operands = { inData: 1, mode: 3, ivIn: 4 };
    return encryptDecrypt(chip, request, operands);
  }),
];

type RsaScheme = { readonly scheme: string; readonly hashAlg?: string };

/** The key's own padding when it has one, else the caller's (Part 1 annex B.4). */
function paddingOf(own: RsaScheme, asked: TPMT_RSA_DECRYPT, label: Uint8Array): TPMT_RSA_DECRYPT {
  // A label is a C string, or nothing.
  if (label.length > 0 && label.at(-1) !== 0) throw parameterRefused(RC.VALUE, 3);
  if (own.scheme === 'null') return asked;
  const askedHash = 'hashAlg' in asked ? asked.hashAlg : undefined;
  if (asked.scheme !== 'null' && (asked.scheme !== own.scheme || askedHash !== own.hashAlg))
    throw parameterRefused(RC.SCHEME, 2);
  return own as TPMT_RSA_DECRYPT;
}

interface CipherRequest {
  readonly keyHandle: number;
  readonly decrypt: TPMI_YES_NO;
  readonly mode: TPMI_ALG_SYM_MODE;
  readonly ivIn: Uint8Array;
  readonly inData: Uint8Array;
}

/** Both commands, which differ in the order of their parameters: `operands` are the numbers to blame. */
function encryptDecrypt(
  chip: Machine,
  { keyHandle, decrypt, mode: asked, ivIn, inData }: CipherRequest,
  operands: Readonly<Record<'mode' | 'ivIn' | 'inData', number>>,
) {
  needInputBuffer(inData, operands.inData);
  const { publicArea, sensitive } = objectOf(chip, keyHandle, 1);
  if (publicArea.type !== 'symcipher' || sensitive === undefined) throw handleRefused(RC.KEY, 1);
  const { sym } = publicArea.parameters;
  if (sym.algorithm !== 'aes') throw handleRefused(RC.KEY, 1);
  const { objectAttributes } = publicArea;
  // `sign` of a symmetric key is leave to encrypt (Part 2 §8.3.3.9).
  const allowed = decrypt === 'yes' ? objectAttributes.decrypt : objectAttributes.sign;
  if (objectAttributes.restricted || !allowed) throw handleRefused(RC.ATTRIBUTES, 1);
  const mode = sym.mode === 'null' ? asked : sym.mode;
  if (mode === 'null' || (asked !== 'null' && asked !== mode)) throw parameterRefused(RC.MODE, operands.mode);
  if (ivIn.length !== (mode === 'ecb' ? 0 : 16)) throw parameterRefused(RC.SIZE, operands.ivIn);
  const wholeBlocks = mode === 'cbc' || mode === 'ecb';
  if (wholeBlocks && inData.length % 16 !== 0) throw parameterRefused(RC.SIZE, operands.inData);
  const key = sensitive.sensitive;
  if (decrypt === 'yes') {
    const outData = aesDecrypt(mode, key, ivIn, inData);
    return { outData, ivOut: nextIv(mode, key, ivIn, outData, inData) };
  }
  const outData = aesEncrypt(mode, key, ivIn, inData);
  return { outData, ivOut: nextIv(mode, key, ivIn, inData, outData) };
}
