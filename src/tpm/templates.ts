import { fromHex, utf8 } from '../core/bytes.ts';
import { AUTH_POLICY_IAK, AUTH_POLICY_IDEVID, POLICY_ENDORSEMENT } from './policy-digests.ts';
import type { TPMA_OBJECT } from './structures/attributes.ts';
import type { TPMS_ECC_POINT, TPMT_PUBLIC } from './structures/keys.ts';

/** An ECC public area. */
export type EccPublic = Extract<TPMT_PUBLIC, { readonly type: 'ecc' }>;
/** An RSA public area. */
export type RsaPublic = Extract<TPMT_PUBLIC, { readonly type: 'rsa' }>;

const none = new Uint8Array(0);
const emptyPoint: TPMS_ECC_POINT = { x: none, y: none };
const fixedKey: TPMA_OBJECT = { fixedTPM: true, fixedParent: true, sensitiveDataOrigin: true };
const storage: TPMA_OBJECT = { ...fixedKey, restricted: true, decrypt: true };
/** 0x000400F2 and, restricted, 0x000500F2: IDevID and IAK of TCG "Keys for Device Identity and Attestation" §7.3.4. */
const deviceKey: TPMA_OBJECT = { ...fixedKey, userWithAuth: true, adminWithPolicy: true, sign: true };
const aes128 = { algorithm: 'aes', keyBits: 128, mode: 'cfb' } as const;
const plain = { algorithm: 'null' } as const;
const noScheme = { scheme: 'null' } as const;
const ecdsa = { scheme: 'ecdsa', hashAlg: 'sha256' } as const;

/** Persistent handles of the TCG profiles, and ours for the owner's keys. */
export const persistentHandles = {
  srk: 0x81000001,
  /** The owner's LDevID and LAK: fealty's choice in the owner's range. */
  ldevid: 0x81000100,
  lak: 0x81000101,
  ekRsa: 0x81010001,
  ekEcc: 0x8101000a,
  idevid: 0x81020000,
  iak: 0x81020001,
} as const;

/** NV indices of certificates (TCG EK Credential Profile; facts on product ranges in the IDevID range). */
export const certificateIndices = {
  ekRsa: 0x01c00002,
  ekEcc: 0x01c0000a,
  /** First of the chain of the EK certificate, up to 0x01C001FF. */
  ekChain: 0x01c00100,
  iak: 0x01c90100,
  idevid: 0x01c90200,
  /** Where some makers put the IDevID certificate instead. */
  idevidElsewhere: 0x01c90000,
} as const;

/** Storage root key, P-256, of the TCG Provisioning Guidance: parent of the owner's keys, salt for sessions. */
export const srkTemplate: EccPublic = {
  type: 'ecc',
  nameAlg: 'sha256',
  objectAttributes: { ...storage, userWithAuth: true, noDA: true },
  authPolicy: none,
  parameters: { symmetric: aes128, scheme: noScheme, curveID: 'P-256', kdf: noScheme },
  unique: emptyPoint,
};

/** Endorsement key, template L-2 (P-256). */
export const ekTemplate: EccPublic = {
  type: 'ecc',
  nameAlg: 'sha256',
  objectAttributes: { ...storage, adminWithPolicy: true },
  authPolicy: fromHex(POLICY_ENDORSEMENT.sha256),
  parameters: { symmetric: aes128, scheme: noScheme, curveID: 'P-256', kdf: noScheme },
  unique: { x: new Uint8Array(32), y: new Uint8Array(32) },
};

/** Endorsement key, template L-1 (RSA-2048). */
export const ekRsaTemplate: RsaPublic = {
  type: 'rsa',
  nameAlg: 'sha256',
  objectAttributes: { ...storage, adminWithPolicy: true },
  authPolicy: fromHex(POLICY_ENDORSEMENT.sha256),
  parameters: { symmetric: aes128, scheme: noScheme, keyBits: 2048, exponent: 0 },
  unique: new Uint8Array(256),
};

/**
 * What makers put into `unique` of an ECC device key. Keys differ by it, so a device finds the right one by comparing
 * with its certificate: `y` is empty (swtpm), the same as `x` (keylime), or holds the second half (wolfTPM).
 */
export type UniqueVariant = 'y-empty' | 'y-equals-x' | 'halves';

/** IDevID, template H-2 (P-256). */
export function idevidTemplate(variant: UniqueVariant = 'y-empty'): EccPublic {
  return {
    type: 'ecc',
    nameAlg: 'sha256',
    objectAttributes: deviceKey,
    authPolicy: fromHex(AUTH_POLICY_IDEVID.sha256),
    parameters: { symmetric: plain, scheme: ecdsa, curveID: 'P-256', kdf: noScheme },
    unique: uniqueOf('IDEVID', variant),
  };
}

/** IAK, template H-2 (P-256). */
export function iakTemplate(variant: UniqueVariant = 'y-empty'): EccPublic {
  return {
    type: 'ecc',
    nameAlg: 'sha256',
    objectAttributes: { ...deviceKey, restricted: true },
    authPolicy: fromHex(AUTH_POLICY_IAK.sha256),
    parameters: { symmetric: plain, scheme: ecdsa, curveID: 'P-256', kdf: noScheme },
    unique: uniqueOf('IAK', variant),
  };
}

/** IDevID, template H-1 (RSA-2048). */
export const idevidRsaTemplate: RsaPublic = {
  type: 'rsa',
  nameAlg: 'sha256',
  objectAttributes: deviceKey,
  authPolicy: fromHex(AUTH_POLICY_IDEVID.sha256),
  parameters: { symmetric: plain, scheme: noScheme, keyBits: 2048, exponent: 0 },
  unique: utf8('IDEVID'),
};

/** IAK, template H-1 (RSA-2048, RSAPSS). */
export const iakRsaTemplate: RsaPublic = {
  type: 'rsa',
  nameAlg: 'sha256',
  objectAttributes: { ...deviceKey, restricted: true },
  authPolicy: fromHex(AUTH_POLICY_IAK.sha256),
  parameters: {
    symmetric: plain,
    scheme: { scheme: 'rsapss', hashAlg: 'sha256' },
    keyBits: 2048,
    exponent: 0,
  },
  unique: utf8('IAK'),
};

/** Every IDevID template fealty accepts, the likeliest first. */
export const idevidTemplates: readonly TPMT_PUBLIC[] = [
  idevidTemplate('y-empty'),
  idevidTemplate('y-equals-x'),
  idevidTemplate('halves'),
  idevidRsaTemplate,
];

/** Every IAK template fealty accepts, in the order of {@link idevidTemplates}. */
export const iakTemplates: readonly TPMT_PUBLIC[] = [
  iakTemplate('y-empty'),
  iakTemplate('y-equals-x'),
  iakTemplate('halves'),
  iakRsaTemplate,
];

/** The owner's signing key. Its auth value is random, so guessing is hopeless and needs no lockout (`noDA`). */
export const ldevidTemplate: EccPublic = {
  type: 'ecc',
  nameAlg: 'sha256',
  objectAttributes: { ...fixedKey, userWithAuth: true, noDA: true, sign: true },
  authPolicy: none,
  parameters: { symmetric: plain, scheme: ecdsa, curveID: 'P-256', kdf: noScheme },
  unique: emptyPoint,
};

/** The owner's attestation key: as {@link ldevidTemplate}, and restricted to what the TPM itself says. */
export const lakTemplate: EccPublic = {
  ...ldevidTemplate,
  objectAttributes: { ...ldevidTemplate.objectAttributes, restricted: true },
};

function uniqueOf(label: string, variant: UniqueVariant): TPMS_ECC_POINT {
  const bytes = utf8(label);
  if (variant === 'y-empty') return { x: bytes, y: none };
  if (variant === 'y-equals-x') return { x: bytes, y: bytes };
  const half = bytes.length >> 1;
  return { x: bytes.subarray(0, half), y: bytes.subarray(half) };
}
