import { base64url, fromBase64url, hex } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { canonicalBytes, parseJson } from '../core/json.ts';
import { check, v } from '../core/schema.ts';
import type { CmwRecord } from './cmw.ts';
import { CMW_EVIDENCE, EVIDENCE_TYPE, unwrapCmw, wrapCmw } from './cmw.ts';
import type { Measurement } from './runtime-log.ts';
import { measurementSchema, RUNTIME_LOG_MAX, readPcrs } from './runtime-log.ts';

/** What an attester tells a verifier (RATS evidence). The TPM's clock and reset counters are inside the quote. */
export interface Evidence {
  /** TPMS_ATTEST of TPM2_Quote. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE over it. */
  readonly signature: Uint8Array;
  /** Values of the quoted PCRs, SHA-256 bank. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly runtimeLog: readonly Measurement[];
  /** SHA-256 of the AIBOM. */
  readonly aibom: Uint8Array;
}

const b64 = v.pipe(v.string(), v.maxLength(2048), v.regex(/^[A-Za-z0-9_-]+$/));
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const schema = v.strictObject({
  version: v.literal(1),
  quote: b64,
  signature: b64,
  pcrs: v.record(v.pipe(v.string(), v.maxLength(2)), digest),
  runtimeLog: v.pipe(v.array(measurementSchema), v.maxLength(RUNTIME_LOG_MAX)),
  aibom: digest,
});

/** Evidence in a CMW record. */
export function encodeEvidence(evidence: Evidence): CmwRecord {
  return wrapCmw(
    EVIDENCE_TYPE,
    canonicalBytes({
      version: 1,
      quote: base64url(evidence.quote),
      signature: base64url(evidence.signature),
      pcrs: Object.fromEntries([...evidence.pcrs].map(([index, value]) => [String(index), hex(value)])),
      runtimeLog: evidence.runtimeLog,
      aibom: hex(evidence.aibom),
    }),
    CMW_EVIDENCE,
  );
}

/** Evidence from a CMW record; nothing is verified yet. @throws {Malformed} */
export function decodeEvidence(record: CmwRecord): Evidence {
  const bytes = unwrapCmw(record, EVIDENCE_TYPE, CMW_EVIDENCE);
  const json = check(schema, parseJson(bytes, { maxBytes: 256 * 1024 }), 'evidence');
  if (Object.keys(json.pcrs).length > 24) throw new Malformed('more PCRs than a TPM has');
  return {
    quote: fromBase64url(json.quote),
    signature: fromBase64url(json.signature),
    pcrs: readPcrs(json.pcrs),
    runtimeLog: json.runtimeLog,
    aibom: Buffer.from(json.aibom, 'hex'),
  };
}
