import { base64url, utf8 } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { canonicalBytes, parseJson } from '../core/json.ts';
import { check, v } from '../core/schema.ts';
import { measurementKinds } from './runtime-log.ts';

const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const pcr = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(23));

const referenceSchema = v.strictObject({
  /** Version of this format. */
  version: v.literal(1),
  /** Accepted values of firmware PCRs, SHA-256 bank, by index. */
  pcrs: v.optional(v.record(v.pipe(v.string(), v.regex(/^(?:\d|1\d|2[0-3])$/)), v.array(digest)), {}),
  /** Accepted measurements of the runtime log. */
  measurements: v.pipe(
    v.array(
      v.strictObject({
        kind: v.picklist(measurementKinds),
        name: v.pipe(v.string(), v.maxLength(128)),
        digests: v.pipe(v.array(digest), v.minLength(1), v.maxLength(256)),
      }),
    ),
    v.maxLength(4096),
  ),
});

/** What a good machine measures: JSON that a person can review and sign off. */
export type ReferenceValues = v.InferOutput<typeof referenceSchema>;

const policySchema = v.strictObject({
  version: v.literal(1),
  /** Name of the policy; it appears in results, with the digest of the whole. */
  id: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  /** PCRs to quote, of the SHA-256 bank. The runtime log's PCR is always added. */
  pcrs: v.optional(v.pipe(v.array(pcr), v.maxLength(24)), []),
  /** PCR of the runtime log. Never 16 to 23: software can reset those. */
  runtimePcr: v.optional(v.pipe(v.number(), v.integer(), v.minValue(8), v.maxValue(15)), 12),
  /** Kinds of which at least one measurement must be there. */
  required: v.optional(v.array(v.picklist(measurementKinds)), ['bundle', 'configuration']),
  /** A measurement whose name no reference value has. */
  unknown: v.optional(v.picklist(['refuse', 'warn']), 'refuse'),
  /**
   * PCRs that together measure everything up to the agent (firmware and kernel, or a verified image). Only where each of
   * them has a reference value that matched does `executables` become affirming; an agent's own log cannot prove itself.
   */
  measuredChain: v.optional(v.pipe(v.array(pcr), v.maxLength(16)), []),
  /** How long a result may be used, in seconds. */
  resultLifeS: v.optional(v.pipe(v.number(), v.integer(), v.minValue(60), v.maxValue(86_400)), 3600),
});

/** How a verifier turns comparisons into a result. */
export type AppraisalPolicy = v.InferOutput<typeof policySchema>;

/** Reference values from reviewable JSON. @throws {Malformed} */
export function readReferenceValues(source: unknown): ReferenceValues {
  return check(referenceSchema, parsed(source), 'reference values');
}

/** An appraisal policy from JSON. @throws {Malformed} */
export function readAppraisalPolicy(source: unknown): AppraisalPolicy {
  return check(policySchema, parsed(source), 'appraisal policy');
}

/** How a policy is named in results: `<id>@<digest of the policy and the reference values>`. */
export function policyName(policy: AppraisalPolicy, reference: ReferenceValues): string {
  return `${policy.id}@${base64url(sha256(canonicalBytes(policy), utf8('\n'), canonicalBytes(reference)))}`;
}

function parsed(source: unknown): unknown {
  return typeof source === 'string' || source instanceof Uint8Array
    ? parseJson(source, { maxBytes: 4 << 20 })
    : source;
}
