import fc from 'fast-check';
import type {
  TPMS_ATTEST,
  TPMS_NV_PUBLIC,
  TPMT_PUBLIC,
  TPMT_SENSITIVE,
  TPMT_SIGNATURE,
} from '../../src/tpm/structures.ts';

/** Bytes up to `max`. */
export const upTo = (max: number) => fc.uint8Array({ maxLength: max });

const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const u64 = fc.bigInt(0n, 0xffff_ffff_ffff_ffffn);
const hashAlg = fc.constantFrom('sha1', 'sha256', 'sha384', 'sha512');
const digestSizes = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 } as const;
const flag = fc.constant(true as const);
const digest = upTo(64);
const name = upTo(68);
const point = fc.record({ x: upTo(128), y: upTo(128) });
const none = fc.constant({ scheme: 'null' } as const);
const symmetric = fc.oneof(
  fc.constant({ algorithm: 'null' } as const),
  fc.record({
    algorithm: fc.constant('aes'),
    keyBits: fc.constantFrom(128, 192, 256),
    mode: fc.constantFrom('cfb', 'ctr', 'null'),
  }),
);
const objectAttributes = fc.record(
  {
    fixedTPM: flag,
    stClear: flag,
    userWithAuth: flag,
    noDA: flag,
    restricted: flag,
    decrypt: flag,
    sign: flag,
  },
  { requiredKeys: [] },
);
const common = {
  nameAlg: fc.oneof(hashAlg, fc.constant('null' as const)),
  objectAttributes,
  authPolicy: digest,
};
const eccParameters = fc.record({
  symmetric,
  scheme: fc.oneof(
    none,
    fc.record({ scheme: fc.constantFrom('ecdsa', 'ecdh'), hashAlg }),
    fc.record({ scheme: fc.constant('ecdaa'), hashAlg, count: u16 }),
  ),
  curveID: fc.constantFrom('P-256', 'P-384', 'P-521', 'BN_P256'),
  kdf: fc.oneof(none, fc.record({ scheme: fc.constantFrom('kdf2', 'kdf1_sp800_108'), hashAlg })),
});
const rsaParameters = fc.record({
  symmetric,
  scheme: fc.oneof(
    none,
    fc.constant({ scheme: 'rsaes' } as const),
    fc.record({ scheme: fc.constantFrom('rsassa', 'rsapss', 'oaep'), hashAlg }),
  ),
  keyBits: u16,
  exponent: u32,
});

/** Any TPMT_PUBLIC. */
export const anyPublic: fc.Arbitrary<TPMT_PUBLIC> = fc.oneof(
  fc.record({ type: fc.constant('ecc'), ...common, parameters: eccParameters, unique: point }),
  fc.record({ type: fc.constant('rsa'), ...common, parameters: rsaParameters, unique: upTo(512) }),
  fc.record({
    type: fc.constant('keyedhash'),
    ...common,
    parameters: fc.record({
      scheme: fc.oneof(
        none,
        fc.record({ scheme: fc.constant('hmac'), hashAlg }),
        fc.record({ scheme: fc.constant('xor'), hashAlg, kdf: fc.constantFrom('kdf1_sp800_108', 'null') }),
      ),
    }),
    unique: digest,
  }),
  fc.record({
    type: fc.constant('symcipher'),
    ...common,
    parameters: fc.record({ sym: symmetric }),
    unique: digest,
  }),
) as fc.Arbitrary<TPMT_PUBLIC>;

/** Any TPMT_SENSITIVE. */
export const anySensitive: fc.Arbitrary<TPMT_SENSITIVE> = fc.record({
  sensitiveType: fc.constantFrom('ecc', 'keyedhash', 'rsa'),
  authValue: digest,
  seedValue: digest,
  sensitive: upTo(128),
});

const ha = hashAlg.chain((alg) =>
  fc.record({
    hashAlg: fc.constant(alg),
    digest: fc.uint8Array({ minLength: digestSizes[alg], maxLength: digestSizes[alg] }),
  }),
);

/** Any TPMT_SIGNATURE. */
export const anySignature: fc.Arbitrary<TPMT_SIGNATURE> = fc.oneof(
  fc.constant({ sigAlg: 'null' } as const),
  fc.record({ sigAlg: fc.constantFrom('rsassa', 'rsapss'), hash: hashAlg, sig: upTo(512) }),
  fc.record({
    sigAlg: fc.constantFrom('ecdsa', 'ecschnorr'),
    hash: hashAlg,
    signatureR: upTo(128),
    signatureS: upTo(128),
  }),
  fc.record({ sigAlg: fc.constant('hmac'), hmac: ha }),
) as fc.Arbitrary<TPMT_SIGNATURE>;

/** Any TPML_PCR_SELECTION. */
export const anyPcrs = fc.array(
  fc.record({
    hash: hashAlg,
    pcrSelect: fc.uniqueArray(fc.nat(23), { maxLength: 24 }).map((pcrs) => pcrs.sort((a, b) => a - b)),
  }),
  { maxLength: 4 },
);

const clockInfo = fc.record({
  clock: u64,
  resetCount: u32,
  restartCount: u32,
  safe: fc.constantFrom('yes', 'no'),
});
const attest = {
  magic: fc.constant('value'),
  qualifiedSigner: name,
  extraData: upTo(66),
  clockInfo,
  firmwareVersion: u64,
};

/** Any TPMS_ATTEST fealty reads. */
export const anyAttest: fc.Arbitrary<TPMS_ATTEST> = fc.oneof(
  fc.record({
    ...attest,
    type: fc.constant('attestCertify'),
    attested: fc.record({ name, qualifiedName: name }),
  }),
  fc.record({
    ...attest,
    type: fc.constant('attestQuote'),
    attested: fc.record({ pcrSelect: anyPcrs, pcrDigest: digest }),
  }),
  fc.record({
    ...attest,
    type: fc.constant('attestCreation'),
    attested: fc.record({ objectName: name, creationHash: digest }),
  }),
  fc.record({
    ...attest,
    type: fc.constant('attestTime'),
    attested: fc.record({ time: fc.record({ time: u64, clockInfo }), firmwareVersion: u64 }),
  }),
  fc.record({
    ...attest,
    type: fc.constant('attestNv'),
    attested: fc.record({ indexName: name, offset: u16, nvContents: upTo(200) }),
  }),
) as fc.Arbitrary<TPMS_ATTEST>;

/** Any TPMS_NV_PUBLIC. */
export const anyNvPublic: fc.Arbitrary<TPMS_NV_PUBLIC> = fc.record({
  nvIndex: fc.nat(0xffffff).map((number) => 0x01000000 + number),
  nameAlg: hashAlg,
  attributes: fc
    .record(
      { ppwrite: flag, ownerread: flag, noDa: flag, written: flag, readStclear: flag },
      { requiredKeys: [] },
    )
    .chain((bits) =>
      fc
        .constantFrom('ordinary', 'counter', 'bits', 'extend', 'pinFail', 'pinPass')
        .map((nt) => ({ ...bits, nt })),
    ),
  authPolicy: digest,
  dataSize: u16,
}) as fc.Arbitrary<TPMS_NV_PUBLIC>;
