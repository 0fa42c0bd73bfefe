import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import type { Pkcs10CertificateRequest } from '@peculiar/x509';
import {
  BasicConstraintsExtension,
  Pkcs10CertificateRequestGenerator,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import {
  createPrimary,
  evict,
  flush,
  iakTemplate,
  listHandles,
  persist,
  srkTemplate,
} from '../../src/tpm/index.ts';
import { TpmCrypto } from '../../src/tpm/webcrypto/index.ts';
import type { Stage } from './stage.ts';
import { contains, setStage } from './stage.ts';
import type { Provided } from './suite.ts';

const message = utf8('open the gate');
const node = globalThis.crypto.subtle;

/** What `fealty/webcrypto` must do with whatever TPM `open` provides. */
export function webcryptoSuite(name: string, open: () => Promise<Provided>): void {
  describe(`WebCrypto over ${name}`, () => {
    let stage: Stage;
    let provided: Provided;
    let crypto: TpmCrypto;

    beforeEach(async () => {
      provided = await open();
      stage = await setStage(provided.transport);
      crypto = new TpmCrypto(stage.tpm);
    });

    afterEach(async () => {
      await stage.tpm.close();
      await provided.close();
    });

    describe.each([
      ['P-256', 'SHA-256'],
      ['P-384', 'SHA-384'],
      ['P-256', 'SHA-512'],
    ] as const)('an ECDSA key on %s', (namedCurve, hash) => {
      it(`signs ${hash}, and Node's WebCrypto verifies it`, async () => {
        const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve }, false, [
          'sign',
          'verify',
        ]);
        const signature = await crypto.subtle.sign({ name: 'ecdsa', hash }, pair.privateKey, message);
        expect(signature.byteLength).toBe(namedCurve === 'P-256' ? 64 : 96);
        const spki = await crypto.subtle.exportKey('spki', pair.publicKey);
        const theirs = await node.importKey('spki', spki, { name: 'ECDSA', namedCurve }, true, ['verify']);
        expect(await node.verify({ name: 'ECDSA', hash }, theirs, signature, message)).toBe(true);
        expect(await crypto.subtle.verify({ name: 'ECDSA', hash }, pair.publicKey, signature, message)).toBe(
          true,
        );
        expect(
          await crypto.subtle.verify(
            { name: 'ECDSA', hash },
            pair.publicKey,
            signature,
            utf8('shut the gate'),
          ),
        ).toBe(false);
      });
    });

    describe.each([
      ['RSASSA-PKCS1-v1_5', { name: 'RSASSA-PKCS1-v1_5' }],
      ['RSA-PSS', { name: 'RSA-PSS', saltLength: 32 }],
    ] as const)('an RSA key for %s', (name, scheme) => {
      it("signs, and Node's WebCrypto verifies it", async () => {
        const algorithm = {
          name,
          modulusLength: 2048,
          publicExponent: Uint8Array.of(1, 0, 1),
          hash: 'SHA-256',
        };
        const pair = await crypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
        const signature = await crypto.subtle.sign(scheme, pair.privateKey, message);
        const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey);
        const theirs = await node.importKey('jwk', jwk, { name, hash: 'SHA-256' }, true, ['verify']);
        expect(await node.verify(scheme, theirs, signature, message)).toBe(true);
        if (name !== 'RSA-PSS') return;
        // no other salt than the TPM takes is passed off as what was asked for
        await expect(
          crypto.subtle.sign({ name, saltLength: 20 }, pair.privateKey, message),
        ).rejects.toMatchObject({ name: 'NotSupportedError' });
      });
    });

    describe.each(['P-256', 'P-384'] as const)('an ECDH key on %s', (namedCurve) => {
      it('agrees with a key of Node, bit for bit, and nobody on the way learns on what', async () => {
        const ours = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve }, false, [
          'deriveBits',
          'deriveKey',
        ]);
        const theirs = await node.generateKey({ name: 'ECDH', namedCurve }, false, [
          'deriveBits',
          'deriveKey',
        ]);
        const ourRaw = await crypto.subtle.exportKey('raw', ours.publicKey);
        const theirRaw = await node.exportKey('raw', theirs.publicKey);
        const asOurs = await node.importKey('raw', ourRaw, { name: 'ECDH', namedCurve }, true, []);
        const asTheirs = await crypto.subtle.importKey(
          'raw',
          theirRaw,
          { name: 'ECDH', namedCurve },
          true,
          [],
        );
        const expected = await node.deriveBits({ name: 'ECDH', public: asOurs }, theirs.privateKey, 256);
        const toTheirs = { name: 'ECDH', public: asTheirs };
        const bits = await crypto.subtle.deriveBits(toTheirs, ours.privateKey, 256);
        expect(Buffer.from(bits)).toEqual(Buffer.from(expected));
        const secret = new Uint8Array(bits);
        expect(stage.wire.answers.some((answer) => contains(answer, secret.subarray(0, 16)))).toBe(false);
        const all = await crypto.subtle.deriveBits(toTheirs, ours.privateKey, null);
        expect(all.byteLength).toBe(namedCurve === 'P-256' ? 32 : 48);

        // …and so do keys derived from it: AES-GCM directly, and HKDF, which takes all there is
        const gcm = { name: 'AES-GCM', length: 256 };
        const key = await crypto.subtle.deriveKey(toTheirs, ours.privateKey, gcm, false, ['encrypt']);
        const theirKey = await node.deriveKey(
          { name: 'ECDH', public: asOurs },
          theirs.privateKey,
          gcm,
          false,
          ['decrypt'],
        );
        const iv = stage.tpm.random.bytes(12);
        const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, message);
        expect(new Uint8Array(await node.decrypt({ name: 'AES-GCM', iv }, theirKey, sealed))).toEqual(
          message,
        );
        const hkdf = await crypto.subtle.deriveKey(toTheirs, ours.privateKey, 'HKDF', false, ['deriveBits']);
        const info = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: utf8('test') };
        const again = await node.importKey('raw', all, 'HKDF', false, ['deriveBits']);
        expect(Buffer.from(await crypto.subtle.deriveBits(info, hkdf, 128))).toEqual(
          Buffer.from(await node.deriveBits(info, again, 128)),
        );
      });
    });

    it('leaves nothing in the TPM, however many signatures are asked for at once', async () => {
      const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
      const es256 = { name: 'ECDSA', hash: 'SHA-256' };
      await Promise.all(Array.from({ length: 8 }, () => crypto.subtle.sign(es256, pair.privateKey, message)));
      expect(await listHandles(stage.tpm, 'transient')).toEqual([]);
      expect(await listHandles(stage.tpm, 'persistent')).toEqual([]);
    });

    it('has a key again that was kept wrapped, also with a parent that stays and an auth value', async () => {
      const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
      const es256 = { name: 'ECDSA', hash: 'SHA-256' };
      const made = await createPrimary(stage.tpm, { hierarchy: 'owner', template: srkTemplate });
      const parent = await persist(stage.tpm, made, 0x81000001);
      await flush(stage.tpm, made);
      const auth = utf8('of the key');
      const before = new TpmCrypto(stage.tpm, { parent, auth });
      const first = await before.subtle.generateKey(algorithm, false, ['sign', 'verify']);
      const kept = before.wrapped(first.privateKey);

      const after = new TpmCrypto(stage.tpm, { parent, auth });
      const { privateKey } = await after.pairOfWrapped(kept, algorithm, ['sign']);
      const signature = await after.subtle.sign(es256, privateKey, message);
      expect(await after.subtle.verify(es256, first.publicKey, signature, message)).toBe(true);
      expect([...stage.wire.commands].some((command) => contains(command, auth))).toBe(false);

      const without = await crypto.pairOfWrapped(kept, algorithm, ['sign']);
      await expect(crypto.subtle.sign(es256, without.privateKey, message)).rejects.toMatchObject({
        code: 'tpm.refused',
      });
      await evict(stage.tpm, 0x81000001);
    });

    it('takes an object that is in the TPM, and lets it stay there', async () => {
      const template = {
        ...srkTemplate,
        objectAttributes: { ...srkTemplate.objectAttributes, restricted: false, decrypt: false, sign: true },
        parameters: { ...srkTemplate.parameters, symmetric: { algorithm: 'null' } },
      } as const;
      const object = await createPrimary(stage.tpm, { hierarchy: 'owner', template });
      const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
      const pair = await crypto.pairOfObject(object, algorithm, ['sign', 'verify']);
      const es256 = { name: 'ECDSA', hash: 'SHA-256' };
      const signature = await crypto.subtle.sign(es256, pair.privateKey, message);
      expect(await crypto.subtle.verify(es256, pair.publicKey, signature, message)).toBe(true);
      expect(await listHandles(stage.tpm, 'transient')).toEqual([object.handle]);
      expect(() => crypto.wrapped(pair.privateKey)).toThrow(DOMException);
      const p384 = { name: 'ECDSA', namedCurve: 'P-384' };
      await expect(crypto.pairOfObject(object, p384, ['sign'])).rejects.toMatchObject({ name: 'DataError' });

      const iak = { ...object, public: iakTemplate() };
      await expect(crypto.pairOfObject(iak, algorithm, ['sign'])).rejects.toMatchObject({
        name: 'NotSupportedError',
      });
    });

    it('signs a request and a certificate of @peculiar/x509', async () => {
      const { request, certificate } = await papersOf(crypto, {
        name: 'ECDSA',
        namedCurve: 'P-256',
        hash: 'SHA-256',
      });
      expect(await request.verify(crypto)).toBe(true);
      const read = new X509Certificate(certificate.rawData);
      expect(await read.verify({ signatureOnly: true }, crypto)).toBe(true);
      expect(read.subject).toBe('CN=robot-7');
    });
  });
}

/** A certificate request and a self-signed certificate of a new key in the TPM, by `@peculiar/x509`. */
export async function papersOf(
  crypto: TpmCrypto,
  algorithm: { readonly name: string; readonly hash: string; readonly namedCurve?: string },
): Promise<{ request: Pkcs10CertificateRequest; certificate: X509Certificate }> {
  const keys = (await crypto.subtle.generateKey(algorithm as never, false, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const subject = { name: 'CN=robot-7', keys, signingAlgorithm: algorithm };
  const request = await Pkcs10CertificateRequestGenerator.create(subject, crypto);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      ...subject,
      serialNumber: '07',
      notBefore: new Date('2026-01-01T00:00:00Z'),
      notAfter: new Date('2126-01-01T00:00:00Z'),
      extensions: [new BasicConstraintsExtension(false)],
    },
    crypto,
  );
  return { request, certificate };
}
