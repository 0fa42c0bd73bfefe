import { base64, base64url, fromBase64 } from '../core/bytes.ts';
import { BadSignature, Malformed } from '../core/errors.ts';
import type { JwsKind } from '../core/jws.ts';
import { readJws, signJws, verifyJwsSync } from '../core/jws.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import { VoucherRefused } from './errors.ts';
import type { VoucherJws } from './messages.ts';
import { serialSchema } from './messages.ts';

const VOUCHER: JwsKind = { typ: 'voucher-jws+json', what: 'voucher', maxBytes: 24_576 };

/** Our one addition to RFC 8366bis: how often the device has changed hands, for vouchers without a nonce. */
const OWNERSHIP = 'fealty:ownership-sequence';

const dateTime = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?Z$/),
  v.transform((value) => Date.parse(value)),
  v.number(),
  v.safeInteger(),
);

const payloadSchema = v.strictObject({
  'ietf-voucher:voucher': v.strictObject({
    'created-on': dateTime,
    'expires-on': v.optional(dateTime),
    assertion: v.picklist(['verified', 'logged', 'proximity']),
    'serial-number': serialSchema,
    'idevid-issuer': v.optional(v.pipe(v.string(), v.maxLength(64))),
    'pinned-domain-cert': v.pipe(v.string(), v.maxLength(11_000)),
    nonce: v.optional(v.pipe(v.string(), v.maxLength(64))),
    [OWNERSHIP]: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
  }),
});

/** What a voucher says (RFC 8366bis): this device belongs to whoever owns that certificate authority. */
export interface Voucher {
  readonly serial: string;
  /** Authority key identifier of the IDevID certificate, lower-case hex. */
  readonly idevidIssuer?: string | undefined;
  /** The owner's certificate authority, DER. */
  readonly pinnedDomainCert: Uint8Array;
  /** Milliseconds since 1970. */
  readonly createdOn: number;
  readonly expiresOn?: number | undefined;
  /** Of the device's request, base64url: the voucher is fresh. */
  readonly nonce?: string | undefined;
  /** From 1, one more each time the device is sold: what makes a voucher without nonce no replay. */
  readonly ownership?: number | undefined;
}

/** What the device keeps about its owner, in its TPM: an older owner's voucher is worth nothing after a sale. */
export interface Ownership {
  /** 0 when it never had an owner. */
  readonly sequence: number;
  /** SHA-256 of the pinned certificate of the present owner, lower-case hex; empty when there is none. */
  readonly pinned: string;
}

/** Signs a voucher with the maker's voucher key. A voucher has a nonce, an ownership sequence, or both. */
export async function signVoucher(signer: Signer, voucher: Voucher): Promise<VoucherJws> {
  if (voucher.nonce === undefined && voucher.ownership === undefined)
    throw new TypeError('a voucher needs `nonce` or `ownership`');
  const compact = await signJws(signer, VOUCHER.typ, {
    'ietf-voucher:voucher': {
      'created-on': new Date(voucher.createdOn).toISOString(),
      ...(voucher.expiresOn === undefined ? {} : { 'expires-on': new Date(voucher.expiresOn).toISOString() }),
      assertion: 'verified',
      'serial-number': voucher.serial,
      ...(voucher.idevidIssuer === undefined
        ? {}
        : { 'idevid-issuer': base64(Buffer.from(voucher.idevidIssuer, 'hex')) }),
      'pinned-domain-cert': base64(voucher.pinnedDomainCert),
      ...(voucher.nonce === undefined ? {} : { nonce: voucher.nonce }),
      ...(voucher.ownership === undefined ? {} : { [OWNERSHIP]: voucher.ownership }),
    },
  });
  const [header = '', payload = '', signature = ''] = compact.split('.');
  return { payload, signatures: [{ protected: header, signature }] };
}

/**
 * The voucher in `jws`, signed by one of `keys`: only its form and signature are judged.
 *
 * @throws {VoucherRefused} `form` or `signature`.
 */
export function readVoucher(jws: VoucherJws, keys: readonly PublicJwk[]): Voucher {
  const [{ protected: header, signature }] = jws.signatures;
  const compact = `${header}.${jws.payload}.${signature}`;
  try {
    const { payload } = readJws(compact, VOUCHER);
    if (!keys.some((key) => verifies(compact, key)))
      throw new VoucherRefused('signature', 'it is not signed by the maker of this device');
    const body = check(payloadSchema, payload, 'voucher')['ietf-voucher:voucher'];
    const issuer = body['idevid-issuer'];
    return {
      serial: body['serial-number'],
      idevidIssuer: issuer === undefined ? undefined : Buffer.from(fromBase64(issuer)).toString('hex'),
      pinnedDomainCert: fromBase64(body['pinned-domain-cert']),
      createdOn: body['created-on'],
      expiresOn: body['expires-on'],
      nonce: body.nonce,
      ownership: body[OWNERSHIP],
    };
  } catch (cause) {
    if (cause instanceof Malformed) throw new VoucherRefused('form', cause.message, { cause });
    throw cause;
  }
}

function verifies(compact: string, key: PublicJwk): boolean {
  try {
    verifyJwsSync(compact, VOUCHER, key);
    return true;
  } catch (error) {
    if (error instanceof BadSignature) return false;
    throw error;
  }
}

/** What the device knows when a voucher arrives. */
export interface VoucherExpectations {
  /** The voucher keys the maker put into it. */
  readonly keys: readonly PublicJwk[];
  readonly serial: string;
  /** Authority key identifier of its IDevID certificate, lower-case hex. */
  readonly idevidIssuer: string;
  /** The nonce of its request. */
  readonly nonce: Uint8Array;
  readonly ownership: Ownership;
  /** SHA-256 of a certificate, lower-case hex. */
  readonly digest: (certificate: Uint8Array) => string;
  /** Now, milliseconds since 1970. */
  readonly at: number;
}

/**
 * Judges a voucher as the device does: the maker signed it, it is for this device, and it is fresh, by the nonce of
 * this very request or by an ownership above the one kept. The present owner may use its own ownership again.
 *
 * @throws {VoucherRefused} naming the check.
 */
export function verifyVoucher(jws: VoucherJws, expected: VoucherExpectations): Voucher {
  const voucher = readVoucher(jws, expected.keys);
  if (voucher.serial !== expected.serial) throw new VoucherRefused('serial', 'it is for another device');
  if (voucher.idevidIssuer !== undefined && voucher.idevidIssuer !== expected.idevidIssuer)
    throw new VoucherRefused('idevid-issuer', 'it is for a device of another line');
  if (voucher.nonce !== undefined && voucher.nonce !== base64url(expected.nonce))
    throw new VoucherRefused('nonce', 'it answers another request');
  if (voucher.nonce === undefined && voucher.ownership === undefined)
    throw new VoucherRefused('nonce', 'it has neither nonce nor ownership sequence');
  if (voucher.ownership !== undefined) {
    const { sequence, pinned } = expected.ownership;
    const present = voucher.ownership === sequence && expected.digest(voucher.pinnedDomainCert) === pinned;
    if (voucher.ownership < sequence || (voucher.ownership === sequence && !present))
      throw new VoucherRefused('ownership', 'it is of an earlier owner');
  }
  // A device that never had the time must not be kept out by it: only a nonce proves freshness then.
  if (voucher.nonce === undefined && voucher.expiresOn !== undefined && voucher.expiresOn <= expected.at)
    throw new VoucherRefused('expired', 'it has expired');
  return voucher;
}
