import type { Clock } from '../../src/core/platform.ts';

/** At least so often the clock is stored while commands run, in milliseconds (TPM_PT_CLOCK_UPDATE). */
export const clockUpdate = 4096;

/** Steps of one second's worth of ticks; a rate is this over the steps in force, so more steps are a slower clock. */
const nominal = 30_000;
/** The rate stays within 15 percent of nominal (Part 1 §36.2). */
const mostSteps = 4500;

/** Steps of TPM_CLOCK_ADJUST: about a percent, a thousandth, and a thirty-thousandth. */
export const adjustments = { coarse: 300, medium: 30, fine: 1 } as const;

/**
 * The two times of a TPM (Part 1 §36): TIME, since power on, and CLOCK, of its whole life with power. Both advance at a
 * rate that TPM2_ClockRateAdjust changes.
 */
export class TpmClock {
  readonly #source: Clock;
  #steps = nominal;
  #powered = true;
  /** TIME when `#mark` was. */
  #ticks = 0;
  #mark: number;
  /** CLOCK at the last power on, without what TPM2_ClockSet added. */
  #before = 0;
  /** How far TPM2_ClockSet has put CLOCK forward. */
  ahead = 0n;
  #safeFrom = 0n;

  constructor(source: Clock) {
    this.#source = source;
    this.#mark = source.elapsed();
  }

  /** TPMS_TIME_INFO.time: milliseconds since power on. */
  get time(): number {
    return Math.floor(this.#now());
  }

  /** Milliseconds with power in all its life (since TPM2_Clear): CLOCK without what TPM2_ClockSet added. */
  get lived(): number {
    return this.#before + this.time;
  }

  /** TPMS_CLOCK_INFO.clock. */
  get value(): bigint {
    return BigInt(this.lived) + this.ahead;
  }

  /** Whether CLOCK is certainly later than every value told before (TPMS_CLOCK_INFO.safe). */
  get safe(): boolean {
    return this.value >= this.#safeFrom;
  }

  /** Goes on from what was stored of {@link TpmClock.lived}. */
  resume(lived: number): void {
    this.#start(lived);
  }

  /** TIME goes on from what it was once; CLOCK is as it is. */
  resumeTime(time: number): void {
    this.#before = this.lived - time;
    this.#ticks = time;
    this.#mark = this.#source.elapsed();
  }

  /** TIME starts anew, at the nominal rate; CLOCK goes on. */
  powerOn(): void {
    this.#start(this.lived);
    this.#steps = nominal;
    this.#powered = true;
  }

  /** Neither advances without power. */
  powerOff(): void {
    this.#start(this.lived);
    this.#powered = false;
  }

  /** After an unorderly shutdown CLOCK is not safe before it would have been stored anew. */
  distrust(): void {
    this.#safeFrom = (this.value | BigInt(clockUpdate - 1)) + 1n;
  }

  /** TPM2_ClockSet. `value` is not before {@link TpmClock.value}. */
  set(value: bigint): void {
    this.ahead += value - this.value;
  }

  /** CLOCK of a new owner, as TPM2_Clear makes it. */
  clear(): void {
    this.#before = -this.time;
    this.ahead = 0n;
    this.#safeFrom = 0n;
  }

  /** Makes the rate faster by some of {@link adjustments} (slower when negative); false when that is out of range. */
  adjust(faster: number): boolean {
    const steps = this.#steps - faster;
    if (Math.abs(steps - nominal) > mostSteps) return false;
    this.#ticks = this.#now();
    this.#mark = this.#source.elapsed();
    this.#steps = steps;
    return true;
  }

  #now(): number {
    if (!this.#powered) return this.#ticks;
    return this.#ticks + ((this.#source.elapsed() - this.#mark) * nominal) / this.#steps;
  }

  #start(before: number): void {
    this.#before = before;
    this.#ticks = 0;
    this.#mark = this.#source.elapsed();
  }
}
