import type { Clock, Random } from '../../src/core/platform.ts';
import type { CommandAudit } from './audit.ts';
import { freshAudit } from './audit.ts';
import { pooled } from './chance.ts';
import { TpmClock } from './clock.ts';
import type { Commitments } from './commitment.ts';
import { freshCommitments } from './commitment.ts';
import type { Measured, Measuring } from './drtm.ts';
import { endMeasuring, measure, startMeasuring } from './drtm.ts';
import type { Enabled, Hierarchy, HierarchyName } from './hierarchy.ts';
import { allEnabled, freshHierarchies } from './hierarchy.ts';
import type { FoundPrimes } from './key.ts';
import type { NvIndex } from './nv.ts';
import { counterOf, loseRam } from './nv.ts';
import type { LoadedObject } from './object.ts';
import type { PcrAllocation, PcrAuthority, PcrBanks } from './pcr.ts';
import { counts, freshBanks, fullAllocation } from './pcr.ts';
import { restoreTo, snapshotOf } from './permanent.ts';
import { shutDown, startUp } from './power.ts';
import type { Sequence } from './sequence.ts';
import type { Session } from './session.ts';
import type { TpmSnapshot } from './state.ts';

/** What a {@link Machine} is made from; see `SoftwareTpmOptions`. */
export interface MachineOptions {
  readonly random: Random;
  readonly clock: Clock;
  readonly seed: string | undefined;
  readonly slots: number;
  /** Codes of the commands it has, for TPM2_GetCapability. */
  readonly implemented: ReadonlySet<number>;
}

/** The inside of the software TPM: everything that commands read and change. */
export class Machine {
  readonly random: Random;
  readonly clock: Clock;
  readonly slots: number;
  readonly implemented: ReadonlySet<number>;

  /** Set by whoever changes something that {@link Machine.snapshot} holds. */
  dirty = true;
  locality = 0;
  powered = true;
  started = false;
  /** The next self test fails. */
  selfTestFails = false;
  /** In failure mode (Part 1 §12.3): only its state and its maker can be asked for, until _TPM_Init. */
  failed = false;

  // What a power cut leaves.
  simulated: boolean;
  hierarchies: Record<HierarchyName, Hierarchy>;
  disableClear = false;
  persistent = new Map<number, LoadedObject>();
  nv = new Map<number, NvIndex>();
  counterFloor = 0n;
  resetCount = 0;
  restartCount = 0;
  totalResetCount = 0;
  lockoutFailures = 0;
  maxTries = 3;
  /** Seconds. */
  recoveryTime = 1000;
  /** Seconds. */
  lockoutRecovery = 1000;
  /** False after a failed use of lockoutAuth, until `lockoutRecovery` has passed. */
  lockoutAuthEnabled = true;
  /** A guarded auth value was looked at since the last TPM2_Shutdown. */
  daUsed = false;
  /** Codes of the commands that need physical presence. */
  ppCommands = new Set<number>();
  /** What each bank has from the next start on. */
  allocation: PcrAllocation = fullAllocation;
  shutdown: TpmSnapshot['shutdown'];
  audit: CommandAudit = freshAudit();

  // What it takes.
  /** Whoever holds the machine presses its button; nothing in software says so. */
  physicalPresence = false;
  /** Whether TPM2_Shutdown came before the last start. */
  afterOrderly = true;
  /** Whether it was started from locality 3. */
  fromThree = false;
  enabled: Enabled = { ...allEnabled };
  /** TIME of the last failure, or of the last that was forgiven. */
  failuresSince = 0;
  /** TIME when lockoutAuth was closed. */
  lockoutSince = 0;
  banks: PcrBanks = freshBanks(fullAllocation);
  pcrUpdateCounter = 0;
  readonly pcrAuthority: PcrAuthority = {
    auth: new Uint8Array(),
    policy: new Uint8Array(),
    policyAlg: 'null',
  };
  /** Whether TPM2_PCR_Allocate came since the last start. */
  reallocated = false;
  /** What a root of trust measured before the start. */
  hcrtm: Measured | undefined;
  objects = new Map<number, LoadedObject>();
  /** Hash, HMAC and event sequences; they share the slots and handles of `objects`. */
  sequences = new Map<number, Sequence>();
  commitments: Commitments;
  readonly foundPrimes: FoundPrimes = new Map();
  sessions = new Map<number, Session>();
  /** Sessions whose context is outside, by handle: the number of the only context that may come back. */
  saved = new Map<number, bigint>();
  /** Number of the session saved last. */
  contextCounter = 0n;
  /** Number of the object saved last. */
  objectContextCounter = 0n;
  /** TPM restarts since the last TPM reset: what is stClear does not outlive one. */
  clearCount = 0;
  readonly ticks: TpmClock;
  /** The audit session without which no command was run since it became exclusive, by handle. */
  exclusiveAudit: number | undefined;
  #timeEpoch: bigint | undefined;
  #measuring: Measuring | undefined;

  constructor(options: MachineOptions) {
    this.random = pooled(options.random);
    this.clock = options.clock;
    this.slots = options.slots;
    this.implemented = options.implemented;
    this.simulated = options.seed !== undefined;
    this.hierarchies = freshHierarchies(this.random, options.seed);
    this.commitments = freshCommitments(this.random);
    this.ticks = new TpmClock(options.clock);
    this.shutdown = null;
    // A new TPM comes orderly shut down out of the factory.
    shutDown(this, 'clear');
  }

  /** TPMS_TIME_INFO.time: milliseconds since power on. */
  get time(): number {
    return this.ticks.time;
  }

  /** Tells this run of {@link Machine.time} from every other: a timeout of another run means nothing (Part 1 §36.2). */
  get timeEpoch(): bigint {
    this.#timeEpoch ??= new DataView(this.random.bytes(8).slice().buffer).getBigUint64(0);
    return this.#timeEpoch;
  }

  /** Milliseconds with power, all its life (since TPM2_Clear), as it is stored. */
  get clockTime(): number {
    return this.ticks.lived;
  }

  /** Whether CLOCK is certainly later than every value told before (TPMS_CLOCK_INFO.safe). */
  get clockSafe(): boolean {
    return this.ticks.safe;
  }

  /** Goes on from a stored clock; whether it is safe is known at the start. */
  resumeClock(stored: number): void {
    this.ticks.resume(stored);
  }

  /** Goes on from a {@link Machine.time} that was stored, and its {@link Machine.timeEpoch}. */
  resumeTime(time: number, epoch: bigint): void {
    this.ticks.resumeTime(time);
    this.#timeEpoch = epoch;
  }

  /** _TPM_Init: everything volatile is gone; TPM2_Startup is expected. */
  powerOn(): void {
    this.powered = true;
    this.started = false;
    this.failed = false;
    this.selfTestFails = false;
    this.objects.clear();
    this.sequences.clear();
    this.sessions.clear();
    this.saved.clear();
    this.hcrtm = undefined;
    this.#measuring = undefined;
    for (const index of this.nv.values()) loseRam(index);
    this.ticks.powerOn();
    this.exclusiveAudit = undefined;
    this.#timeEpoch = undefined;
  }

  /** No command is answered until {@link Machine.powerOn}. */
  powerOff(): void {
    this.powerOn();
    this.powered = false;
    this.ticks.powerOff();
  }

  /** TPM2_Startup (Part 3 §9.3). */
  startup(type: 'clear' | 'state'): void {
    startUp(this, type);
  }

  /** TPM2_Shutdown (Part 3 §9.4). */
  shutDown(type: 'clear' | 'state'): void {
    shutDown(this, type);
  }

  /** _TPM_Hash_Start, from locality 4: a root of trust begins to measure. */
  hashStart(): void {
    if (this.powered) this.#measuring = startMeasuring();
  }

  /** _TPM_Hash_Data. Without {@link Machine.hashStart} it does nothing. */
  hashData(data: Uint8Array): void {
    if (this.#measuring !== undefined) measure(this.#measuring, data);
  }

  /** _TPM_Hash_End: what was measured goes into PCR 0 (before TPM2_Startup) or PCR 17. */
  hashEnd(): void {
    if (this.#measuring !== undefined) endMeasuring(this, this.#measuring);
    this.#measuring = undefined;
  }

  /** Any command ends a measurement that was not finished (Part 3 §22.9). */
  abandonHash(): void {
    this.#measuring = undefined;
  }

  /** Policies that looked at PCRs before are void from here on. */
  pcrChanged(pcr: number): void {
    if (counts(pcr)) this.pcrUpdateCounter = (this.pcrUpdateCounter + 1) >>> 0;
  }

  /** Forgets an index. No counter defined later will show a value that this one ever had. */
  removeNv(handle: number): void {
    const index = this.nv.get(handle);
    const value = index && counterOf(index);
    if (value !== undefined && value > this.counterFloor) this.counterFloor = value;
    this.nv.delete(handle);
    this.dirty = true;
  }

  /** Everything that a power cut leaves. */
  snapshot(): TpmSnapshot {
    return snapshotOf(this);
  }

  /** Becomes what a snapshot says. Volatile state stays, and the clock runs on. */
  restore(from: TpmSnapshot): void {
    restoreTo(this, from);
  }
}
