import { constants, createHash, privateDecrypt, publicEncrypt, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import forge from 'node-forge';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import type { CipherMode } from '../../simulator/tpm/crypto/cipher.ts';
import { aesDecrypt, aesEncrypt, nextIv } from '../../simulator/tpm/crypto/cipher.ts';
import type { Curve } from '../../simulator/tpm/crypto/ecc.ts';
import { curves, multiplied, onCurve, publicPoint, sharedSecret } from '../../simulator/tpm/crypto/ecc.ts';
import { digestSize, hashAlgorithms, hmac } from '../../simulator/tpm/crypto/hash.ts';
import { inverse } from '../../simulator/tpm/crypto/integer.ts';
import { kdfA, kdfE, mgf1, seededBytes } from '../../simulator/tpm/crypto/kdf.ts';
import * as rsa from '../../simulator/tpm/crypto/rsa.ts';
import { rsaPrimes, rsaPrivateKey, rsaPublicKey } from '../../simulator/tpm/crypto/rsa-key.ts';
import { finishHash, readHash, startHash, updateHash, writeHash } from '../../simulator/tpm/crypto/sha.ts';
import { concat, fromHex, hex, utf8 } from '../../src/core/bytes.ts';
import { Reader, Writer } from '../../src/tpm/codec.ts';

const random = seededRandom('tpm-crypto-vectors');
const bytes = (from: number, count: number) => Uint8Array.from({ length: count }, (_, i) => from + i);

describe('AES, NIST SP 800-38A annex F', () => {
  const plain = fromHex(
    '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51' +
      '30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
  );
  const keys = [
    '2b7e151628aed2a6abf7158809cf4f3c',
    '8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b',
    '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
  ];
  const vectors: Readonly<Record<CipherMode, readonly string[]>> = {
    ecb: [
      '3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4',
      'bd334f1d6e45f25ff712a214571fa5cc974104846d0ad3ad7734ecb3ecee4eefef7afd2270e2e60adce0ba2face6444e9a4b41ba738d6c72fb16691603c18e0e',
      'f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7',
    ],
    cbc: [
      '7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7',
      '4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd',
      'f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b',
    ],
    cfb: [
      '3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6',
      'cdc80d6fddf18cab34c25909c99a417467ce7f7f81173621961a2b70171d3d7a2e1e8a1dd59b88b1c8e60fed1efac4c9c05f9f9ca9834fa042ae8fba584b09ff',
      'dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407bdf10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471',
    ],
    ofb: [
      '3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed8259740051e9c5fecf64344f7a82260edcc304c6528f659c77866a510d9c1d6ae5e',
      'cdc80d6fddf18cab34c25909c99a4174fcc28b8d4c63837c09e81700c11004018d9a9aeac0f6596f559c6d4daf59a5f26d9f200857ca6c3e9cac524bd9acc92a',
      'dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad82a4fb08d71ab47a086e86eedf39d1c5bba97c4080126141d67f37be8538f5a8be740e484',
    ],
    ctr: [
      '874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee',
      '1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e941e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050',
      '601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c52b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6',
    ],
  };
  const ivOf = (mode: CipherMode) =>
    mode === 'ecb' ? new Uint8Array() : mode === 'ctr' ? bytes(0xf0, 16) : bytes(0, 16);

  it.each(Object.keys(vectors) as CipherMode[])('encrypts and decrypts in %s', (mode) => {
    keys.forEach((text, i) => {
      const key = fromHex(text);
      expect(hex(aesEncrypt(mode, key, ivOf(mode), plain))).toBe(vectors[mode][i]);
      expect(aesDecrypt(mode, key, ivOf(mode), fromHex(vectors[mode][i] ?? ''))).toEqual(plain);
    });
  });

  it.each(Object.keys(vectors) as CipherMode[])('goes on in %s where the next IV says', (mode) => {
    for (const text of keys)
      for (const split of [16, 32, 48]) {
        const key = fromHex(text);
        const [head, tail] = [plain.subarray(0, split), plain.subarray(split)];
        const first = aesEncrypt(mode, key, ivOf(mode), head);
        const iv = nextIv(mode, key, ivOf(mode), head, first);
        expect(concat(first, aesEncrypt(mode, key, iv, tail))).toEqual(
          aesEncrypt(mode, key, ivOf(mode), plain),
        );
      }
  });
});

describe('the IV after a piece that ends within a block', () => {
  it.each([
    ['cfb', 15, '18dfd4e0521f4bea2997673d0984e19f'],
    ['cfb', 17, '66f4edbede950e23837366bdc49dc5a2'],
    ['ofb', 17, '394e8a0c05d1a5f9d7f5da32f1e3cef3'],
    ['ctr', 17, '02000000000000000000000000000001'],
    ['cfb', 0, '01ffffffffffffffffffffffffffffff'],
  ] as const)('is what swtpm tells: %s, %i bytes', (mode, length, expected) => {
    const key = new Uint8Array(16).fill(7);
    const iv = new Uint8Array(16).fill(0xff).fill(1, 0, 1);
    const plain = bytes(0, length);
    expect(hex(nextIv(mode, key, iv, plain, aesEncrypt(mode, key, iv, plain)))).toBe(expected);
  });
});

describe('a hash under way', () => {
  it('is what the same bytes hash to in one go, in whatever pieces they come, stored in between or not', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...hashAlgorithms),
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
        fc.boolean(),
        (hash, pieces, stored) => {
          let running = startHash(hash);
          for (const piece of pieces) {
            updateHash(running, piece);
            if (!stored) continue;
            const out = new Writer();
            writeHash(out, running);
            running = readHash(new Reader(out.finish()), hash);
          }
          const expected = createHash(hash).update(concat(...pieces));
          expect(hex(finishHash(running))).toBe(expected.digest('hex'));
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });

  it.each(hashAlgorithms)('ends right at every length around a block: %s', (hash) => {
    for (let length = 0; length <= 260; length++) {
      const running = startHash(hash);
      updateHash(running, new Uint8Array(length));
      expect(hex(finishHash(running))).toBe(createHash(hash).update(new Uint8Array(length)).digest('hex'));
    }
  });
});

describe('HMAC, RFC 4231', () => {
  it.each([
    [
      'case 1',
      new Uint8Array(20).fill(0x0b),
      'Hi There',
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
      'afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6',
      '87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854',
    ],
    [
      'case 2',
      utf8('Jefe'),
      'what do ya want for nothing?',
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
      'af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649',
      '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737',
    ],
    [
      'case 6',
      new Uint8Array(131).fill(0xaa),
      'Test Using Larger Than Block-Size Key - Hash Key First',
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
      '4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952',
      '80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598',
    ],
  ])('%s', (_, key, data, ...expected) => {
    expect((['sha256', 'sha384', 'sha512'] as const).map((hash) => hex(hmac(hash, key, utf8(data))))).toEqual(
      expected,
    );
  });
});

describe('key derivation', () => {
  const contexts = [fromHex('a0a1a2a3'), fromHex('b0b1b2b3b4')] as const;

  it.each([
    ['sha1', 'ATH', 40, 'd48c359b44cbb694484d174f6e9bfa85f13ebcb1b4e6ef4821bb4b9ed2a40d4fe80cc68b064b0c95'],
    [
      'sha256',
      'STORAGE',
      48,
      '6acc3f69b60ce98c018d6287306b55994bb247589d00d8cda1615c79dea09274a50a2491607b57de6186f3b6e4cb1ab5',
    ],
    [
      'sha384',
      'INTEGRITY',
      100,
      '14904ac1ff54424a5980881372454dd7a61f3cd13680a953b7c50a8c2067c5fbe62d15a16e547ad22c6d713290f4aebde23066dc36ba8e10fe93dcd57b835fd1dfc16791e0fd5bbc0113eab51b796d9ea57dd07655f9f98cd2a0b586f35a94129aa25026',
    ],
    ['sha512', 'ATH', 40, '7c2523b04baf3d659389cc5b8fd5423080c1085d3910a30836ee0902692cc50e251c5471e2add74a'],
  ] as const)('KDFa over %s is what OpenSSL calls KBKDF in counter mode', (hash, label, size, expected) => {
    expect(hex(kdfA(hash, bytes(0, 16), label, ...contexts, size * 8))).toBe(expected);
  });

  it.each([
    [
      'sha1',
      'f88fee489b6823afd6d12c97992fd548a0bb6cd41019c664073c1ba17d1d50e824e575a441789feddcea6622ba14a5d61402870b3b30ca8f8d44a1be91691ef207d1505327d0794c3cff89d4d5d2e155',
    ],
    [
      'sha256',
      '6fa8c9297c5c669712abccc9ba3d5996ccd8998d1e01d0cd34bc2dea1553de7aa99caf341d4b13be73d06d4cdae9c716309acd33e5280a24b53d9d20c9b946291c78df1c82959b649bc2a1b862b2712b',
    ],
    [
      'sha384',
      '209b45e128c1a0aa98ee38fbba2d78cf1b9f2c9c61b27bec3b225767417b2ff2f3785151d7b16948f51883e89ef089b05335193585d75c74c900794e387d00229a2db49fea36fd4d7ca0e4a6064227a0',
    ],
    [
      'sha512',
      '11f7dcf76e3955e7feeec884976dbcd77faefaa15e3eb110ec0d668a26a06b8e51dc2a03a662ec9e98152aa90a2ba0a18b84e68b0528e60151dba0bea4e15f5c9bf1f1ded764e8f6901648316fded512',
    ],
  ] as const)('KDFe over %s is what OpenSSL calls SSKDF', (hash, expected) => {
    expect(hex(kdfE(hash, bytes(0, 32), 'IDENTITY', ...contexts, 640))).toBe(expected);
  });

  it.each(['sha1', 'sha256', 'sha384', 'sha512'] as const)(
    'MGF1 over %s is what node-forge makes',
    (hash) => {
      const seed = random.bytes(24);
      const made = forge.mgf.mgf1
        .create(forge.md[hash].create())
        .generate(forge.util.binary.raw.encode(seed), 200);
      expect(hex(mgf1(hash, seed, 200))).toBe(forge.util.bytesToHex(made));
    },
  );
});

describe('ECDH', () => {
  it.each([
    [
      'P-256, RFC 5903 §8.1',
      'P-256',
      'c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433',
      'dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3',
      'c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53',
      'd6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de522bde0af0d8585b8def9c183b5ae38f50235206a8674ecb5d98edb20eb153a2',
    ],
    [
      'P-384, RFC 5903 §8.2',
      'P-384',
      '099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194',
      '667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c',
      '41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc',
      '11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746a2a9f38ef5cafbe2347cf7ec24bdd5e624bc93bfa82771f40d1b65d06256a852c983135d4669f8792f2c1d55718afbb4',
    ],
  ] as const)('%s', (_, curve, i, gi, r, gir) => {
    const { size } = curves[curve];
    const own = publicPoint(curve, fromHex(i));
    expect(hex(own.x) + hex(own.y)).toBe(gi);
    const product = multiplied(curve, fromHex(r), own);
    expect(hex(product?.x ?? own.x) + hex(product?.y ?? own.y)).toBe(gir);
    expect(hex(sharedSecret(curve, fromHex(r), own))).toBe(gir.slice(0, 2 * size));
  });

  it.each(Object.keys(curves) as Curve[])('%s: the product of a point is that of OpenSSL', (curve) => {
    const { gX, gY, n, size } = curves[curve];
    const element = (value: bigint) => fromHex(value.toString(16).padStart(2 * size, '0'));
    const generator = { x: element(gX), y: element(gY) };
    expect(onCurve(curve, generator)).toBe(true);
    fc.assert(
      fc.property(fc.bigInt(1n, n - 1n), (k) => {
        expect(multiplied(curve, element(k), generator)).toEqual(publicPoint(curve, element(k)));
      }),
      { seed: 1, numRuns: 10, examples: [[1n], [2n], [16n], [n - 1n]] },
    );
    expect(multiplied(curve, element(n), generator)).toBeUndefined();
  });

  it.each(Object.keys(curves) as Curve[])('%s: a number times its inverse is one', (curve) => {
    const { n, p } = curves[curve];
    fc.assert(
      fc.property(fc.constantFrom(n, p), fc.bigInt(1n, n - 1n), (modulus, a) => {
        const found = inverse(a, modulus);
        expect(found > 0n && found < modulus && (found * a) % modulus === 1n).toBe(true);
      }),
      {
        seed: 1,
        examples: [
          [n, 1n],
          [n, 2n],
          [n, n - 1n],
          [p, 2n ** 51n],
          [n, 2n ** 102n - 1n],
        ],
      },
    );
  });
});

describe('RSA padding', () => {
  const { n, p } = rsaPrimes(1024, seededBytes(utf8('padding'), 'test'));
  const privateKey = rsaPrivateKey(n, p);
  const publicKey = rsaPublicKey(n);
  const label = utf8('label\0');
  const message = utf8('message');

  it('of a seed is for ever the same key', () => {
    expect(createHash('sha256').update(n).digest('hex')).toBe(
      '73254511847a49126cceea7fe08f5fa824945e57ad10b220e0413cbd27fa079c',
    );
  });

  it.each(['sha1', 'sha256', 'sha384'] as const)('OAEP over %s goes both ways with OpenSSL', (oaepHash) => {
    const options = { oaepHash, oaepLabel: label, padding: constants.RSA_PKCS1_OAEP_PADDING };
    const theirs = publicEncrypt({ key: publicKey, ...options }, message);
    expect(rsa.decodeOaep(oaepHash, rsa.rsaPrivate(privateKey, theirs), label)).toEqual(message);
    const block = rsa.encodeOaep(oaepHash, message, label, 128, random.bytes(digestSize(oaepHash)));
    const ours = rsa.rsaPublic(publicKey, block ?? new Uint8Array());
    expect(new Uint8Array(privateDecrypt({ key: privateKey, ...options }, ours))).toEqual(message);
  });

  it('OAEP with one hash for both uses goes both ways with node-forge', () => {
    const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
    const theirs = forge.pki.privateKeyFromPem(pem);
    const block = rsa.encodeOaep('sha256', message, new Uint8Array(), 128, random.bytes(32));
    const ours = rsa.rsaPublic(publicKey, block ?? new Uint8Array());
    const options = { md: forge.md.sha256.create(), mgf1: { md: forge.md.sha256.create() } };
    const opened = theirs.decrypt(forge.util.binary.raw.encode(ours), 'RSA-OAEP', options);
    expect(opened).toBe('message');
  });

  it('RSAES goes one way to OpenSSL, whose messages it opens', () => {
    const padding = constants.RSA_PKCS1_PADDING;
    const theirs = publicEncrypt({ key: publicKey, padding }, message);
    expect(rsa.decodeRsaes(rsa.rsaPrivate(privateKey, theirs))).toEqual(message);
    const block = rsa.encodeRsaes(message, 128, (count) => random.bytes(count)) ?? new Uint8Array();
    expect(block.subarray(2, -message.length - 1)).not.toContain(0);
    const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
    const ours = forge.util.binary.raw.encode(rsa.rsaPublic(publicKey, block));
    expect(forge.pki.privateKeyFromPem(pem).decrypt(ours, 'RSAES-PKCS1-V1_5')).toBe('message');
  });

  it('RSAES refuses short padding and none', () => {
    const block = rsa.encodeRsaes(message, 128, (count) => random.bytes(count)) ?? new Uint8Array();
    for (const [at, value] of [
      [0, 1],
      [1, 1],
      [9, 0],
    ] as const) {
      const broken = block.slice();
      broken[at] = value;
      expect(rsa.decodeRsaes(broken)).toBeUndefined();
    }
    expect(rsa.decodeRsaes(new Uint8Array(128).fill(2).fill(0, 0, 1))).toBeUndefined();
    expect(rsa.encodeRsaes(new Uint8Array(118), 128, (count) => random.bytes(count))).toBeUndefined();
  });

  it.each(hashAlgorithms)('PSS over %s has the salt that OpenSSL expects, and takes any', (hash) => {
    const digest = new Uint8Array(createHash(hash).update(message).digest());
    const saltLength = rsa.pssSaltSize(hash, 128);
    expect(saltLength).toBe(hash === 'sha512' ? 62 : digestSize(hash));
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const block = rsa.encodePss(hash, digest, 128, random.bytes(saltLength)) ?? new Uint8Array();
    const ours = rsa.rsaPrivate(privateKey, block);
    expect(verify(hash, message, { key: publicKey, padding, saltLength }, ours)).toBe(true);
    for (const theirSalt of [0, 10, saltLength]) {
      const theirs = sign(hash, message, { key: privateKey, padding, saltLength: theirSalt });
      expect(rsa.checkPss(hash, digest, rsa.rsaPublic(publicKey, theirs))).toBe(true);
    }
  });
});
