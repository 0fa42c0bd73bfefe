import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/index.ts';
import { base64url, concat, u32, utf8 } from '../../src/core/bytes.ts';
import { Malformed } from '../../src/core/errors.ts';
import { sha256 } from '../../src/core/hash.ts';
import { check } from '../../src/core/schema.ts';
import { generateKey } from '../../src/core/signer.ts';
import { judgeAibom, readAibom } from '../../src/provisioning/aibom.ts';
import { EnrolmentRefused, VoucherRefused } from '../../src/provisioning/errors.ts';
import { beginSchema, serialSchema, voucherSchema } from '../../src/provisioning/messages.ts';
import {
  signBinding,
  signEndorsement,
  verifyBinding,
  verifyEndorsement,
} from '../../src/provisioning/papers.ts';
import { renewalTime } from '../../src/provisioning/pledge-credentials.ts';
import type { IdevidCsrContent } from '../../src/provisioning/tcg-csr.ts';
import { decodeCsr, encodeCsr, encodeCsrContent } from '../../src/provisioning/tcg-csr.ts';
import { readVoucher, signVoucher } from '../../src/provisioning/voucher.ts';
import { aibomOf, digestOf } from './world.ts';

const random = seededRandom('forms');
const at = Date.UTC(2026, 10, 24, 10);

const bytes = fc.uint8Array({ maxLength: 64 });
const content: fc.Arbitrary<IdevidCsrContent> = fc.record({
  prodModel: fc.string({ maxLength: 20 }),
  prodSerial: fc.string({ maxLength: 20 }),
  prodCaData: bytes,
  bootEvntLog: bytes,
  ekCert: bytes,
  attestPub: bytes,
  atCreateTkt: bytes,
  atCertifyInfo: bytes,
  atCertifyInfoSignature: bytes,
  signingPub: bytes,
  sgnCertifyInfo: bytes,
  sgnCertifyInfoSignature: bytes,
});

describe('TCG-CSR-IDEVID', () => {
  it('comes back as it went, padded to 16 bytes', () => {
    fc.assert(
      fc.property(content, bytes, (parts, signature) => {
        const signed = encodeCsrContent(parts);
        expect(signed.length % 16).toBe(0);
        const csr = decodeCsr(encodeCsr(signed, signature));
        expect(csr.content).toEqual(parts);
        expect(csr.signed).toEqual(signed);
        expect(csr.signature).toEqual(signature);
      }),
      { seed: 3, numRuns: 100 },
    );
  });

  it('has the layout of the specification', () => {
    const empty = new Uint8Array();
    const signed = encodeCsrContent({
      prodModel: 'dog',
      prodSerial: '1',
      prodCaData: empty,
      bootEvntLog: empty,
      ekCert: empty,
      attestPub: empty,
      atCreateTkt: empty,
      atCertifyInfo: empty,
      atCertifyInfoSignature: empty,
      signingPub: empty,
      sgnCertifyInfo: empty,
      sgnCertifyInfoSignature: empty,
    });
    expect(Buffer.from(signed.subarray(0, 12)).toString('hex')).toBe('000001000000000b00000020');
    expect(Buffer.from(signed.subarray(44, 52)).toString('hex')).toBe('0000000300000001');
    expect(Buffer.from(signed.subarray(92, 96)).toString('hex')).toBe('0000000c'); // padSz
    expect(Buffer.from(signed.subarray(96, 100)).toString()).toBe('dog1');
    const csr = encodeCsr(signed, Uint8Array.of(9));
    expect(Buffer.from(csr.subarray(0, 12)).toString('hex')).toBe('000001000000007000000001');
  });

  it('without the hash bytes, as one implementation writes it, is refused', () => {
    const rest = concat(...Array.from({ length: 12 }, () => u32(0)), u32(0));
    const signed = concat(u32(0x100), u32(0x0b), u32(32), rest);
    const padded = concat(signed, new Uint8Array((16 - (signed.length % 16)) % 16));
    expect(() => decodeCsr(encodeCsr(padded, new Uint8Array(64)))).toThrow(Malformed);
  });

  /** Contents with words of the header or of the size table replaced, and the hash made right again. */
  const forged = (words: Readonly<Record<number, number>>, more = new Uint8Array()): Uint8Array => {
    const [parts] = fc.sample(content, { seed: 8, numRuns: 1 });
    if (parts === undefined) throw new Error('a sample');
    const signed = concat(encodeCsrContent(parts), more);
    const view = new DataView(signed.buffer, signed.byteOffset);
    for (const [at, word] of Object.entries(words)) view.setUint32(Number(at), word);
    signed.set(sha256(signed.subarray(44)), 12);
    return encodeCsr(signed, new Uint8Array(8));
  };

  /** Padding that the sample has by itself. */
  const padSz = new DataView(forged({}).buffer).getUint32(12 + 92);

  it.each([
    ['another version', forged({ 0: 0x200 })],
    ['another hash algorithm', forged({ 4: 0x0c })],
    ['a hash of another size', forged({ 8: 48 })],
    ['contents that are not padded', forged({ 92: padSz + 3 }, new Uint8Array(3))],
    ['bytes nobody counted', forged({}, new Uint8Array(16))],
    ['a size beyond the end', forged({ 60: 0x7fffffff })],
    ['more padding than needed', forged({ 92: padSz + 16 }, new Uint8Array(16))],
  ])('with %s is malformed, also when its hash is right', (_, csr) => {
    expect(() => decodeCsr(csr)).toThrow(Malformed);
  });

  it('whose hash is wrong, or whose outer version is another, is malformed', () => {
    const good = forged({});
    expect(() => decodeCsr(good)).not.toThrow();
    const flippedHash = good.slice();
    flippedHash[24] = (flippedHash[24] ?? 0) ^ 1;
    expect(() => decodeCsr(flippedHash)).toThrow(/hash/);
    const outer = good.slice();
    outer[2] = 2;
    expect(() => decodeCsr(outer)).toThrow(/version/);
  });

  it('with a field of megabytes is malformed', () => {
    const [parts] = fc.sample(content, { seed: 8, numRuns: 1 });
    if (parts === undefined) throw new Error('a sample');
    const long = encodeCsrContent({ ...parts, bootEvntLog: new Uint8Array(17_000) });
    expect(() => decodeCsr(encodeCsr(long, new Uint8Array(8)))).toThrow(/too long/);
  });

  it('of any bytes, cut or lengthened, is malformed and nothing else', () => {
    const good = encodeCsr(
      encodeCsrContent({
        ...fc.sample(content, { seed: 4, numRuns: 1 })[0],
      } as IdevidCsrContent),
      new Uint8Array(64),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (junk) => {
        expect(() => decodeCsr(junk)).toThrow(Malformed);
      }),
      { seed: 5, numRuns: 300 },
    );
    for (let cut = 0; cut < good.length; cut++)
      expect(() => decodeCsr(good.slice(0, cut))).toThrow(Malformed);
    expect(() => decodeCsr(concat(good, Uint8Array.of(0)))).toThrow(Malformed);
    const huge = concat(u32(0x100), u32(0xffffffff), u32(0xffffffff), good);
    expect(() => decodeCsr(huge)).toThrow(Malformed);
  });
});

describe('an AIBOM (PV-05)', () => {
  it('is CycloneDX 1.6 or 1.7', () => {
    const aibom = readAibom(aibomOf());
    expect(aibom.subject).toBe('dog agent');
    expect(aibom.components.map(({ type }) => type)).toEqual([
      'application',
      'machine-learning-model',
      'library',
    ]);
    expect(aibom.components[1]?.sha256).toBe(digestOf('model'));
  });

  it.each([
    ['an older version', { specVersion: '1.5' }],
    ['another format', { bomFormat: 'SPDX' }],
    ['no subject', { metadata: {} }],
    ['a type CycloneDX does not have', { components: [{ type: 'robot', name: 'x' }] }],
    [
      'a hash of the wrong length',
      {
        components: [{ type: 'file', name: 'x', hashes: [{ alg: 'SHA-256', content: 'ab'.repeat(16) }] }],
      },
    ],
  ])('with %s is refused', (_, changes) => {
    const bom = { ...(JSON.parse(Buffer.from(aibomOf()).toString()) as object), ...changes };
    expect(() => judgeAibom(utf8(JSON.stringify(bom)))).toThrow(EnrolmentRefused);
  });

  it('with two meanings is refused', () => {
    const twice = Buffer.from(aibomOf())
      .toString()
      .replace('"version":1,', '"version":1,"specVersion":"1.7",');
    expect(() => judgeAibom(utf8(twice))).toThrow(/appears twice/);
  });

  it('must name a SHA-256 of each model, and nothing the owner forbids', () => {
    const unhashed = aibomOf('model', [{ type: 'machine-learning-model', name: 'speech' }]);
    expect(() => judgeAibom(unhashed)).toThrow(/`speech` has no SHA-256/);
    expect(() => judgeAibom(aibomOf(), { forbidden: ['valibot'] })).toThrow(/forbidden/);
    expect(() => judgeAibom(aibomOf(), { hashed: ['library'] })).toThrow(/`valibot` has no SHA-256/);
  });

  it('of any bytes is an AIBOM or a refusal', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json().map(utf8), fc.uint8Array()), (junk) => {
        expect(() => judgeAibom(junk)).toThrow(EnrolmentRefused);
      }),
      { seed: 6, numRuns: 300 },
    );
  });
});

describe('the papers of provider and owner (PV-06, PV-07)', () => {
  const key = generateKey(random);
  const seconds = at / 1000;
  const endorsement = {
    iss: 'Acme',
    iat: seconds,
    exp: seconds + 60,
    maker: 'Acme',
    model: 'dog-1',
    aibom: 'A'.repeat(43),
    capabilities: ['lidar'],
  };
  const binding = {
    iss: 'owner',
    iat: seconds,
    exp: seconds + 60,
    jti: 'A'.repeat(22),
    maker: 'Acme',
    serial: 'DOG-1',
    agent: 'spiffe://home.test/agent/dog',
    owner: 'alice',
  };

  it('are accepted from those who may sign them', async () => {
    expect(verifyEndorsement(await signEndorsement(key, endorsement), [key.publicJwk], at)).toEqual(
      endorsement,
    );
    expect(verifyBinding(await signBinding(key, binding), [key.publicJwk], at)).toEqual(binding);
  });

  it('never stand in for one another', async () => {
    const paper = await signEndorsement(key, endorsement);
    expect(() => verifyBinding(paper, [key.publicJwk], at)).toThrow(
      expect.objectContaining({ check: 'binding' }),
    );
  });

  it('are refused from others, expired, from the future, or with members nobody knows', async () => {
    const other = generateKey(random);
    const refused = expect.objectContaining({ check: 'endorsement' });
    const sign = (changes: object) => signEndorsement(key, { ...endorsement, ...changes });
    const verify = (paper: string, time = at) => verifyEndorsement(paper, [key.publicJwk], time);
    const theirs = await signEndorsement(other, endorsement);
    expect(() => verify(theirs)).toThrow(refused);
    const good = await sign({});
    expect(() => verify(good, at + 60_000)).toThrow(refused);
    expect(() => verify(good, at - 3_600_000)).toThrow(refused);
    const more = await sign({ also: 'arm.lift' });
    expect(() => verify(more)).toThrow(refused);
    const unsorted = await sign({ capabilities: ['walk', 'lidar'] });
    expect(() => verify(unsorted)).toThrow(refused);
    // The name of a trusted key on another key's signature.
    const [, body, signature] = theirs.split('.');
    expect(() => verify(`${good.split('.')[0]}.${body}.${signature}`)).toThrow(refused);
  });
});

describe('a voucher (RFC 8366bis)', () => {
  const key = generateKey(random);

  it('comes back as it was signed', async () => {
    const voucher = {
      serial: 'DOG-1',
      idevidIssuer: 'ab'.repeat(20),
      pinnedDomainCert: Uint8Array.of(1, 2, 3),
      createdOn: at,
      expiresOn: at + 1000,
      nonce: 'A'.repeat(43),
      ownership: 3,
    };
    const jws = await signVoucher(key, voucher);
    expect(check(voucherSchema, jws, 'voucher')).toEqual(jws);
    expect(readVoucher(jws, [generateKey(random).publicJwk, key.publicJwk])).toEqual(voucher);
  });

  it('that could be replayed for ever is not made', async () => {
    const voucher = { serial: 'DOG-1', pinnedDomainCert: new Uint8Array(), createdOn: at };
    await expect((async () => await signVoucher(key, voucher))()).rejects.toThrow(TypeError);
  });

  it('of any bytes is refused, never another error', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (header, payload) => {
        const jws = {
          payload: base64url(payload),
          signatures: [{ protected: base64url(header), signature: 'A'.repeat(86) }],
        } as Parameters<typeof readVoucher>[0];
        expect(() => readVoucher(jws, [key.publicJwk])).toThrow(VoucherRefused);
      }),
      { seed: 7, numRuns: 300 },
    );
  });
});

describe('messages from outside', () => {
  it('have bounds', () => {
    expect(() => check(serialSchema, 'A'.repeat(65), 'serial')).toThrow(Malformed);
    expect(() => check(serialSchema, 'DOG\n1', 'serial')).toThrow(Malformed);
    expect(() => check(beginSchema, {}, 'request')).toThrow(/csr/);
    expect(() => check(beginSchema, { csr: 'A'.repeat(1_000_000) }, 'request')).toThrow(Malformed);
  });
});

describe('the time of renewal', () => {
  it('comes when a third of the life is left, or a little before, not for all at once', () => {
    const life = { issuedAt: at, notAfter: at + 3_600_000 };
    const times = Array.from({ length: 200 }, () => renewalTime(life, random));
    const third = 1_200_000;
    expect(Math.max(...times)).toBeLessThanOrEqual(life.notAfter - third);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(life.notAfter - third - third / 4);
    expect(new Set(times).size).toBeGreaterThan(150);
  });
});
