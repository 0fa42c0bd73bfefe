import { base64url, fromBase64url } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { v } from '../core/schema.ts';

/** What a CMW holds (draft-ietf-rats-msg-wrap, `ind`): bit 2 evidence, bit 3 attestation results. */
export const CMW_EVIDENCE = 4;

/** Media type of our evidence: canonical JSON, `docs/reference/wire.md`. */
export const EVIDENCE_TYPE = 'application/vnd.fealty.tpm-evidence+json';

/** A conceptual message wrapper in its JSON record form: `[media type, base64url, indicator]`. */
export type CmwRecord = [type: string, value: string] | [type: string, value: string, indicator: number];

/** The form of a {@link CmwRecord} whose value has at most `maxBytes` bytes. */
export function cmwSchema(maxBytes: number) {
  return v.union([
    v.strictTuple([
      v.pipe(v.string(), v.maxLength(128)),
      v.pipe(v.string(), v.maxLength(Math.ceil((maxBytes * 4) / 3))),
    ]),
    v.strictTuple([
      v.pipe(v.string(), v.maxLength(128)),
      v.pipe(v.string(), v.maxLength(Math.ceil((maxBytes * 4) / 3))),
      v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(31)),
    ]),
  ]);
}

/** Wraps `value`. */
export function wrapCmw(type: string, value: Uint8Array, indicator: number): CmwRecord {
  return [type, base64url(value), indicator];
}

/**
 * The bytes of a record that must be of `type`; an indicator, where there is one, must allow `indicator`.
 * @throws {Malformed}
 */
export function unwrapCmw(record: CmwRecord, type: string, indicator: number): Uint8Array {
  if (record[0] !== type) throw new Malformed(`the wrapper does not hold \`${type}\``);
  if (record[2] !== undefined && (record[2] & indicator) === 0)
    throw new Malformed('the wrapper says that it holds something else');
  return fromBase64url(record[1]);
}
