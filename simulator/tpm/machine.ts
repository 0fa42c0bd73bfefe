import { utf8 } from '../../src/core/bytes.ts';
import type { Clock, Random } from '../../src/core/platform.ts';
import { pooled } from './chance.ts';
import type { Commitments } from './commitment.ts';
import { freshCommitments } from './commitment.ts';
import { hashAlgorithms } from './crypto/hash.ts';
import type { Hierarchy, HierarchyName } from './hierarchy.ts';
import { freshHierarchy } from './hierarchy.ts';
import type { FoundPrimes } from './key.ts';
import type { NvIndex } from './nv.ts';
import { counterOf, nvFromSnapshot, nvToSnapshot, startNv } from './nv.ts';
import type { LoadedObject } from './object.ts';
import { objectFromSnapshot, objectToSnapshot } from './object.ts';
import type { PcrBanks } from './pcr.ts';
import { freshBanks, pcrCount, readPcr, resumedBanks } from './pcr.ts';
import { parameterRefused, RC, Refusal } from './refusal.ts';
import type { Sequence } from './sequence.ts';
import type { Session } from './session.ts';
import type { TpmSnapshot } from './state.ts';

/** Sessions there may be in all, loaded and saved. */
export const mostSessions = 64;
/** At least so often the clock is stored while commands run, in milliseconds (TPM_PT_CLOCK_UPDATE). */
export const clockUpdate = 4096;
/** Persistent objects there is room for. */
export const mostPersistent = 64;

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
  shutdown: TpmSnapshot['shutdown'] = null;

  // What it takes.
  /** When the last failure was counted or forgiven, in elapsed milliseconds. */
  failuresSince: number;
  /** When lockoutAuth was closed, in elapsed milliseconds. */
  lockoutSince: number;
  banks: PcrBanks = freshBanks();
  pcrUpdateCounter = 0;
  objects = new Map<number, LoadedObject>();
  /** Hash, HMAC and event sequences; they share the slots and handles of `objects`. */
  sequences = new Map<number, Sequence>();
  commitments: Commitments;
  readonly foundPrimes: FoundPrimes = new Map();
  sessions = new Map<number, Session>();
  /** Sessions whose context is outside, by handle; only the context with this `contextId` may come back. */
  saved = new Map<number, Session>();
  /** Rises with every saved context. */
  contextCounter = 0n;
  #clockBase = 0;
  #timeBase: number;
  #poweredSince: number;
  #safeFrom = 0;

  constructor(options: MachineOptions) {
    this.random = pooled(options.random);
    this.clock = options.clock;
    this.slots = options.slots;
    this.implemented = options.implemented;
    this.simulated = options.seed !== undefined;
    const seed = options.seed === undefined ? undefined : utf8(options.seed);
    const fresh = (name: HierarchyName) => freshHierarchy(name, this.random, seed);
    this.hierarchies = {
      owner: fresh('owner'),
      endorsement: fresh('endorsement'),
      platform: fresh('platform'),
      lockout: fresh('lockout'),
      null: freshHierarchy('null', this.random, undefined),
    };
    this.commitments = freshCommitments(this.random);
    this.#poweredSince = options.clock.elapsed();
    this.#timeBase = this.#poweredSince;
    this.failuresSince = this.#poweredSince;
    this.lockoutSince = this.#poweredSince;
  }

  /** TPMS_TIME_INFO.time: milliseconds since the last TPM2_Startup or power on. */
  get time(): number {
    return Math.floor(this.clock.elapsed() - this.#timeBase);
  }

  /** TPMS_CLOCK_INFO.clock: milliseconds with power, all its life (since TPM2_Clear). */
  get clockTime(): number {
    return this.#clockBase + Math.floor(this.clock.elapsed() - this.#poweredSince);
  }

  /** Whether `clockTime` is certainly later than every value told before (TPMS_CLOCK_INFO.safe). */
  get clockSafe(): boolean {
    return this.clockTime >= this.#safeFrom;
  }

  /** Goes on from a stored clock; it is safe at once only after an orderly shutdown. */
  resumeClock(stored: number): void {
    this.#clockBase = stored;
    this.#poweredSince = this.clock.elapsed();
    this.#safeFrom = this.shutdown === null ? stored + clockUpdate : stored;
  }

  /** Starts the clock of the owner anew, as TPM2_Clear does. */
  clearClock(): void {
    this.#clockBase = 0;
    this.#poweredSince = this.clock.elapsed();
    this.#safeFrom = 0;
  }

  /** _TPM_Init: everything volatile is gone; TPM2_Startup is expected. */
  powerOn(): void {
    this.powered = true;
    this.started = false;
    this.locality = 0;
    this.objects.clear();
    this.sequences.clear();
    this.sessions.clear();
    this.saved.clear();
    this.#timeBase = this.clock.elapsed();
  }

  /** No command is answered until {@link Machine.powerOn}. */
  powerOff(): void {
    this.powerOn();
    this.powered = false;
  }

  /** TPM2_Startup (Part 3 §9.3). A TPM reset, restart or resume, by what TPM2_Shutdown left. */
  startup(type: 'clear' | 'state'): void {
    if (this.started) throw new Refusal(RC.INITIALIZE);
    const left = this.shutdown;
    if (type === 'state' && left?.type !== 'state') throw parameterRefused(RC.VALUE, 1);
    this.banks = type === 'state' && left !== null ? resumedBanks(left.pcrs) : freshBanks();
    if (left?.type === 'state') {
      this.restartCount++;
    } else {
      this.resetCount++;
      this.totalResetCount++;
      this.restartCount = 0;
      this.pcrUpdateCounter = 0;
      this.hierarchies.null = freshHierarchy('null', this.random, undefined);
      this.contextCounter = 0n;
      this.commitments = freshCommitments(this.random);
    }
    if (type === 'clear') {
      const { platform } = this.hierarchies;
      platform.auth = new Uint8Array();
      platform.policy = new Uint8Array();
      platform.policyAlg = 'null';
      for (const index of this.nv.values()) startNv(index);
    }
    this.shutdown = null;
    this.started = true;
    this.dirty = true;
  }

  /** TPM2_Shutdown (Part 3 §9.4). Any later command that changes state makes it void. */
  shutDown(type: 'clear' | 'state'): void {
    const pcrs = hashAlgorithms.map((hash) =>
      Array.from({ length: pcrCount }, (_, pcr) => readPcr(this.banks, hash, pcr)),
    );
    this.shutdown = { type, pcrs: type === 'state' ? pcrs : [] };
    this.dirty = true;
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
    const { owner, endorsement, platform, lockout } = this.hierarchies;
    return {
      version: 1,
      simulated: this.simulated,
      owner,
      endorsement,
      platform,
      lockout,
      disableClear: this.disableClear,
      persistent: [...this.persistent].map(([handle, object]) => objectToSnapshot(handle, object)),
      nv: [...this.nv.values()].map(nvToSnapshot),
      counterFloor: this.counterFloor,
      clock: this.clockTime,
      resetCount: this.resetCount,
      restartCount: this.restartCount,
      totalResetCount: this.totalResetCount,
      lockoutFailures: this.lockoutFailures,
      maxTries: this.maxTries,
      recoveryTime: this.recoveryTime,
      lockoutRecovery: this.lockoutRecovery,
      lockoutAuthEnabled: this.lockoutAuthEnabled,
      shutdown: this.shutdown,
    };
  }

  /** Becomes what a snapshot says. Volatile state stays, and the clock runs on. */
  restore(from: TpmSnapshot): void {
    const { owner, endorsement, platform, lockout } = from;
    this.simulated = from.simulated;
    this.hierarchies = { ...this.hierarchies, owner, endorsement, platform, lockout };
    this.disableClear = from.disableClear;
    this.persistent = new Map(from.persistent.map((one) => [one.handle, objectFromSnapshot(one)]));
    this.nv = new Map(from.nv.map(nvFromSnapshot).map((index) => [index.handle, index]));
    this.counterFloor = from.counterFloor;
    this.resetCount = from.resetCount;
    this.restartCount = from.restartCount;
    this.totalResetCount = from.totalResetCount;
    this.lockoutFailures = from.lockoutFailures;
    this.maxTries = from.maxTries;
    this.recoveryTime = from.recoveryTime;
    this.lockoutRecovery = from.lockoutRecovery;
    this.lockoutAuthEnabled = from.lockoutAuthEnabled;
    this.shutdown = from.shutdown;
    this.dirty = false;
  }
}
