import { beforeAll, describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { openTpm } from '../../src/tpm/index.ts';
import { TpmCrypto } from '../../src/tpm/webcrypto/index.ts';
import { webcryptoSuite } from './suite-webcrypto.ts';

const { clock, random } = nodePlatform({ directory: '.' });

webcryptoSuite('the software TPM', async () => {
  const transport = await SoftwareTpm.create({ clock, random });
  return { transport, close: () => transport.close() };
});

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256' };
const ecdh = { name: 'ECDH', namedCurve: 'P-256' };
const es256 = { name: 'ECDSA', hash: 'SHA-256' };
const gcm = { name: 'AES-GCM', length: 128 };
const data = utf8('data');
const node = globalThis.crypto.subtle;

describe('a private key of WebCrypto over a TPM', () => {
  let crypto: TpmCrypto;
  let signing: CryptoKeyPair;
  let agreeing: CryptoKeyPair;
  type CryptoKeyPair = Awaited<ReturnType<typeof make>>;
  const make = (algorithm: typeof ecdsa, usages: ('sign' | 'verify' | 'deriveBits')[]) =>
    crypto.subtle.generateKey(algorithm, false, usages);

  beforeAll(async () => {
    const transport = await SoftwareTpm.create({ clock, random });
    crypto = new TpmCrypto(await openTpm({ transport, clock, random }));
    signing = await make(ecdsa, ['sign', 'verify']);
    agreeing = await make(ecdh, ['deriveBits']);
  });

  const named = (name: string) => expect.objectContaining({ name });

  it('is not extractable, in any form, by any way', async () => {
    const { privateKey } = signing;
    expect(privateKey).toMatchObject({ type: 'private', extractable: false, usages: ['sign'] });
    for (const format of ['pkcs8', 'raw', 'spki'] as const)
      await expect(crypto.subtle.exportKey(format, privateKey)).rejects.toEqual(named('InvalidAccessError'));
    await expect(crypto.subtle.exportKey('jwk', privateKey)).rejects.toEqual(named('InvalidAccessError'));
    const wrapping = await crypto.subtle.generateKey(gcm, false, ['wrapKey', 'unwrapKey']);
    const iv = new Uint8Array(12);
    await expect(
      crypto.subtle.wrapKey('pkcs8', privateKey, wrapping, { name: 'AES-GCM', iv }),
    ).rejects.toEqual(named('InvalidAccessError'));
    await expect(crypto.subtle.generateKey(ecdsa, true, ['sign'])).rejects.toEqual(
      named('NotSupportedError'),
    );
    expect(JSON.stringify(privateKey)).not.toContain('wrapped');
  });

  it('does only what it is for', async () => {
    const { privateKey } = signing;
    const invalid = named('InvalidAccessError');
    await expect(crypto.subtle.verify(es256, privateKey, data, data)).rejects.toEqual(invalid);
    await expect(crypto.subtle.sign('RSA-PSS', privateKey, data)).rejects.toEqual(invalid);
    await expect(crypto.subtle.sign(es256, agreeing.privateKey, data)).rejects.toEqual(invalid);
    await expect(crypto.subtle.encrypt('RSA-OAEP', privateKey, data)).rejects.toEqual(invalid);
    await expect(crypto.subtle.decrypt('RSA-OAEP', privateKey, data)).rejects.toEqual(invalid);
    const to = { name: 'ECDH', public: agreeing.publicKey };
    await expect(crypto.subtle.deriveKey(to, agreeing.privateKey, gcm, false, ['encrypt'])).rejects.toEqual(
      invalid,
    );
    await expect(crypto.subtle.deriveBits(to, agreeing.privateKey, 264)).rejects.toEqual(
      named('OperationError'),
    );
    const p384 = await make({ name: 'ECDH', namedCurve: 'P-384' }, ['deriveBits']);
    const other = { name: 'ECDH', public: p384.publicKey };
    await expect(crypto.subtle.deriveBits(other, agreeing.privateKey, 256)).rejects.toEqual(invalid);
    await expect(
      crypto.subtle.deriveBits({ name: 'ECDH', public: privateKey }, agreeing.privateKey, 8),
    ).rejects.toEqual(invalid);
  });

  it('gives the first bits only, and zeros behind them', async () => {
    const to = { name: 'ECDH', public: (await make(ecdh, ['deriveBits'])).publicKey };
    const all = new Uint8Array(await crypto.subtle.deriveBits(to, agreeing.privateKey, null));
    const some = new Uint8Array(await crypto.subtle.deriveBits(to, agreeing.privateKey, 13));
    expect([...some]).toEqual([all[0], (all[1] ?? 0) & 0xf8]);
  });

  it('signs with the hashes of SHA-2, and nothing that looks like an attestation', async () => {
    const { privateKey } = signing;
    const sha1 = { name: 'ECDSA', hash: 'SHA-1' };
    await expect(crypto.subtle.sign(sha1, privateKey, data)).rejects.toEqual(named('NotSupportedError'));
    const forged = Uint8Array.of(0xff, 0x54, 0x43, 0x47, 0x80, 0x18);
    await expect(crypto.subtle.sign(es256, privateKey, forged)).rejects.toThrow('looks like an attestation');
  });

  it('is made with usages and parameters that make sense, or not at all', async () => {
    const rsa = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
    const refusals: readonly [object, string[], string][] = [
      [ecdsa, ['encrypt'], 'SyntaxError'],
      [ecdsa, ['verify'], 'SyntaxError'],
      [ecdh, ['sign'], 'SyntaxError'],
      [{ name: 'ECDSA', namedCurve: 'K-256' }, ['sign'], 'NotSupportedError'],
      [
        { ...rsa, modulusLength: 1024, publicExponent: Uint8Array.of(1, 0, 1) },
        ['sign'],
        'NotSupportedError',
      ],
      [{ ...rsa, modulusLength: 2048, publicExponent: Uint8Array.of(3) }, ['sign'], 'NotSupportedError'],
      [
        { ...rsa, modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: 'SHA-1' },
        ['sign'],
        'NotSupportedError',
      ],
    ];
    for (const [algorithm, usages, name] of refusals)
      await expect(crypto.subtle.generateKey(algorithm as never, false, usages as never)).rejects.toEqual(
        named(name),
      );
  });

  it('never comes from outside', async () => {
    const outside = await node.generateKey(ecdsa, true, ['sign']);
    const pkcs8 = await node.exportKey('pkcs8', outside.privateKey);
    const jwk = await node.exportKey('jwk', outside.privateKey);
    const refused = named('NotSupportedError');
    await expect(crypto.subtle.importKey('pkcs8', pkcs8, ecdsa, false, ['sign'])).rejects.toEqual(refused);
    await expect(crypto.subtle.importKey('jwk', jwk, ecdsa, false, ['sign'])).rejects.toEqual(refused);
    const wrapping = await crypto.subtle.generateKey(gcm, false, ['encrypt', 'unwrapKey']);
    const algorithm = { name: 'AES-GCM', iv: new Uint8Array(12) };
    const sealed = await crypto.subtle.encrypt(algorithm, wrapping, pkcs8);
    await expect(
      crypto.subtle.unwrapKey('pkcs8', sealed, wrapping, algorithm, ecdsa, false, ['sign']),
    ).rejects.toEqual(refused);
  });

  it('is of no use over another TPM', async () => {
    const transport = await SoftwareTpm.create({ clock, random });
    await using tpm = await openTpm({ transport, clock, random });
    const elsewhere = new TpmCrypto(tpm);
    await expect(elsewhere.subtle.sign(es256, signing.privateKey, data)).rejects.toEqual(
      named('InvalidAccessError'),
    );
    // what was wrapped there does not unwrap here
    const { privateKey } = await elsewhere.pairOfWrapped(crypto.wrapped(signing.privateKey), ecdsa, ['sign']);
    await expect(elsewhere.subtle.sign(es256, privateKey, data)).rejects.toMatchObject({
      reason: 'INTEGRITY',
    });
  });
});

describe('the rest of WebCrypto over a TPM', () => {
  const make = async (bytes: (count: number) => Uint8Array = random.bytes) => {
    const transport = await SoftwareTpm.create({ clock, random });
    return new TpmCrypto(await openTpm({ transport, clock, random: { bytes } }));
  };

  it('is software: digests, HMAC, AES, public keys in every form', async () => {
    const crypto = await make();
    expect(Buffer.from(await crypto.subtle.digest('SHA-256', data))).toEqual(
      Buffer.from(await node.digest('SHA-256', data)),
    );
    const hmac = await crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, true, ['sign', 'verify']);
    const mac = await crypto.subtle.sign('HMAC', hmac, data);
    expect(await crypto.subtle.verify('HMAC', hmac, mac, data)).toBe(true);
    const { publicKey } = await node.generateKey(ecdsa, true, ['verify', 'sign']);
    for (const format of ['spki', 'raw'] as const) {
      const exported = await node.exportKey(format, publicKey);
      const imported = await crypto.subtle.importKey(format, exported, ecdsa, true, ['verify']);
      expect(Buffer.from(await crypto.subtle.exportKey(format, imported))).toEqual(Buffer.from(exported));
    }
    const jwk = await node.exportKey('jwk', publicKey);
    const imported = await crypto.subtle.importKey('jwk', jwk, ecdsa, true, ['verify']);
    const { x, y } = await crypto.subtle.exportKey('jwk', imported);
    expect({ x, y }).toEqual({ x: jwk.x, y: jwk.y });
  });

  it('takes chance from the platform where it cannot wait, and from the TPM where it can', async () => {
    const crypto = await make((count) => new Uint8Array(count).fill(0xab));
    expect([...crypto.getRandomValues(new Uint16Array(2))]).toEqual([0xabab, 0xabab]);
    expect(crypto.randomUUID()).toBe('abababab-abab-4bab-abab-abababababab');
    const array = await crypto.tpmRandomValues(new Uint8Array(100));
    expect(array.some((byte) => byte !== 0xab && byte !== 0)).toBe(true);
    expect(() => crypto.getRandomValues(new Float64Array(1))).toThrow('integers');
    expect(() => crypto.getRandomValues(new Uint8Array(65_537))).toThrow('65,536');
  });
});
