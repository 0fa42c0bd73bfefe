import { base64url, fromBase64url, hex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { v } from '../core/schema.ts';
import { thumbprint } from '../core/signer.ts';
import type { MakerLine } from '../provisioning/maker.ts';
import { anchorsOf } from '../provisioning/maker.ts';

const jwk = v.strictObject({ kty: v.literal('EC'), crv: v.literal('P-256'), x: v.string(), y: v.string() });
const der = v.pipe(v.string(), v.maxLength(11_000), v.regex(/^[A-Za-z0-9_-]+$/));

/** `anchors.json` of a maker: what an owner who trusts it adds to the anchors of the authority. */
export const makerAnchorsSchema = v.strictObject({
  maker: v.strictObject({
    name: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
    /** Certificates of the CA of its devices, DER in base64url. */
    certificates: v.pipe(v.array(der), v.minLength(1), v.maxLength(16)),
    voucherKeys: v.pipe(v.array(jwk), v.maxLength(16)),
  }),
  /** The vendors of its TPMs. A simulated one counts only where the authority was made for simulation. */
  ekVendors: v.pipe(v.array(v.strictObject({ certificate: der, simulated: v.boolean() })), v.maxLength(64)),
  /** Keys that endorse the software it ships. */
  providers: v.pipe(v.array(jwk), v.maxLength(16)),
});
/** See {@link makerAnchorsSchema}. */
export type MakerAnchorsJson = v.InferOutput<typeof makerAnchorsSchema>;

/** The public side of a maker's line, as a file. */
export function makerAnchorsJson(line: MakerLine): MakerAnchorsJson {
  const { maker, ekVendor, provider } = anchorsOf(line);
  return {
    maker: {
      name: maker.name,
      certificates: maker.certificates.map(base64url),
      voucherKeys: maker.voucherKeys.map((key) => ({ ...key })),
    },
    ekVendors: [{ certificate: base64url(ekVendor.certificate), simulated: ekVendor.simulated }],
    providers: [{ ...provider }],
  };
}

/** What maker and owner compare by telephone, by role. */
export function makerFingerprints(anchors: MakerAnchorsJson): Readonly<Record<string, string>> {
  const numbered = (what: string, prints: readonly string[]) =>
    prints.map((print, at) => [prints.length > 1 ? `${what} ${at + 1}` : what, print] as const);
  const certificate = (one: string) => hex(sha256(fromBase64url(one)));
  const key = (one: Parameters<typeof thumbprint>[0]) => hex(fromBase64url(thumbprint(one)));
  return Object.fromEntries([
    ...numbered('device CA', anchors.maker.certificates.map(certificate)),
    ...numbered('voucher key', anchors.maker.voucherKeys.map(key)),
    ...numbered(
      'EK vendor',
      anchors.ekVendors.map((vendor) => certificate(vendor.certificate)),
    ),
    ...numbered('provider key', anchors.providers.map(key)),
  ]);
}
