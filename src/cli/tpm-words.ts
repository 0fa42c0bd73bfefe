import { AUDIT_COUNTER } from '../audit/tpm-checkpoint.ts';
import { equal, fromHex } from '../core/bytes.ts';
import { NO_END } from '../identity/certificate.ts';
import type { Certificate, DistinguishedName } from '../identity/index.ts';
import { OID } from '../identity/index.ts';
import { deviceIndices } from '../provisioning/device-nv.ts';
import type { TPMA_NV, TPMT_PUBLIC } from '../tpm/index.ts';
import { certificateIndices, persistentHandles } from '../tpm/index.ts';
import type { PolicyDigests } from '../tpm/policy-digests.ts';
import { AUTH_POLICY_IAK, AUTH_POLICY_IDEVID, POLICY_ENDORSEMENT } from '../tpm/policy-digests.ts';

/** What a key is: by its policy where TCG gives one, else by its handle, else by what it may do. */
export function roleOfKey(handle: number, area: TPMT_PUBLIC): string {
  const { restricted, decrypt, sign } = area.objectAttributes;
  const has = (policy: PolicyDigests) =>
    Object.values(policy).some((digest: string) => equal(area.authPolicy, fromHex(digest)));
  if (has(AUTH_POLICY_IAK)) return 'IAK';
  if (has(AUTH_POLICY_IDEVID)) return 'IDevID';
  if (has(POLICY_ENDORSEMENT) && restricted === true && decrypt === true) return 'EK';
  if (handle === persistentHandles.srk && restricted === true && decrypt === true) return 'SRK';
  if (handle === persistentHandles.ldevid && sign === true) return 'LDevID';
  if (handle === persistentHandles.lak && restricted === true && sign === true) return 'LAK';
  if (area.type === 'keyedhash') return sign === true ? 'HMAC key' : 'sealed data';
  if (area.type === 'symcipher') return 'cipher key';
  if (restricted === true) return decrypt === true ? 'storage key' : 'attestation key';
  if (sign === true && decrypt === true) return 'key';
  return sign === true ? 'signing key' : decrypt === true ? 'decryption key' : 'key';
}

/** The algorithm of a key: `P-256, ecdsa sha256`, `RSA 2048`. */
export function kindOfKey(area: TPMT_PUBLIC): string {
  switch (area.type) {
    case 'ecc':
      return [area.parameters.curveID, schemeOf(area.parameters.scheme)].filter(Boolean).join(', ');
    case 'rsa':
      return [`RSA ${area.parameters.keyBits}`, schemeOf(area.parameters.scheme)].filter(Boolean).join(', ');
    case 'symcipher':
      return area.parameters.sym.algorithm;
    case 'keyedhash':
      return schemeOf(area.parameters.scheme) || 'data';
  }
}

/** What the attributes of a key mean to a person: what it is and does, and who uses it. */
export function keyInWords(area: TPMT_PUBLIC): { readonly nature: string; readonly use: string } {
  const { objectAttributes: a, authPolicy } = area;
  const policy = authPolicy.length > 0;
  const uses =
    a.userWithAuth === true
      ? policy
        ? 'its auth value or its policy'
        : 'its auth value'
      : 'its policy alone';
  const words = (...all: readonly (string | undefined)[]) =>
    all.filter((word) => word !== undefined).join('; ');
  return {
    nature: words(
      a.fixedTPM === true ? 'never leaves this TPM' : 'may be duplicated to another TPM',
      a.sensitiveDataOrigin === true ? 'made by the TPM' : 'made outside and imported',
      a.restricted === true && a.sign === true ? 'signs only what the TPM itself says' : undefined,
      a.restricted === true && a.decrypt === true ? 'wraps keys and opens credentials' : undefined,
      a.restricted !== true && a.sign === true ? 'signs anything' : undefined,
      a.restricted !== true && a.decrypt === true ? 'decrypts or agrees on secrets' : undefined,
    ),
    use: words(
      `used by ${uses}`,
      a.adminWithPolicy === true ? 'certified and activated by its policy' : undefined,
      a.noDA === true ? 'guesses are not counted' : 'wrong guesses are counted',
    ),
  };
}

/** What an NV index is for, by the registries of TCG; `undefined` when they do not say. */
export function roleOfIndex(index: number): string | undefined {
  return indexNames[index] ?? rangeOf(index);
}

/** Who may read or write an NV index. */
export function accessInWords(attributes: TPMA_NV, what: 'read' | 'write'): string {
  const by = [
    attributes[`owner${what}`] === true ? 'the owner' : undefined,
    attributes[`auth${what}`] === true ? 'its auth value' : undefined,
    attributes[`policy${what}`] === true ? 'its policy' : undefined,
    attributes[`pp${what}`] === true ? 'the platform' : undefined,
  ].filter((word) => word !== undefined);
  const locked = attributes[what === 'read' ? 'readlocked' : 'writelocked'] === true;
  return `${by.join(', ') || 'nobody'}${locked ? ' (locked)' : ''}`;
}

/** A distinguished name in the order it is written in: `O=Acme, CN=arm, serialNumber=7`. */
export function nameInWords(name: DistinguishedName): string {
  const words = name.attributes.map(([oid, value]) => `${attributeNames[oid] ?? oid}=${value}`);
  return words.join(', ') || 'no name';
}

/** Whom a certificate is for: its subject, or the TPM it names instead (TCG EK Credential Profile). */
export function holderInWords({ subject, subjectAltName }: Certificate): string {
  const [directoryName] = subjectAltName?.directoryNames ?? [];
  return nameInWords(
    subject.attributes.length === 0 && directoryName !== undefined ? directoryName : subject,
  );
}

/** A day, or that there is no end. */
export function dayOf(ms: number): string {
  return ms >= NO_END ? 'no end' : new Date(ms).toISOString().slice(0, 10);
}

/** A policy of a certificate, by its name where it has one. */
export function policyInWords(oid: string): string {
  return policyNames[oid] === undefined ? oid : `${policyNames[oid]} (${oid})`;
}

/** Seconds as people say them. */
export function timeInWords(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86_400).toFixed(0)} days`;
}

function schemeOf(scheme: { readonly scheme: string }): string {
  if (scheme.scheme === 'null') return '';
  return 'hashAlg' in scheme ? `${scheme.scheme} ${String(scheme.hashAlg)}` : scheme.scheme;
}

function rangeOf(index: number): string | undefined {
  if (index >= 0x01c00100 && index <= 0x01c001ff) return 'certificate chain of the EK';
  if (index >= 0x01c90100 && index <= 0x01c901ff) return 'certificate of an IAK';
  if (index >= 0x01c90000 && index <= 0x01c9ffff) return 'device identity';
  if (index >= 0x01800000 && index <= 0x01bfffff) return 'the owner’s';
  return undefined;
}

const indexNames: Readonly<Record<number, string>> = {
  [certificateIndices.ekRsa]: 'certificate of the EK, RSA 2048',
  29360131: 'nonce of the EK, RSA 2048',
  29360132: 'template of the EK, RSA 2048',
  [certificateIndices.ekEcc]: 'certificate of the EK, P-256',
  29360139: 'nonce of the EK, P-256',
  29360140: 'template of the EK, P-256',
  29360146: 'certificate of the EK, RSA 2048 (high range)',
  29360148: 'certificate of the EK, P-256 (high range)',
  29360150: 'certificate of the EK, P-384',
  29360152: 'certificate of the EK, P-521',
  29360156: 'certificate of the EK, RSA 3072',
  29360158: 'certificate of the EK, RSA 4096',
  [deviceIndices.voucherKeys]: 'fealty: voucher keys of the maker',
  [deviceIndices.ownership]: 'fealty: who owns the device',
  [AUDIT_COUNTER]: 'fealty: checkpoints of the audit log',
  [certificateIndices.iak]: 'certificate of the IAK',
  [certificateIndices.idevid]: 'certificate of the IDevID',
};

const attributeNames: Readonly<Record<string, string>> = {
  [OID.commonName]: 'CN',
  [OID.organization]: 'O',
  [OID.serialNumber]: 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.11': 'OU',
  [OID.tpmManufacturer]: 'tpmManufacturer',
  [OID.tpmModel]: 'tpmModel',
  [OID.tpmVersion]: 'tpmVersion',
};

const policyNames: Readonly<Record<string, string>> = {
  [OID.verifiedTpmResidency]: 'the key is in a TPM',
  [OID.verifiedTpmFixed]: 'the key cannot leave it',
  [OID.verifiedTpmRestricted]: 'the key signs only what the TPM says',
  [OID.anyPolicy]: 'any policy',
};
