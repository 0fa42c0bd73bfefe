import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { cipherModes } from '../../simulator/tpm/crypto/cipher.ts';
import type { hashAlgorithms } from '../../simulator/tpm/crypto/hash.ts';
import { concat, hex, utf8 } from '../../src/core/bytes.ts';
import * as tpm2 from '../../src/tpm/commands.ts';
import type { TPMT_RSA_DECRYPT } from '../../src/tpm/structures.ts';
import { ask } from '../tpm/raw.ts';
import type { ExternalKey } from './external-keys.ts';
import { eccKey, hmacKey, rsaKey, symmetricKey } from './external-keys.ts';

const random = seededRandom('ciphers test');
const none = new Uint8Array();
const NULL = 0x40000007;
const noTicket = { tag: 'hashcheck', hierarchy: NULL, digest: none } as const;
const label = utf8('label\0');

let chip: SoftwareTpm;
beforeEach(async () => {
  chip = await SoftwareTpm.create({ random: seededRandom('ciphers'), clock: virtualClock(), slots: 8 });
});

const load = async (key: ExternalKey) =>
  (await ask(chip, tpm2.TPM2_LoadExternal, { ...key, hierarchy: NULL })).objectHandle;

describe('TPM2_EncryptDecrypt2', () => {
  it.each([16, 24, 32])(
    'gives in pieces what OpenSSL gives at once, and takes it back: AES with %i bytes of key',
    async (size) => {
      const key = random.bytes(size);
      const keyHandle = await load(symmetricKey(key));
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...cipherModes),
          fc.array(fc.integer({ min: 0, max: 64 }), { minLength: 1, maxLength: 3 }),
          fc.integer({ min: 0, max: 15 }),
          async (mode, blocks, rest) => {
            const start = mode === 'ecb' ? none : random.bytes(16);
            const pieces = blocks.map((count) => random.bytes(16 * count));
            // Only modes that are streams may end within a block.
            if (mode !== 'ecb' && mode !== 'cbc') pieces.push(random.bytes(rest));
            const run = async (decrypt: 'yes' | 'no', data: readonly Uint8Array[]) => {
              const out: Uint8Array[] = [];
              let ivIn = start;
              for (const inData of data) {
                const asked = { keyHandle, inData, decrypt, mode, ivIn };
                const { outData, ivOut } = await ask(chip, tpm2.TPM2_EncryptDecrypt2, asked);
                const { keyHandle: _, ...parameters } = asked;
                expect(await ask(chip, tpm2.TPM2_EncryptDecrypt, { keyHandle, ...parameters })).toEqual({
                  outData,
                  ivOut,
                });
                out.push(outData);
                ivIn = ivOut;
              }
              return out;
            };
            const encrypted = await run('no', pieces);
            const cipher = createCipheriv(`aes-${size * 8}-${mode}`, key, mode === 'ecb' ? null : start);
            cipher.setAutoPadding(false);
            const expected = concat(cipher.update(concat(...pieces)), cipher.final());
            expect(hex(concat(...encrypted))).toBe(hex(expected));
            expect(await run('yes', encrypted)).toEqual(pieces);
          },
        ),
        { seed: size, numRuns: 15 },
      );
    },
  );

  it('does what the attributes of the key allow, in the mode of the key', async () => {
    const only = (
      uses: { readonly sign?: boolean; readonly decrypt?: boolean },
      mode: 'cfb' | 'null' = 'cfb',
    ) => {
      const { inPrivate, inPublic } = symmetricKey(random.bytes(16), mode);
      return load({
        inPrivate,
        inPublic: { ...inPublic, objectAttributes: { userWithAuth: true, ...uses } },
      });
    };
    const asked = { inData: none, decrypt: 'no', mode: 'null', ivIn: new Uint8Array(16) } as const;
    const enciphers = (
      keyHandle: number,
      change: Partial<{ decrypt: 'yes'; mode: 'cbc' | 'ecb'; ivIn: Uint8Array; inData: Uint8Array }> = {},
    ) => ask(chip, tpm2.TPM2_EncryptDecrypt2, { ...asked, keyHandle, ...change });
    const encrypts = await only({ sign: true });
    const decrypts = await only({ decrypt: true });
    const any = await only({ sign: true, decrypt: true }, 'null');
    await enciphers(encrypts);
    await expect(enciphers(encrypts, { decrypt: 'yes' })).rejects.toThrow('182');
    await enciphers(decrypts, { decrypt: 'yes' });
    await expect(enciphers(decrypts)).rejects.toThrow('182');
    await expect(enciphers(encrypts, { mode: 'cbc' })).rejects.toThrow('3c9');
    await expect(enciphers(any)).rejects.toThrow('3c9');
    await expect(enciphers(any, { mode: 'ecb' })).rejects.toThrow('4d5');
    await expect(enciphers(any, { mode: 'cbc', ivIn: none })).rejects.toThrow('4d5');
    await expect(enciphers(any, { mode: 'cbc', inData: new Uint8Array(15) })).rejects.toThrow('1d5');
    await expect(enciphers(any, { mode: 'cbc', inData: new Uint8Array(1040) })).rejects.toThrow('1d5');
    await expect(enciphers(await load(hmacKey(none)))).rejects.toThrow('19c');
  });
});

describe('RSA encryption of the TPM', () => {
  const encrypt = (
    keyHandle: number,
    message: Uint8Array,
    inScheme: TPMT_RSA_DECRYPT,
    with_: Uint8Array = none,
  ) => ask(chip, tpm2.TPM2_RSA_Encrypt, { keyHandle, message, inScheme, label: with_ });
  const decrypt = (
    keyHandle: number,
    cipherText: Uint8Array,
    inScheme: TPMT_RSA_DECRYPT,
    with_: Uint8Array = none,
  ) => ask(chip, tpm2.TPM2_RSA_Decrypt, { keyHandle, cipherText, inScheme, label: with_ });
  const oaep = (hashAlg: (typeof hashAlgorithms)[number]) => ({ scheme: 'oaep', hashAlg }) as const;
  const plain = { scheme: 'null' } as const;

  it.each([{ scheme: 'rsaes' }, oaep('sha1'), oaep('sha256'), oaep('sha384')] as const)(
    'goes back and forth: %o',
    async (scheme) => {
      const key = await load(rsaKey());
      const message = utf8('message');
      const { outData } = await encrypt(key, message, scheme, label);
      expect(outData).toHaveLength(128);
      expect((await decrypt(key, outData, scheme, label)).message).toEqual(message);
      outData[100] = (outData[100] ?? 0) ^ 1;
      await expect(decrypt(key, outData, scheme, label)).rejects.toThrow(': 84');
    },
  );

  it('takes numbers as they are, with zeros before them or left out, but below the modulus', async () => {
    const key = await load(rsaKey());
    const number = new Uint8Array([0, 0, ...new Uint8Array(128).fill(0x11)]);
    const { outData } = await encrypt(key, number, plain);
    expect((await decrypt(key, outData, plain)).message).toEqual(number.slice(2));
    expect((await decrypt(key, (await encrypt(key, utf8('2'), plain)).outData, plain)).message.at(-1)).toBe(
      0x32,
    );
    await expect(encrypt(key, new Uint8Array(128).fill(0xff), plain)).rejects.toThrow(': 84');
    await expect(encrypt(key, new Uint8Array(129).fill(1), plain)).rejects.toThrow(': 84');
    await expect(decrypt(key, new Uint8Array(128).fill(0xff), plain)).rejects.toThrow(': 84');
    await expect(decrypt(key, new Uint8Array(127), plain)).rejects.toThrow(': 95');
  });

  it('opens OAEP only with its label, which ends with a zero', async () => {
    const key = await load(rsaKey());
    const { outData } = await encrypt(key, utf8('m'), oaep('sha256'), label);
    await expect(decrypt(key, outData, oaep('sha256'))).rejects.toThrow(': 84');
    await expect(decrypt(key, outData, oaep('sha1'), label)).rejects.toThrow(': 84');
    await expect(encrypt(key, none, oaep('sha256'), utf8('label'))).rejects.toThrow('3c4');
    await expect(decrypt(key, outData, oaep('sha256'), utf8('label'))).rejects.toThrow('3c4');
  });

  it('keeps to the scheme of the key, and to keys that decrypt', async () => {
    const key = await load(rsaKey(1024, oaep('sha256'), { decrypt: true }));
    const { outData } = await encrypt(key, utf8('m'), plain);
    expect((await decrypt(key, outData, oaep('sha256'))).message).toEqual(utf8('m'));
    await expect(encrypt(key, none, { scheme: 'rsaes' })).rejects.toThrow('2d2');
    await expect(encrypt(key, none, oaep('sha1'))).rejects.toThrow('2d2');
    const signs = await load(rsaKey(1024, plain, { sign: true }));
    await expect(encrypt(signs, none, plain)).rejects.toThrow('182');
    await expect(decrypt(signs, outData, plain)).rejects.toThrow('182');
    await expect(encrypt(await load(eccKey('P-256')), none, plain)).rejects.toThrow('19c');
  });
});

describe('signatures of the TPM', () => {
  const sign = (keyHandle: number, inScheme: Parameters<typeof schemeOf>[0], digest = new Uint8Array(32)) =>
    ask(chip, tpm2.TPM2_Sign, { keyHandle, digest, inScheme: schemeOf(inScheme), validation: noTicket });
  const schemeOf = (scheme: 'rsassa' | 'rsapss' | 'ecdsa' | 'ecschnorr' | 'hmac' | 'null') =>
    scheme === 'null' ? ({ scheme } as const) : ({ scheme, hashAlg: 'sha256' } as const);

  it('fit the key', async () => {
    const [rsa, ecc, hmac] = [
      await load(rsaKey(1024, { scheme: 'null' }, { sign: true })),
      await load(eccKey('P-256')),
      await load(hmacKey(none, 'sha256')),
    ];
    for (const scheme of ['ecdsa', 'ecschnorr', 'hmac', 'null'] as const)
      await expect(sign(rsa, scheme)).rejects.toThrow('2d2');
    for (const scheme of ['rsassa', 'rsapss', 'hmac', 'null'] as const)
      await expect(sign(ecc, scheme)).rejects.toThrow('2d2');
    for (const scheme of ['rsassa', 'ecdsa'] as const)
      await expect(sign(hmac, scheme)).rejects.toThrow('2d2');
    await sign(hmac, 'null');
    await expect(sign(ecc, 'ecdsa', new Uint8Array(31))).rejects.toThrow('1d5');
    const x509 = eccKey('P-256', { scheme: 'null' }, { sign: true });
    const objectAttributes = { ...x509.inPublic.objectAttributes, x509sign: true };
    const certifies = await load({ ...x509, inPublic: { ...x509.inPublic, objectAttributes } });
    await expect(sign(certifies, 'ecdsa')).rejects.toThrow('182');
  });

  it('of a kind that the key does not make are not looked at', async () => {
    const digest = new Uint8Array(32);
    const ecc = await load(eccKey('P-256'));
    const rsa = await load(rsaKey());
    const hmac = hmacKey(none, 'sha256');
    const verify = (keyHandle: number, signature: Awaited<ReturnType<typeof sign>>['signature']) =>
      ask(chip, tpm2.TPM2_VerifySignature, { keyHandle, digest, signature });
    const { signature } = await sign(ecc, 'ecdsa');
    await expect(verify(rsa, signature)).rejects.toThrow('2d2');
    await verify(ecc, signature);
    if (signature.sigAlg !== 'ecdsa') throw new Error(signature.sigAlg);
    await expect(verify(ecc, { ...signature, sigAlg: 'ecschnorr' })).rejects.toThrow('2db');
    await expect(verify(ecc, { ...signature, sigAlg: 'ecdaa' })).rejects.toThrow('2d2');
    const mac = (await sign(await load(hmac), 'hmac')).signature;
    const { objectHandle } = await ask(chip, tpm2.TPM2_LoadExternal, {
      inPublic: hmac.inPublic,
      hierarchy: NULL,
    });
    await expect(verify(objectHandle, mac)).rejects.toThrow('2cb');
  });
});

describe('what the software TPM says it can', () => {
  it('is exactly the algorithms it has', async () => {
    const { capabilityData } = await ask(chip, tpm2.TPM2_GetCapability, {
      capability: 'algs',
      property: 0,
      propertyCount: 127,
    });
    if (capabilityData.capability !== 'algs') throw new Error('algs');
    expect(capabilityData.data.map(({ alg }) => alg.toString(16)).join(' ')).toBe(
      '1 4 5 6 7 8 a b c d 14 15 16 17 18 19 1a 1c 20 22 23 25 40 41 42 43 44',
    );
  });

  it('is what TPM2_TestParms agrees to', async () => {
    const none_ = { algorithm: 'null' } as const;
    const plain = { scheme: 'null' } as const;
    const test = (parameters: Parameters<typeof parms>[0]) =>
      ask(chip, tpm2.TPM2_TestParms, parms(parameters));
    const parms = (
      parameters: ExternalKey['inPublic'] extends infer P
        ? P extends { type: infer T; parameters: infer Q }
          ? { readonly type: T; readonly parameters: Q }
          : never
        : never,
    ) => ({ parameters });
    for (const keyBits of [1024, 2048, 3072, 4096])
      await test({ type: 'rsa', parameters: { symmetric: none_, scheme: plain, keyBits, exponent: 0 } });
    const rsa = { symmetric: none_, scheme: plain, keyBits: 2048, exponent: 0 } as const;
    await expect(test({ type: 'rsa', parameters: { ...rsa, keyBits: 512 } })).rejects.toThrow('1c4');
    await expect(test({ type: 'rsa', parameters: { ...rsa, exponent: 3 } })).rejects.toThrow('1cd');
    const ecc = { symmetric: none_, scheme: plain, curveID: 'P-256', kdf: plain } as const;
    for (const curveID of ['P-192', 'P-224', 'P-256', 'P-384', 'P-521'] as const)
      await test({ type: 'ecc', parameters: { ...ecc, curveID } });
    for (const scheme of ['ecdsa', 'ecdh', 'ecschnorr'] as const)
      await test({ type: 'ecc', parameters: { ...ecc, scheme: { scheme, hashAlg: 'sha384' } } });
    await test({
      type: 'ecc',
      parameters: { ...ecc, scheme: { scheme: 'ecdaa', hashAlg: 'sha256', count: 0 } },
    });
    await expect(test({ type: 'ecc', parameters: { ...ecc, curveID: 'SM2_P256' } })).rejects.toThrow('1e6');
    await expect(
      test({ type: 'ecc', parameters: { ...ecc, scheme: { scheme: 'ecmqv', hashAlg: 'sha256' } } }),
    ).rejects.toThrow('1d2');
    for (const keyBits of [128, 192, 256])
      for (const mode of [...cipherModes, 'null'] as const)
        await test({ type: 'symcipher', parameters: { sym: { algorithm: 'aes', keyBits, mode } } });
    await expect(test({ type: 'symcipher', parameters: { sym: none_ } })).rejects.toThrow('1d6');
    await test({ type: 'keyedhash', parameters: { scheme: { scheme: 'hmac', hashAlg: 'sha512' } } });
    await test({
      type: 'keyedhash',
      parameters: { scheme: { scheme: 'xor', hashAlg: 'sha256', kdf: 'kdf1_sp800_108' } },
    });
  });
});
