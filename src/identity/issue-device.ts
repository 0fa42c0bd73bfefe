import { integer, oid, sequence, set, utf8String } from '../core/der-writer.ts';
import type { PublicJwk } from '../core/signer.ts';
import { NO_END } from './certificate.ts';
import type { ExtensionValue } from './extension-writer.ts';
import {
  basicConstraints,
  certificatePolicies,
  directoryName,
  extendedKeyUsage,
  hardwareModuleName,
  keyUsage,
  permanentIdentifier,
  subjectAltName,
} from './extension-writer.ts';
import { hardwareSerialOf, permanentIdentifierOf } from './hardware-serial.ts';
import type { Issuing } from './issue.ts';
import { issueCertificate } from './issue.ts';
import { writeName } from './name.ts';
import { OID } from './oids.ts';
import { readSpki } from './public-key.ts';

/** What an EK certificate is made with. */
export interface EkCertificateRequest extends Omit<Issuing, 'notAfter'> {
  /** SubjectPublicKeyInfo of the endorsement key (P-256 or RSA), DER. */
  readonly spki: Uint8Array;
  /** TCG vendor identifier, `id:` and eight hexadecimal digits, for example `id:00001014`. */
  readonly manufacturer: string;
  readonly model: string;
  /** Firmware version, `id:` and eight hexadecimal digits. */
  readonly version: string;
}

/** What an IAK or IDevID certificate is made with. */
export interface DeviceCertificateRequest extends Omit<Issuing, 'notAfter'> {
  readonly publicKey: PublicJwk | Uint8Array;
  /** The product's serial number; the same in IAK and IDevID. */
  readonly serialNumber: string;
  readonly organization?: string | undefined;
  /** The product's model. */
  readonly commonName?: string | undefined;
  /** The EK certificate of the TPM both keys live in, DER. */
  readonly ekCertificate: Uint8Array;
}

/**
 * Certificate of an endorsement key (TCG EK Credential Profile): empty subject, critical SAN with manufacturer, model
 * and version, EKU 2.23.133.8.1, no end.
 */
export function issueEkCertificate(request: EkCertificateRequest): Promise<Uint8Array> {
  const tpm = sequence(
    ...[
      [OID.tpmManufacturer, request.manufacturer] as const,
      [OID.tpmModel, request.model] as const,
      [OID.tpmVersion, request.version] as const,
    ].map(([type, value]) => set(sequence(oid(type), utf8String(value)))),
  );
  const usage = readSpki(request.spki).kind === 'rsa' ? 'keyEncipherment' : 'keyAgreement';
  return issueCertificate({
    ...request,
    notAfter: NO_END,
    subject: writeName({}),
    publicKey: request.spki,
    extensions: [
      basicConstraints(),
      keyUsage(usage),
      extendedKeyUsage(OID.ekCertificate),
      subjectAltName([directoryName(tpm)], true),
      tpmSpecification(),
    ],
  });
}

/** Certificate of an IDevID key: policies verifiedTPMResidency and verifiedTPMFixed (TCG TPM 2.0 Keys for Device Identity §8). */
export function issueIDevIdCertificate(request: DeviceCertificateRequest): Promise<Uint8Array> {
  return issueDevice(request, [OID.verifiedTpmResidency, OID.verifiedTpmFixed]);
}

/** Certificate of an IAK: as the IDevID's, and verifiedTPMRestricted, which a verifier of quotes must find. */
export function issueIakCertificate(request: DeviceCertificateRequest): Promise<Uint8Array> {
  return issueDevice(request, [OID.verifiedTpmResidency, OID.verifiedTpmFixed, OID.verifiedTpmRestricted]);
}

async function issueDevice(
  request: DeviceCertificateRequest,
  policies: readonly string[],
): Promise<Uint8Array> {
  const { ekCertificate, serialNumber, organization, commonName } = request;
  return issueCertificate({
    ...request,
    notAfter: NO_END,
    subject: writeName({ organization, commonName, serialNumber }),
    extensions: [
      basicConstraints(),
      keyUsage('digitalSignature'),
      certificatePolicies(...policies),
      subjectAltName([
        hardwareModuleName(hardwareSerialOf(ekCertificate)),
        permanentIdentifier(permanentIdentifierOf(ekCertificate)),
      ]),
    ],
  });
}

/** subjectDirectoryAttributes: TPM specification "2.0", level 0, revision 164. */
function tpmSpecification(): ExtensionValue {
  const specification = sequence(utf8String('2.0'), integer(0), integer(164));
  const attribute = sequence(oid('2.23.133.2.16'), set(specification));
  return { id: OID.subjectDirectoryAttributes, critical: false, value: sequence(attribute) };
}
