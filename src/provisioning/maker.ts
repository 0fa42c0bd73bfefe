import { equal } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { canonicalBytes, parseJsonObject } from '../core/json.ts';
import { fromPem, pem } from '../core/pem.ts';
import type { Platform, Random, Store } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { SoftwareKey } from '../core/signer.ts';
import { generateKey, keyFromPem, pemOfKey } from '../core/signer.ts';
import { parseCertificate } from '../identity/certificate.ts';
import type { CertificateIssuer } from '../identity/issue.ts';
import { createRoot } from '../identity/issue.ts';
import { issueEkCertificate, issueIakCertificate, issueIDevIdCertificate } from '../identity/issue-device.ts';
import type { TPMA_NV, TPMT_PUBLIC, Tpm, TpmObject } from '../tpm/index.ts';
import {
  certificateIndices,
  createPrimary,
  ekTemplate,
  flush,
  iakTemplate,
  idevidTemplate,
  nvDefine,
  nvReadCertificate,
  nvReadPublic,
  nvUndefine,
  nvWrite,
  persist,
  persistentHandles,
  spkiOfPublic,
  TpmRefused,
} from '../tpm/index.ts';
import { deviceIndices, encodeVoucherKeys, OWNERSHIP_SIZE } from './device-nv.ts';
import { NotManufactured } from './errors.ts';
import type { VoucherJws } from './messages.ts';
import type { EkVendorAnchor, MakerAnchor } from './registrar-options.ts';
import { signVoucher } from './voucher.ts';

/** A maker's production line: certificate authorities and keys. All of it is secret but {@link anchorsOf}. */
export interface MakerLine {
  /** As bindings and endorsements name the maker. */
  readonly name: string;
  /** Issues EK certificates to TPMs that have none from their vendor: simulated ones. */
  readonly ekCa: CertificateIssuer;
  /** Issues IDevID and IAK certificates. */
  readonly deviceCa: CertificateIssuer;
  readonly voucherKey: SoftwareKey;
  /** Signs endorsements of the software the maker ships. */
  readonly providerKey: SoftwareKey;
}

/** What the owner of a device needs to know of its maker. */
export interface MakerAnchors {
  readonly maker: MakerAnchor;
  readonly ekVendor: EkVendorAnchor;
  readonly provider: SoftwareKey['publicJwk'];
}

/** A new line with fresh keys. */
export async function createMakerLine(
  platform: Pick<Platform, 'clock' | 'random'>,
  name: string,
): Promise<MakerLine> {
  if (!/^[\w .-]{1,64}$/.test(name))
    throw new TypeError('`name` must be 1 to 64 letters, digits, `.`, `-`, blanks');
  const { random } = platform;
  const notBefore = platform.clock.now() - 60_000;
  const root = (commonName: string) =>
    createRoot({
      signer: generateKey(random),
      random,
      commonName,
      organization: name,
      notBefore,
      pathLength: 0,
    });
  return {
    name,
    ekCa: await root('TPM endorsement keys (simulated)'),
    deviceCa: await root('Devices'),
    voucherKey: generateKey(random),
    providerKey: generateKey(random),
  };
}

/** The public side of a line. */
export function anchorsOf(line: MakerLine): MakerAnchors {
  return {
    maker: {
      name: line.name,
      certificates: [line.deviceCa.certificate],
      voucherKeys: [line.voucherKey.publicJwk],
    },
    ekVendor: { certificate: line.ekCa.certificate, simulated: true },
    provider: line.providerKey.publicJwk,
  };
}

const FILES = {
  line: 'maker.json',
  ekKey: 'ek-ca.key.pem',
  ekCertificate: 'ek-ca.crt.pem',
  deviceKey: 'device-ca.key.pem',
  deviceCertificate: 'device-ca.crt.pem',
  voucherKey: 'voucher.key.pem',
  providerKey: 'provider.key.pem',
} as const;

/** Stores a line as PEM files, private keys included: the store must be the maker's own (mode 0600). */
export async function saveMakerLine(store: Store, line: MakerLine): Promise<void> {
  const text = new TextEncoder();
  const keys = { ekKey: line.ekCa.signer, deviceKey: line.deviceCa.signer } as const;
  for (const [file, signer] of Object.entries(keys)) {
    if (!('privateKey' in signer)) throw new TypeError('only keys in memory can be stored');
    await store.write(FILES[file as keyof typeof keys], text.encode(pemOfKey(signer as SoftwareKey)));
  }
  await store.write(FILES.voucherKey, text.encode(pemOfKey(line.voucherKey)));
  await store.write(FILES.providerKey, text.encode(pemOfKey(line.providerKey)));
  await store.write(FILES.ekCertificate, text.encode(pem('CERTIFICATE', line.ekCa.certificate)));
  await store.write(FILES.deviceCertificate, text.encode(pem('CERTIFICATE', line.deviceCa.certificate)));
  // Last: a line whose name is there is complete.
  await store.write(FILES.line, canonicalBytes({ version: 1, name: line.name }));
}

/** The line in `store`, or `undefined`. @throws {Malformed} when a file is missing or broken. */
export async function loadMakerLine(store: Store): Promise<MakerLine | undefined> {
  const about = await store.read(FILES.line);
  if (about === undefined) return undefined;
  const schema = v.strictObject({ version: v.literal(1), name: v.string() });
  const { name } = check(schema, parseJsonObject(about), 'maker line');
  const file = async (path: string) => {
    const bytes = await store.read(path);
    if (bytes === undefined) throw new Malformed(`the maker's folder lacks \`${path}\``);
    return new TextDecoder().decode(bytes);
  };
  const authority = async (key: string, certificate: string): Promise<CertificateIssuer> => {
    const [der = new Uint8Array()] = fromPem('CERTIFICATE', await file(certificate));
    return { signer: keyFromPem(await file(key)), certificate: der };
  };
  return {
    name,
    ekCa: await authority(FILES.ekKey, FILES.ekCertificate),
    deviceCa: await authority(FILES.deviceKey, FILES.deviceCertificate),
    voucherKey: keyFromPem(await file(FILES.voucherKey)),
    providerKey: keyFromPem(await file(FILES.providerKey)),
  };
}

/** What leaves the line with a device. */
export interface Manufactured {
  readonly serial: string;
  readonly model: string;
  readonly ekCertificate: Uint8Array;
  readonly iakCertificate: Uint8Array;
  readonly idevidCertificate: Uint8Array;
}

/**
 * Gives a TPM its identity: EK, IAK and IDevID at their persistent handles, their certificates in NV (TCG profile), the
 * maker's voucher keys and a place for the owner. A TPM that has an EK certificate of its vendor keeps it. Done again,
 * it gives the same keys new certificates.
 */
export async function manufacture(
  tpm: Tpm,
  line: MakerLine,
  product: { readonly serial: string; readonly model: string },
): Promise<Manufactured> {
  const issuing = { random: tpm.random, notBefore: tpm.clock.now() - 60_000 };
  const ek = await primary(tpm, ekTemplate, persistentHandles.ekEcc);
  const ekCertificate = await endorsed(tpm, line, ek, issuing);
  const iak = await primary(tpm, iakTemplate(), persistentHandles.iak);
  const idevid = await primary(tpm, idevidTemplate(), persistentHandles.idevid);
  const subject = {
    ...issuing,
    issuer: line.deviceCa,
    serialNumber: product.serial,
    commonName: product.model,
    organization: line.name,
    ekCertificate,
  };
  const iakCertificate = await issueIakCertificate({ ...subject, publicKey: spkiOfPublic(iak.public) });
  const idevidCertificate = await issueIDevIdCertificate({
    ...subject,
    publicKey: spkiOfPublic(idevid.public),
  });
  await fill(tpm, certificateIndices.iak, iakCertificate);
  await fill(tpm, certificateIndices.idevid, idevidCertificate);
  await fill(tpm, deviceIndices.voucherKeys, encodeVoucherKeys([line.voucherKey.publicJwk]));
  await owned(tpm);
  return { ...product, ekCertificate, iakCertificate, idevidCertificate };
}

/** What a voucher is made from. */
export interface VoucherOrder {
  readonly serial: string;
  /** The owner's certificate authority, DER. */
  readonly owner: Uint8Array;
  /** Of the device's request, base64url: for a maker that is asked while the device waits. */
  readonly nonce?: string | undefined;
  /** How often the device was sold, from 1: for a voucher that goes with the device. */
  readonly ownership?: number | undefined;
  /** Milliseconds since 1970. Default: it does not expire. */
  readonly expiresOn?: number | undefined;
}

/** A voucher for a device of this line. */
export function makeVoucher(
  line: MakerLine,
  order: VoucherOrder & { readonly at: number },
): Promise<VoucherJws> {
  return signVoucher(line.voucherKey, {
    serial: order.serial,
    idevidIssuer: parseCertificate(line.deviceCa.certificate).subjectKeyId,
    pinnedDomainCert: order.owner,
    createdOn: order.at,
    expiresOn: order.expiresOn,
    nonce: order.nonce,
    ownership: order.ownership,
  });
}

async function primary(tpm: Tpm, template: TPMT_PUBLIC, handle: number): Promise<TpmObject> {
  const made = await createPrimary(tpm, { hierarchy: 'endorsement', template });
  try {
    return await persist(tpm, made, handle);
  } finally {
    await flush(tpm, made);
  }
}

async function endorsed(
  tpm: Tpm,
  line: MakerLine,
  ek: TpmObject,
  issuing: { readonly random: Random; readonly notBefore: number },
): Promise<Uint8Array> {
  const spki = spkiOfPublic(ek.public);
  const present = await nvReadCertificate(tpm, certificateIndices.ekEcc);
  if (present !== undefined) {
    if (!equal(parseCertificate(present).spki, spki))
      throw new NotManufactured('the EK certificate in the TPM is for another key');
    return present;
  }
  const id = (value: number | undefined) => `id:${(value ?? 0).toString(16).padStart(8, '0').toUpperCase()}`;
  const certificate = await issueEkCertificate({
    ...issuing,
    issuer: line.ekCa,
    spki,
    manufacturer: id(tpm.property('manufacturer')),
    model: tpm.vendor,
    version: id(tpm.property('firmwareVersion1')),
  });
  await fill(tpm, certificateIndices.ekEcc, certificate);
  return certificate;
}

/** 0x62072801 but for its written bit: the platform writes, everybody reads, TPM2_Clear leaves it. */
const byPlatform: TPMA_NV = {
  nt: 'ordinary',
  ppwrite: true,
  writedefine: true,
  ppread: true,
  ownerread: true,
  authread: true,
  noDa: true,
  platformcreate: true,
};
/** Where the firmware has closed the platform hierarchy. */
const byOwner: TPMA_NV = { nt: 'ordinary', ownerwrite: true, ownerread: true, authread: true, noDa: true };

/** Writes `content` into a new NV index at `handle`. */
async function fill(tpm: Tpm, handle: number, content: Uint8Array): Promise<void> {
  const by = await define(tpm, handle, content.length, { platform: byPlatform, owner: byOwner });
  const index = await nvReadPublic(tpm, handle);
  if (index === undefined) throw new NotManufactured('the TPM did not keep an NV index');
  await nvWrite(tpm, index, content, { by });
}

/** A place that the device itself writes; nothing is in it before the first owner. */
async function owned(tpm: Tpm): Promise<void> {
  const present = await nvReadPublic(tpm, deviceIndices.ownership);
  if (present !== undefined) return; // a device that comes back to the line keeps its history
  await define(tpm, deviceIndices.ownership, OWNERSHIP_SIZE, {
    platform: { ...byPlatform, writedefine: false, authwrite: true },
    owner: { ...byOwner, authwrite: true },
  });
}

async function define(
  tpm: Tpm,
  handle: number,
  size: number,
  attributes: Readonly<Record<'platform' | 'owner', TPMA_NV>>,
): Promise<'platform' | 'owner'> {
  const present = await nvReadPublic(tpm, handle);
  if (present !== undefined)
    await nvUndefine(tpm, handle, { by: present.public.attributes.platformcreate ? 'platform' : 'owner' });
  try {
    await nvDefine(tpm, { handle, size, attributes: attributes.platform, by: 'platform' });
    return 'platform';
  } catch (error) {
    if (!(error instanceof TpmRefused) || error.reason === 'NV_SPACE') throw error;
    await nvDefine(tpm, { handle, size, attributes: attributes.owner, by: 'owner' });
    return 'owner';
  }
}
