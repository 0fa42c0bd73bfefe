import { fromHex } from '../core/bytes.ts';
import type { PolicyDigests } from './policy-digests.ts';
import type { EccPublic, RsaPublic } from './templates.ts';
import { ekRsaTemplate, ekTemplate, srkTemplate } from './templates.ts';

const empty = new Uint8Array(0);
const aes128 = { algorithm: 'aes', keyBits: 128, mode: 'cfb' } as const;
const aes256 = { algorithm: 'aes', keyBits: 256, mode: 'cfb' } as const;

/**
 * PolicyB of the EK templates of the high range: PolicyOR(PolicyA, PolicyC), PolicyA = PolicySecret(TPM_RH_ENDORSEMENT),
 * PolicyC = PolicyAuthorizeNV of the index 0x01C07F01 (…02, …03). TCG EK Credential Profile 2.x, annex B.6.
 */
export const POLICY_EK_HIGH: PolicyDigests = {
  sha256: 'ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0',
  sha384: 'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
  sha512:
    'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
};

/** Storage root key, RSA-2048, as {@link srkTemplate}: its `unique` is empty. */
export function srkRsaTemplate(): RsaPublic {
  const { objectAttributes } = srkTemplate;
  return { ...ekRsaTemplate, objectAttributes, authPolicy: empty, unique: empty };
}

/** The storage root keys of the low range (TCG Provisioning Guidance 1.0 §7.5.1): `unique` is all zeros. */
export function srkLowTemplate(kind: 'ecc' | 'rsa'): EccPublic | RsaPublic {
  if (kind === 'rsa') return { ...srkRsaTemplate(), unique: new Uint8Array(256) };
  return { ...srkTemplate, unique: { x: new Uint8Array(32), y: new Uint8Array(32) } };
}

const HIGH = {
  'H-1': { hash: 'sha256', cipher: aes128, keyBits: 2048 },
  'H-2': { hash: 'sha256', cipher: aes128, curveID: 'P-256' },
  'H-3': { hash: 'sha384', cipher: aes256, curveID: 'P-384' },
  'H-4': { hash: 'sha512', cipher: aes256, curveID: 'P-521' },
  'H-6': { hash: 'sha384', cipher: aes256, keyBits: 3072 },
  'H-7': { hash: 'sha384', cipher: aes256, keyBits: 4096 },
} as const;

/** Endorsement keys of the high range by their names in the TCG EK Credential Profile; H-5 is SM2. */
export type EkHighName = keyof typeof HIGH;

/** An endorsement key of the high range: its auth value uses it, or PolicyB. */
export function ekHighTemplate(name: EkHighName): EccPublic | RsaPublic {
  const { hash, cipher: symmetric, ...kind } = HIGH[name];
  const common = {
    nameAlg: hash,
    objectAttributes: { ...ekTemplate.objectAttributes, userWithAuth: true },
    authPolicy: fromHex(POLICY_EK_HIGH[hash]),
  };
  if ('keyBits' in kind)
    return {
      ...ekRsaTemplate,
      ...common,
      parameters: { ...ekRsaTemplate.parameters, symmetric, keyBits: kind.keyBits },
      unique: empty,
    };
  return {
    ...ekTemplate,
    ...common,
    parameters: { ...ekTemplate.parameters, symmetric, curveID: kind.curveID },
    unique: { x: empty, y: empty },
  };
}
