import { concat, equal } from '../core/bytes.ts';
import { readDerPrefix } from '../core/der.ts';
import type { Certificate } from '../identity/certificate.ts';
import { parseCertificate } from '../identity/certificate.ts';
import type { TPMT_PUBLIC, Tpm, TpmObject } from '../tpm/index.ts';
import {
  certificateIndices,
  createPrimary,
  ekRsaTemplate,
  ekTemplate,
  flush,
  iakTemplates,
  idevidTemplates,
  loadPersistent,
  nvRead,
  nvReadCertificate,
  nvReadPublic,
  persist,
  persistentHandles,
  spkiOfPublic,
} from '../tpm/index.ts';
import { NotManufactured } from './errors.ts';

/** What the maker put into the TPM: three keys, each with its certificate. */
export interface DeviceIdentity {
  readonly ek: TpmObject;
  readonly ekCertificate: Certificate;
  /** Authorities between the EK certificate and its vendor's root, DER; vendors put them into NV 0x01C00100 and on. */
  readonly ekIntermediates: readonly Uint8Array[];
  readonly iak: TpmObject;
  readonly iakCertificate: Certificate;
  readonly idevid: TpmObject;
  readonly idevidCertificate: Certificate;
  /** The product's serial number, from the IDevID certificate. */
  readonly serial: string;
  /** The product's model, likewise. */
  readonly model: string;
}

/**
 * Finds EK, IAK and IDevID by their certificates in NV. A key that is not at its handle, as after TPM2_Clear, is made
 * again from the template that gives the certificate's key, and persisted.
 *
 * @throws {NotManufactured} when a certificate is missing, or no template gives its key.
 */
export async function openDeviceIdentity(tpm: Tpm): Promise<DeviceIdentity> {
  const idevidCertificate =
    (await certificateAt(tpm, certificateIndices.idevid)) ??
    (await certificateAt(tpm, certificateIndices.idevidElsewhere)) ??
    missing('IDevID certificate');
  const iakCertificate = (await certificateAt(tpm, certificateIndices.iak)) ?? missing('IAK certificate');
  const ecc = await certificateAt(tpm, certificateIndices.ekEcc);
  const ekCertificate =
    ecc ?? (await certificateAt(tpm, certificateIndices.ekRsa)) ?? missing('EK certificate');
  const ek =
    ecc === undefined
      ? await keyOf(tpm, ekCertificate, persistentHandles.ekRsa, [ekRsaTemplate])
      : await keyOf(tpm, ekCertificate, persistentHandles.ekEcc, [ekTemplate]);
  const iak = await keyOf(tpm, iakCertificate, persistentHandles.iak, iakTemplates);
  const idevid = await keyOf(tpm, idevidCertificate, persistentHandles.idevid, idevidTemplates);
  const { serialNumber: serial, commonName: model } = idevidCertificate.subject;
  if (serial === undefined || model === undefined) return missing('serial number or model');
  const ekIntermediates = await ekChain(tpm);
  return {
    ek,
    ekCertificate,
    ekIntermediates,
    iak,
    iakCertificate,
    idevid,
    idevidCertificate,
    serial,
    model,
  };
}

/** At most two, self-signed ones left out: a root counts only where the registrar has it itself. */
async function ekChain(tpm: Tpm): Promise<readonly Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for (let handle: number = certificateIndices.ekChain; handle < certificateIndices.ekChain + 8; handle++) {
    const index = await nvReadPublic(tpm, handle);
    if (index?.public.attributes.written !== true) break;
    parts.push(await nvRead(tpm, index, { by: index.public.attributes.authread ? 'index' : 'owner' }));
  }
  const found: Uint8Array[] = [];
  for (let rest = concat(...parts); rest[0] === 0x30 && found.length < 2; ) {
    const { raw } = readDerPrefix(rest);
    const { subjectDer, issuerDer } = parseCertificate(raw);
    if (!equal(subjectDer, issuerDer)) found.push(raw.slice());
    rest = rest.subarray(raw.length);
  }
  return found;
}

async function certificateAt(tpm: Tpm, handle: number): Promise<Certificate | undefined> {
  const der = await nvReadCertificate(tpm, handle);
  return der === undefined ? undefined : parseCertificate(der);
}

async function keyOf(
  tpm: Tpm,
  certificate: Certificate,
  handle: number,
  templates: readonly TPMT_PUBLIC[],
): Promise<TpmObject> {
  const fits = (key: TpmObject) => equal(spkiOfPublic(key.public), certificate.spki);
  const present = await loadPersistent(tpm, handle);
  if (present !== undefined && fits(present)) return present;
  for (const template of templates) {
    if ((template.type === 'rsa') !== (certificate.publicKey.kind === 'rsa')) continue;
    const made = await createPrimary(tpm, { hierarchy: 'endorsement', template });
    try {
      if (fits(made)) return await persist(tpm, made, handle);
    } finally {
      await flush(tpm, made);
    }
  }
  return missing('key of a certificate');
}

function missing(what: string): never {
  throw new NotManufactured(`this TPM has no ${what}: it did not leave a maker's line`);
}
