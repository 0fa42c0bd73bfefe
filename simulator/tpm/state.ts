import { Malformed } from '../../src/core/errors.ts';
import { check, v } from '../../src/core/schema.ts';
import { hashAlgorithms } from './crypto/hash.ts';
import { frame, framed } from './frame.ts';
import { allEnabled } from './hierarchy.ts';
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

/** What saved contexts need to be loaded after TPM2_Shutdown(STATE); numbers of contexts are decimal. */
const keptContexts = v.strictObject({
  sessions: v.array(v.strictObject({ handle: count, number: v.string() })),
  contextCounter: v.string(),
  objectContextCounter: v.string(),
  clearCount: count,
  nullSeed: bytes,
  nullProof: bytes,
});

const pcrs = v.pipe(v.array(v.pipe(count, v.maxValue(23))), v.readonly());

const shutdownState = v.strictObject({
  type: v.picklist(['clear', 'state']),
  /** Of each bank, by number. */
  pcrs: v.array(v.array(bytes)),
  pcrUpdateCounter: v.optional(count, 0),
  /** The auth value of the PCRs that can have one. */
  pcrAuth: v.optional(bytes, new Uint8Array()),
  /** What TPM2_HierarchyControl had switched. */
  enabled: v.optional(
    v.strictObject({
      owner: v.boolean(),
      endorsement: v.boolean(),
      platform: v.boolean(),
      platformNv: v.boolean(),
    }),
    allEnabled,
  ),
  /** An H-CRTM had measured before the start. */
  afterHcrtm: v.optional(v.boolean(), false),
  /** It had started from locality 3. */
  fromThree: v.optional(v.boolean(), false),
  clockSafe: v.optional(v.boolean(), true),
  /** What saved contexts need. */
  contexts: v.optional(keptContexts),
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
  shutdown: v.nullable(shutdownState),
  /** Milliseconds by which TPM2_ClockSet has put the clock forward, decimal. */
  clockAhead: v.optional(v.string(), '0'),
  /** A guarded auth value was looked at since the last TPM2_Shutdown. */
  daUsed: v.optional(v.boolean(), false),
  /** Commands that need physical presence (TPM2_PP_Commands), TPM2_PP_Commands itself left out. */
  ppCommands: v.optional(v.array(count), []),
  /** Numbers of the PCRs that each bank has from the next start on; `null` for all. */
  allocation: v.optional(
    v.nullable(v.strictObject({ sha1: pcrs, sha256: pcrs, sha384: pcrs, sha512: pcrs })),
    null,
  ),
  /** The policy of the PCRs that can have one. */
  pcrPolicy: v.optional(bytes, new Uint8Array()),
  pcrPolicyAlg: v.optional(v.string(), 'null'),
  /** Command audit; absent in what was stored before there was any. */
  audit: v.optional(
    v.strictObject({
      hash: v.picklist(hashAlgorithms),
      commands: v.array(count),
      counter: count,
      digest: bytes,
    }),
  ),
});

/** What of saved contexts TPM2_Shutdown(STATE) leaves. */
export type KeptContexts = v.InferOutput<typeof keptContexts>;

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
