import { deflateSync, inflateSync } from 'node:zlib';
import { base64url, fromBase64url } from '../core/bytes.ts';
import { Malformed, messageOf } from '../core/errors.ts';
import { readJws, signJws, verifyJws } from '../core/jws.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import { KIND } from './claims.ts';
import { StatementRefused } from './errors.ts';

/** A verified status list (draft-ietf-oauth-status-list). */
export interface StatusList {
  readonly uri: string;
  /** NumericDate. */
  readonly iat: number;
  readonly exp: number | undefined;
  readonly bits: 1 | 2 | 4 | 8;
  /** One byte holds 8 / bits statuses, least significant first. */
  readonly bytes: Uint8Array;
}

const BYTES_MAX = 1 << 20;

const claims = v.object({
  sub: v.pipe(v.string(), v.maxLength(2048)),
  iat: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  exp: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  ttl: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
  status_list: v.object({ bits: v.picklist([1, 2, 4, 8]), lst: v.string() }),
});

/** Packs statuses, least significant bits first (§4.1). */
export function packStatuses(statuses: readonly number[], bits: 1 | 2 | 4 | 8): Uint8Array {
  const perByte = 8 / bits;
  const out = new Uint8Array(Math.ceil(statuses.length / perByte));
  for (const [index, status] of statuses.entries()) {
    if (!(status >= 0 && status < 2 ** bits))
      throw new TypeError(`a status of ${bits} bits cannot be ${status}`);
    const at = Math.floor(index / perByte);
    out[at] = (out[at] ?? 0) | (status << ((index % perByte) * bits));
  }
  return out;
}

/** The status of `index`. @throws {StatementRefused} `scope` when the list is shorter. */
export function statusAt(list: StatusList, index: number): number {
  const perByte = 8 / list.bits;
  const byte = list.bytes[Math.floor(index / perByte)];
  if (byte === undefined || !Number.isSafeInteger(index) || index < 0)
    throw new StatementRefused('scope', 'the status list has no such index');
  return (byte >>> ((index % perByte) * list.bits)) & (2 ** list.bits - 1);
}

/** `lst`: zlib-compressed, base64url (§4.2). */
export function compressStatuses(bytes: Uint8Array): string {
  return base64url(new Uint8Array(deflateSync(bytes, { level: 9 })));
}

/** The bytes of `lst`, at most a megabyte. @throws {Malformed} */
export function inflateStatuses(lst: string): Uint8Array {
  try {
    return new Uint8Array(inflateSync(fromBase64url(lst), { maxOutputLength: BYTES_MAX }));
  } catch (cause) {
    throw new Malformed(`not a compressed status list: ${messageOf(cause)}`, { cause });
  }
}

/** Signs a status list token. */
export function signStatusList(
  signer: Signer,
  list: {
    readonly uri: string;
    readonly iat: number;
    readonly exp: number;
    readonly ttl: number;
    readonly bytes: Uint8Array;
    readonly bits: 1 | 2 | 4 | 8;
  },
): Promise<string> {
  return signJws(signer, KIND.statusList.typ, {
    sub: list.uri,
    iat: list.iat,
    exp: list.exp,
    ttl: list.ttl,
    status_list: { bits: list.bits, lst: compressStatuses(list.bytes) },
  });
}

/**
 * Verifies a status list token.
 *
 * @param expected.uri the `uri` of the token whose status is wanted: `sub` must be the same.
 * @param expected.notBefore NumericDate of the newest list seen under this address: an older one is refused.
 * @throws {StatementRefused}
 */
export async function readStatusList(
  compact: string,
  expected: {
    readonly uri: string;
    readonly key: PublicJwk;
    /** Milliseconds since 1970. */
    readonly at: number;
    readonly notBefore?: number | undefined;
  },
): Promise<StatusList> {
  let payload: v.InferOutput<typeof claims>;
  let bytes: Uint8Array;
  try {
    payload = check(claims, readJws(compact, KIND.statusList).payload, KIND.statusList.what);
  } catch (cause) {
    throw new StatementRefused('form', messageOf(cause), { cause });
  }
  try {
    await verifyJws(compact, KIND.statusList, expected.key);
  } catch (cause) {
    throw new StatementRefused('signature', messageOf(cause), { cause });
  }
  if (payload.sub !== expected.uri) throw new StatementRefused('uri', 'the status list is another one');
  if (payload.exp !== undefined && expected.at >= payload.exp * 1000)
    throw new StatementRefused('expired', 'the status list has expired');
  if (payload.iat < (expected.notBefore ?? 0))
    throw new StatementRefused('rollback', 'the status list is older than one already seen');
  try {
    // Only after the signature: inflating is work.
    bytes = inflateStatuses(payload.status_list.lst);
  } catch (cause) {
    throw new StatementRefused('form', messageOf(cause), { cause });
  }
  const { sub: uri, iat, exp } = payload;
  return { uri, iat, exp, bits: payload.status_list.bits, bytes };
}
