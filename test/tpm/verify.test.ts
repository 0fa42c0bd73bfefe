import { constants, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { fromBase64url, hex } from '../../src/core/bytes.ts';
import { generateKey } from '../../src/core/signer.ts';
import {
  encode,
  iakRsaTemplate,
  iakTemplate,
  jwkOfPublic,
  ldevidTemplate,
  nameOf,
  publicOfJwk,
  readAttest,
  readPublic,
  readSignature,
  spkiOfPublic,
  TPMT_SIGNATURE,
  verifyAttestation,
  verifyTpmSignature,
} from '../../src/tpm/index.ts';
import { padLeft } from '../../src/tpm/integers.ts';
import { TPMS_ATTEST } from '../../src/tpm/structures.ts';

const random = seededRandom('verify');
const data = random.bytes(80);

describe('a signature of an ECC key', () => {
  const key = generateKey(random);
  const area = publicOfJwk(ldevidTemplate, key.publicJwk);
  const raw = key.signSync(data);
  const signature = {
    sigAlg: 'ecdsa',
    hash: 'sha256',
    signatureR: raw.slice(0, 32),
    signatureS: raw.slice(32),
  } as const;

  it('verifies, also with leading zeros left out or added', () => {
    expect(verifyTpmSignature(area, data, signature)).toBe(true);
    const padded = { ...signature, signatureR: padLeft(signature.signatureR, 40) };
    expect(verifyTpmSignature(area, data, padded)).toBe(true);
  });

  it('does not verify over other data, in another scheme, or for another key', () => {
    expect(verifyTpmSignature(area, data.slice(1), signature)).toBe(false);
    expect(verifyTpmSignature(area, data, { ...signature, hash: 'sha384' })).toBe(false);
    expect(verifyTpmSignature(area, data, { ...signature, sigAlg: 'ecschnorr' })).toBe(false);
    expect(verifyTpmSignature(area, data, { sigAlg: 'null' })).toBe(false);
    expect(
      verifyTpmSignature(publicOfJwk(ldevidTemplate, generateKey(random).publicJwk), data, signature),
    ).toBe(false);
    expect(verifyTpmSignature(area, data, { ...signature, signatureR: new Uint8Array(64).fill(1) })).toBe(
      false,
    );
  });

  it('does not verify under a point off the curve', () => {
    const off = { ...area, unique: { x: area.unique.x, y: area.unique.x } };
    expect(verifyTpmSignature(off, data, signature)).toBe(false);
  });

  it('is by the key that the JWK and the SubjectPublicKeyInfo say', () => {
    expect(jwkOfPublic(area)).toEqual(key.publicJwk);
    expect(hex(spkiOfPublic(area))).toContain(hex(fromBase64url(key.publicJwk.x)));
    expect(nameOf(area)).toHaveLength(34);
    expect(() => jwkOfPublic(iakRsaTemplate)).toThrow(/P-256/);
  });
});

describe('a signature of an RSA key', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const n = fromBase64url(String(publicKey.export({ format: 'jwk' })['n']));
  const pss = sign('sha256', data, {
    key: privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: 32,
  });
  const pkcs1 = sign('sha256', data, privateKey);
  const area = { ...iakRsaTemplate, unique: n };

  it("verifies in the key's own scheme only", () => {
    expect(verifyTpmSignature(area, data, { sigAlg: 'rsapss', hash: 'sha256', sig: pss })).toBe(true);
    expect(verifyTpmSignature(area, data, { sigAlg: 'rsassa', hash: 'sha256', sig: pkcs1 })).toBe(false);
    const free = { ...area, parameters: { ...area.parameters, scheme: { scheme: 'null' } as const } };
    expect(verifyTpmSignature(free, data, { sigAlg: 'rsassa', hash: 'sha256', sig: pkcs1 })).toBe(true);
    expect(verifyTpmSignature(free, data, { sigAlg: 'rsassa', hash: 'sha256', sig: pss })).toBe(false);
  });

  it('is not taken in SHA-1', () => {
    const sha1 = sign('sha1', data, privateKey);
    const free = { ...area, parameters: { ...area.parameters, scheme: { scheme: 'null' } as const } };
    expect(verifyTpmSignature(free, data, { sigAlg: 'rsassa', hash: 'sha1', sig: sha1 })).toBe(false);
  });
});

describe('an attestation', () => {
  const key = generateKey(random);
  const iak = publicOfJwk(iakTemplate(), key.publicJwk);
  const clockInfo = { clock: 1n, resetCount: 1, restartCount: 0, safe: 'yes' } as const;
  const attest = encode(TPMS_ATTEST, {
    magic: 'value',
    type: 'attestQuote',
    qualifiedSigner: nameOf(iak),
    extraData: data.slice(0, 32),
    clockInfo,
    firmwareVersion: 0n,
    attested: { pcrSelect: [{ hash: 'sha256', pcrSelect: [12] }], pcrDigest: new Uint8Array(32) },
  });
  const signed = (bytes: Uint8Array): Uint8Array => {
    const raw = key.signSync(bytes);
    return encode(TPMT_SIGNATURE, {
      sigAlg: 'ecdsa',
      hash: 'sha256',
      signatureR: raw.slice(0, 32),
      signatureS: raw.slice(32),
    });
  };
  const expected = {
    key: iak,
    attest,
    signature: signed(attest),
    type: 'attestQuote',
    qualifyingData: data.slice(0, 32),
  } as const;

  it('is what its key says, if that key says only what its TPM says', () => {
    expect(verifyAttestation(expected).attested.pcrDigest).toEqual(new Uint8Array(32));
    for (const wrong of ['restricted', 'fixedTPM', 'sign'] as const) {
      const objectAttributes = { ...iak.objectAttributes, [wrong]: false };
      expect(() => verifyAttestation({ ...expected, key: { ...iak, objectAttributes } })).toThrow(
        expect.objectContaining({ code: 'tpm.attestation-refused', check: 'key-attributes' }),
      );
    }
  });

  it('must begin with the magic value of TPMs, end where it ends, and be signed', () => {
    const magicless = attest.slice();
    magicless[0] = 0;
    const forged = { ...expected, attest: magicless, signature: signed(magicless) };
    expect(() => verifyAttestation(forged)).toThrow(expect.objectContaining({ code: 'core.malformed' }));
    const longer = Uint8Array.of(...attest, 0);
    const padded = { ...expected, attest: longer, signature: signed(longer) };
    expect(() => verifyAttestation(padded)).toThrow(expect.objectContaining({ code: 'core.malformed' }));
    expect(() => verifyAttestation({ ...expected, signature: signed(data) })).toThrow(
      expect.objectContaining({ code: 'core.bad-signature' }),
    );
    for (const read of [readAttest, readPublic, readSignature])
      expect(() => read(new Uint8Array(3))).toThrow(expect.objectContaining({ code: 'core.malformed' }));
  });
});
