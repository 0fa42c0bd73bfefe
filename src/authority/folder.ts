import { base64url, fromBase64url, text, utf8 } from '../core/bytes.ts';
import { canonicalBytes, parseJson, parseJsonObject } from '../core/json.ts';
import { slugOf } from '../core/names.ts';
import { fromPem, pem } from '../core/pem.ts';
import type { Store } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk, SoftwareKey } from '../core/signer.ts';
import { keyFromPem, pemOfKey, readPublicJwk } from '../core/signer.ts';
import type { VoucherJws } from '../provisioning/messages.ts';
import { voucherSchema } from '../provisioning/messages.ts';
import type { RegistrarAnchors } from '../provisioning/registrar-options.ts';
import { AuthorityFolder } from './errors.ts';

/** Keys of an authority, one file each, mode 0600. */
export const KEY_NAMES = ['aca', 'wit', 'issuer', 'verifier', 'status', 'log'] as const;
/** What one of the authority's keys does. */
export type KeyName = (typeof KEY_NAMES)[number];

const configSchema = v.strictObject({
  version: v.literal(1),
  trustDomain: v.string(),
  simulation: v.boolean(),
  hosts: v.pipe(v.array(v.string()), v.minLength(1)),
  url: v.optional(v.string()),
  /** Rises with each change of the bundle. */
  bundleSequence: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
});
/** `authority.json`. */
export type AuthorityConfig = v.InferOutput<typeof configSchema>;

/** Reads `authority.json`. @throws {AuthorityFolder} when there is none. */
export async function readConfig(store: Store): Promise<AuthorityConfig> {
  const bytes = await store.read('authority.json');
  if (bytes === undefined) throw new AuthorityFolder('the folder holds no authority: initialise one first');
  return check(configSchema, parseJsonObject(bytes), 'authority.json');
}

/** Writes `authority.json`. */
export async function writeConfig(store: Store, config: AuthorityConfig): Promise<void> {
  await store.write('authority.json', canonicalBytes(config));
}

/** One of the authority's keys. @throws {AuthorityFolder} */
export async function readKey(store: Store, name: KeyName): Promise<SoftwareKey> {
  const bytes = await store.read(`keys/${name}.pem`);
  if (bytes === undefined) throw new AuthorityFolder(`the authority has no key \`${name}\``);
  return keyFromPem(text(bytes));
}

/** Stores a key. */
export async function writeKey(store: Store, name: KeyName, key: SoftwareKey): Promise<void> {
  await store.write(`keys/${name}.pem`, utf8(pemOfKey(key)));
}

/** Certificate of the ACA, DER. @throws {AuthorityFolder} */
export async function readCaCertificate(store: Store): Promise<Uint8Array> {
  const bytes = await store.read('aca.pem');
  const [certificate] = bytes === undefined ? [] : fromPem('CERTIFICATE', text(bytes));
  if (certificate === undefined) throw new AuthorityFolder('the authority has no certificate');
  return certificate;
}

/** Stores the certificate of the ACA. */
export async function writeCaCertificate(store: Store, certificate: Uint8Array): Promise<void> {
  await store.write('aca.pem', utf8(pem('CERTIFICATE', certificate)));
}

const jwk = v.strictObject({ kty: v.literal('EC'), crv: v.literal('P-256'), x: v.string(), y: v.string() });
const der = v.pipe(v.string(), v.maxLength(11_000), v.regex(/^[A-Za-z0-9_-]+$/));

/** `anchors.json`, and what an owner sends to change it; certificates are DER in base64url. */
export const anchorsSchema = v.strictObject({
  ekVendors: v.pipe(v.array(v.strictObject({ certificate: der, simulated: v.boolean() })), v.maxLength(64)),
  makers: v.pipe(
    v.array(
      v.strictObject({
        name: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
        certificates: v.pipe(v.array(der), v.minLength(1), v.maxLength(16)),
        voucherKeys: v.pipe(v.array(jwk), v.maxLength(16)),
      }),
    ),
    v.maxLength(64),
  ),
  providers: v.pipe(v.array(jwk), v.maxLength(64)),
  owners: v.pipe(v.array(jwk), v.minLength(1), v.maxLength(16)),
});

/** Whom the authority trusts, by role. @throws {AuthorityFolder} */
export async function readAnchors(store: Store): Promise<RegistrarAnchors> {
  const bytes = await store.read('anchors.json');
  if (bytes === undefined) throw new AuthorityFolder('the authority has no anchors');
  return anchorsFrom(parseJson(bytes, { maxBytes: 4 << 20 }));
}

/** {@link RegistrarAnchors} from JSON. @throws {Malformed} */
export function anchorsFrom(value: unknown): RegistrarAnchors {
  const read = check(anchorsSchema, value, 'anchors');
  const keys = (list: readonly PublicJwk[]) => list.map(readPublicJwk);
  return {
    ekVendors: read.ekVendors.map(({ certificate, simulated }) => ({
      certificate: fromBase64url(certificate),
      simulated,
    })),
    makers: read.makers.map(({ name, certificates, voucherKeys }) => ({
      name,
      certificates: certificates.map(fromBase64url),
      voucherKeys: keys(voucherKeys),
    })),
    providers: keys(read.providers),
    owners: keys(read.owners),
  };
}

/** Stores whom the authority trusts. */
export async function writeAnchors(store: Store, anchors: RegistrarAnchors): Promise<void> {
  await store.write('anchors.json', canonicalBytes(anchorsToJson(anchors)));
}

/** The JSON form of anchors. */
export function anchorsToJson(anchors: RegistrarAnchors): v.InferOutput<typeof anchorsSchema> {
  return {
    ekVendors: anchors.ekVendors.map(({ certificate, simulated }) => ({
      certificate: base64url(certificate),
      simulated,
    })),
    makers: anchors.makers.map(({ name, certificates, voucherKeys }) => ({
      name,
      certificates: certificates.map(base64url),
      voucherKeys: [...voucherKeys],
    })),
    providers: [...anchors.providers],
    owners: [...anchors.owners],
  };
}

/** Keeps a voucher for a device that was bought. */
export async function putVoucher(store: Store, serial: string, voucher: VoucherJws): Promise<void> {
  await store.write(
    `vouchers/${slugOf(serial)}.json`,
    canonicalBytes(check(voucherSchema, voucher, 'voucher')),
  );
}

/** The voucher kept for a serial number. */
export async function readVoucher(store: Store, serial: string): Promise<VoucherJws | undefined> {
  const bytes = await store.read(`vouchers/${slugOf(serial)}.json`);
  return bytes && check(voucherSchema, parseJson(bytes), 'voucher');
}

/** Keeps the owner's binding of a serial number (a JWS by the owner). */
export async function putBinding(
  store: Store,
  maker: string,
  serial: string,
  binding: string,
): Promise<void> {
  await store.write(`bindings/${slugOf(`${maker}\n${serial}`)}.jwt`, utf8(binding));
}

/** The binding kept for a device. */
export async function readBinding(store: Store, maker: string, serial: string): Promise<string | undefined> {
  const bytes = await store.read(`bindings/${slugOf(`${maker}\n${serial}`)}.jwt`);
  return bytes && text(bytes);
}
