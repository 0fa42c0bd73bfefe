import { hex } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { parseCertificate } from './certificate.ts';
import { OID } from './oids.ts';

/**
 * hwSerialNum of a TPM: `<manufacturer code>:<AKI of the EK certificate>:<its serial>`, lower-case hexadecimal.
 *
 * @throws {Malformed} when the EK certificate names no manufacturer or no authority key.
 */
export function hardwareSerialOf(ekCertificate: Uint8Array): string {
  const { subjectAltName: names, authorityKeyId, serial } = parseCertificate(ekCertificate);
  const manufacturer = names?.directoryNames
    .flatMap(({ attributes }) => attributes)
    .find(([type]) => type === OID.tpmManufacturer)?.[1];
  if (manufacturer === undefined || authorityKeyId === undefined)
    throw new Malformed('the EK certificate names no manufacturer or no authority key');
  return `${manufacturer.replace(/^id:/, '').toLowerCase()}:${authorityKeyId}:${serial}`;
}

/** The permanent identifier of a TPM: SHA-256 of its EK certificate, hexadecimal. */
export function permanentIdentifierOf(ekCertificate: Uint8Array): string {
  return hex(sha256(ekCertificate));
}
