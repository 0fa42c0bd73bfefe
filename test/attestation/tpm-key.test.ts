import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/index.ts';
import { faultOfTpmKey, readTpmPublic, signedBy } from '../../src/attestation/tpm-key.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { Malformed } from '../../src/core/errors.ts';
import { generateKey } from '../../src/core/signer.ts';
import {
  encode,
  idevidTemplate,
  ldevidTemplate,
  nameOf,
  publicOfJwk,
  TPMT_PUBLIC,
} from '../../src/tpm/index.ts';
import { AUTH_POLICY_IDEVID } from '../../src/tpm/policy-digests.ts';

const { publicJwk } = generateKey(seededRandom('tpm key'));
const area = publicOfJwk(ldevidTemplate, publicJwk);
const bytes = (changed: TPMT_PUBLIC) => encode(TPMT_PUBLIC, changed);
const withAttributes = (changes: Record<string, boolean>) =>
  readTpmPublic(bytes({ ...area, objectAttributes: { ...area.objectAttributes, ...changes } }));

describe('a public area from outside', () => {
  it('has the Name the TPM gives it', () => {
    expect(readTpmPublic(bytes(area)).name).toEqual(nameOf(area));
  });

  it.each<[string, TPMT_PUBLIC]>([
    ['a Name by SHA-1', { ...area, nameAlg: 'sha1' }],
    ['no Name', { ...area, nameAlg: 'null' }],
    [
      'a point that is not on its curve',
      { ...area, unique: { x: new Uint8Array(32), y: new Uint8Array(32) } },
    ],
    [
      'an RSA key of 1,024 bits',
      {
        type: 'rsa',
        nameAlg: 'sha256',
        objectAttributes: area.objectAttributes,
        authPolicy: new Uint8Array(),
        parameters: {
          symmetric: { algorithm: 'null' },
          scheme: { scheme: 'null' },
          keyBits: 1024,
          exponent: 0,
        },
        unique: new Uint8Array(128).fill(0xff),
      },
    ],
  ])('with %s is refused', (_, changed) => {
    expect(() => readTpmPublic(bytes(changed))).toThrow(Malformed);
  });

  it('with bytes behind it is refused', () => {
    expect(() => readTpmPublic(new Uint8Array([...bytes(area), 0]))).toThrow(Malformed);
    expect(() => signedBy(readTpmPublic(bytes(area)), new Uint8Array(), new Uint8Array(3))).toThrow(
      Malformed,
    );
  });
});

describe('a key that may be certified as one of this TPM', () => {
  it('is made in it and never leaves it', () => {
    expect(faultOfTpmKey(withAttributes({}), { restricted: false })).toBeUndefined();
  });

  it.each(['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'sign'])('is %s', (name) => {
    expect(faultOfTpmKey(withAttributes({ [name]: false }), { restricted: false })).toContain(`not ${name}`);
  });

  it.each(['decrypt', 'stClear', 'encryptedDuplication', 'x509sign'])('is not %s', (name) => {
    expect(faultOfTpmKey(withAttributes({ [name]: true }), { restricted: false })).toBe(`it is ${name}`);
  });

  it('is restricted where it attests, and nowhere else', () => {
    expect(faultOfTpmKey(withAttributes({}), { restricted: true })).toBe('it is not restricted');
    expect(faultOfTpmKey(withAttributes({ restricted: true }), { restricted: false })).toBe(
      'it is restricted',
    );
  });

  it('has one of the policies asked for', () => {
    const policies = [fromHex(AUTH_POLICY_IDEVID.sha256)];
    expect(faultOfTpmKey(withAttributes({}), { restricted: false, policies })).toMatch(/policy/);
    const idevid = readTpmPublic(bytes(publicOfJwk(idevidTemplate(), publicJwk)));
    expect(faultOfTpmKey(idevid, { restricted: false, policies })).toBeUndefined();
  });
});
