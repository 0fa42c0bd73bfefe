import { decodeCbor, encodeCbor } from '../../src/core/cbor.ts';
import { StoreFailed } from '../../src/core/errors.ts';
import type { Store } from '../../src/core/platform.ts';
import { check, v } from '../../src/core/schema.ts';

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
    v.strictObject({
      type: v.picklist(['clear', 'state']),
      pcrs: v.array(v.array(bytes)),
      contexts: v.optional(keptContexts),
    }),
  ),
});

/** What of saved contexts TPM2_Shutdown(STATE) leaves. */
export type KeptContexts = v.InferOutput<typeof keptContexts>;

/** Everything a power cut leaves. */
export type TpmSnapshot = v.InferOutput<typeof snapshot>;

const fileName = 'tpm';

/** What was stored last, or `undefined` on a new chip. @throws {StoreFailed} when it cannot be understood. */
export async function readSnapshot(store: Store): Promise<TpmSnapshot | undefined> {
  const stored = await store.read(fileName);
  if (stored === undefined) return undefined;
  try {
    return decodeSnapshot(stored);
  } catch (cause) {
    // Starting with an empty TPM instead would silently give the robot a new identity.
    throw new StoreFailed('the stored state of the software TPM is damaged', { cause });
  }
}

/** Stores the bytes of {@link encodeSnapshot} whole or not at all. */
export function writeSnapshot(store: Store, encoded: Uint8Array): Promise<void> {
  return store.write(fileName, encoded);
}

/** Deterministic CBOR of a snapshot. */
export function encodeSnapshot(state: TpmSnapshot): Uint8Array {
  const { contexts, ...shutdown } = state.shutdown ?? {};
  return encodeCbor({
    ...state,
    counterFloor: state.counterFloor.toString(),
    shutdown: state.shutdown && (contexts === undefined ? shutdown : { ...shutdown, contexts }),
  });
}

/** The inverse of {@link encodeSnapshot}. @throws {Malformed} */
export function decodeSnapshot(encoded: Uint8Array): TpmSnapshot {
  const raw = decodeCbor(encoded) as Record<string, unknown>;
  return check(
    snapshot,
    { ...raw, counterFloor: BigInt(String(raw['counterFloor'])) },
    'state of the software TPM',
  );
}
