import { Malformed } from '../../src/core/errors.ts';
import { check, v } from '../../src/core/schema.ts';
import { frame, framed } from './frame.ts';
import { decodePlain, encodePlain } from './plain.ts';

const bytes = v.custom<Uint8Array>((value) => value instanceof Uint8Array);
const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const hierarchyState = v.strictObject({
  /** Everything primary in this hierarchy grows from it; a new one is a new TPM. */
  seed: bytes,
  /** Key of tickets and contexts. */
  proof: bytes,
  auth: bytes,
  policy: bytes,
  /** `null` while there is no policy. */
  policyAlg: v.string(),
});

/**
 * Everything a power cut leaves, member by member: a new one is a line here, a line in `Machine.snapshot` and a line in
 * `Machine.restore`. Give it a default (`v.optional(count, 0)`): TPMs that were stored before lack it.
 */
const snapshot = v.strictObject({
  version: v.literal(1),
  /** Its seeds come from a text (see SoftwareTpmOptions). */
  simulated: v.boolean(),
  owner: hierarchyState,
  endorsement: hierarchyState,
  platform: hierarchyState,
  lockout: hierarchyState,
  disableClear: v.boolean(),
  /** TPMT_PUBLIC and TPMT_SENSITIVE, marshalled. */
  persistent: v.array(
    v.strictObject({
      handle: count,
      publicArea: bytes,
      sensitive: bytes,
      hierarchy: v.picklist(['owner', 'endorsement', 'platform']),
      qualifiedName: bytes,
    }),
  ),
  /** TPMS_NV_PUBLIC, marshalled. */
  nv: v.array(v.strictObject({ publicArea: bytes, auth: bytes, data: bytes })),
  /** The highest value any counter ever had: a new counter starts above it (Part 1 §37.2.4). */
  counterFloor: v.bigint(),
  /** Milliseconds the chip had power, since TPM2_Clear. */
  clock: count,
  resetCount: count,
  restartCount: count,
  totalResetCount: count,
  lockoutFailures: count,
  maxTries: count,
  recoveryTime: count,
  lockoutRecovery: count,
  lockoutAuthEnabled: v.boolean(),
  /** What TPM2_Shutdown left behind; `null` after a power cut. */
  shutdown: v.nullable(
    v.strictObject({ type: v.picklist(['clear', 'state']), pcrs: v.array(v.array(bytes)) }),
  ),
});

/** What a software TPM keeps without power. */
export type TpmSnapshot = v.InferOutput<typeof snapshot>;

/** A state as the bytes of a file or a message: small, framed with a checksum. */
export function encodeState(state: TpmSnapshot, sequence = 0): Uint8Array {
  return frame(encodePlain({ ...state, sequence }));
}

/** The inverse of {@link encodeState}. @throws {Malformed} */
export function decodeState(encoded: Uint8Array): { readonly state: TpmSnapshot; readonly sequence: number } {
  const content = framed(encoded);
  // Before there was a journal, a state was stored without a frame and a sequence number: a CBOR map.
  if (content === undefined && (encoded[0] ?? 0) >> 5 === 5) return { state: unframed(encoded), sequence: 0 };
  if (content === undefined) throw new Malformed('the state of the software TPM is damaged');
  const { sequence, ...state } = decodePlain(content) as Record<string, unknown>;
  return { state: checkState(state), sequence: check(count, sequence, 'state of the software TPM') };
}

/** `raw` if it is a state. @throws {Malformed} */
export function checkState(raw: unknown): TpmSnapshot {
  return check(snapshot, raw, 'state of the software TPM');
}

function unframed(encoded: Uint8Array): TpmSnapshot {
  const { counterFloor, ...raw } = decodePlain(encoded) as Record<string, unknown>;
  if (typeof counterFloor !== 'string' || !/^\d{1,20}$/.test(counterFloor))
    throw new Malformed('the state of the software TPM is damaged');
  return checkState({ ...raw, counterFloor: BigInt(counterFloor) });
}
