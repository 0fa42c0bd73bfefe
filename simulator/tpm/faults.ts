import { u32At } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/platform.ts';
import { allCommands } from '../../src/tpm/command-table.ts';
import { RC } from './refusal.ts';

/** Answers that a TPM may give to any command without having done anything. */
const answers = {
  RETRY: RC.RETRY,
  YIELDED: RC.YIELDED,
  TESTING: RC.TESTING,
  LOCKOUT: RC.LOCKOUT,
  NV_RATE: RC.NV_RATE,
  NV_UNAVAILABLE: RC.NV_UNAVAILABLE,
  NV_SPACE: RC.NV_SPACE,
  MEMORY: RC.MEMORY,
} as const;

/** What goes wrong. */
export type FaultKind =
  /** The answer is this response code, and nothing was done. */
  | keyof typeof answers
  /** The power goes before the command is executed. */
  | 'power-before'
  /** The power goes while its change is being stored: half of it is written. */
  | 'power-storing'
  /** The power goes when it is done and stored, before its answer leaves. */
  | 'power-after'
  /** A self test fails: the TPM is in failure mode until it is initialised. */
  | 'failure';

/** The names of {@link FaultKind}. */
export const faultKinds = [
  ...(Object.keys(answers) as (keyof typeof answers)[]),
  'power-before',
  'power-storing',
  'power-after',
  'failure',
] as const satisfies readonly FaultKind[];

/** One thing that goes wrong, and when. */
export interface Fault {
  readonly kind: FaultKind;
  /** Only with this command, for example `TPM2_Sign`. Default: any. */
  readonly on?: string | undefined;
  /** How many such commands pass unharmed before. Default: 0. */
  readonly after?: number | undefined;
  /** How often it happens. Default: once; with `chance`, as often as chance has it. */
  readonly times?: number | undefined;
  /** From 0 to 1: of the commands it could happen to, this part. Default: 1. */
  readonly chance?: number | undefined;
}

/** Says for each command of a software TPM what goes wrong with it. */
export class Faults {
  readonly #random: Random | undefined;
  readonly #waiting: { readonly fault: Fault; passed: number; happened: number }[] = [];

  /**
   * @param list each fault comes when it is its turn; of several that would, the first.
   * @param random for faults with a `chance`: from a seed, so that what happened can be repeated.
   */
  constructor(list: readonly Fault[], random?: Random) {
    this.#random = random;
    for (const fault of list) this.add(fault);
  }

  /** One more thing that goes wrong from now on. */
  add(fault: Fault): void {
    const { on, chance, after, times } = fault;
    if (on !== undefined && !allCommands().some(({ name }) => name === on))
      throw new TypeError(`\`${on}\` is no command of a TPM`);
    if (chance !== undefined && !(chance >= 0 && chance <= 1)) throw new TypeError('`chance` must be 0 to 1');
    if (chance !== undefined && this.#random === undefined)
      throw new TypeError('a fault with a `chance` needs `random`');
    for (const [name, value] of Object.entries({ after, times }))
      if (value !== undefined && !(Number.isInteger(value) && value >= 0))
        throw new TypeError(`\`${name}\` must be a whole number`);
    this.#waiting.push({ fault, passed: 0, happened: 0 });
  }

  /** Whether nothing is to go wrong. */
  get none(): boolean {
    return this.#waiting.length === 0;
  }

  /** Nothing goes wrong any more. */
  clear(): void {
    this.#waiting.length = 0;
  }

  /** What goes wrong with this command; `undefined`: nothing. */
  next(command: string): FaultKind | undefined {
    let found: FaultKind | undefined;
    for (const one of this.#waiting) {
      const {
        kind,
        on,
        after = 0,
        chance,
        times = chance === undefined ? 1 : Number.POSITIVE_INFINITY,
      } = one.fault;
      if (found !== undefined || (on !== undefined && on !== command) || one.happened >= times) continue;
      if (one.passed++ < after || !this.#strikes(chance)) continue;
      one.happened++;
      found = kind;
    }
    return found;
  }

  #strikes(chance: number | undefined): boolean {
    if (chance === undefined) return true;
    const bytes = this.#random?.bytes(4) ?? new Uint8Array(4);
    return u32At(bytes, 0) / 2 ** 32 < chance;
  }
}

/** The response code that a fault is, if it is one. */
export function answerOf(kind: FaultKind): number | undefined {
  return kind in answers ? answers[kind as keyof typeof answers] : undefined;
}

/**
 * A fault as text: `KIND[@COMMAND][+AFTER][*TIMES][%PERCENT]`, for example `RETRY@TPM2_Sign*3`, `power-after+100` or
 * `NV_RATE%5`. The `TPM2_` may be left out.
 *
 * @throws {TypeError} naming what is not understood.
 */
export function parseFault(text: string): Fault {
  const match = /^([A-Za-z_-]+)(?:@(?:TPM2_)?(\w+))?(?:\+(\d+))?(?:\*(\d+))?(?:%(\d+(?:\.\d+)?))?$/.exec(
    text,
  );
  const kind = faultKinds.find((one) => one === match?.[1]);
  if (match === null || kind === undefined)
    throw new TypeError(
      `\`${text}\` is no fault: KIND[@COMMAND][+AFTER][*TIMES][%PERCENT], KIND one of ${faultKinds.join(', ')}`,
    );
  const [, , on, after, times, percent] = match;
  if (Number(percent ?? 0) > 100) throw new TypeError(`\`${text}\` is more than 100 percent`);
  return {
    kind,
    on: on === undefined ? undefined : `TPM2_${on}`,
    after: after === undefined ? undefined : Number(after),
    times: times === undefined ? undefined : Number(times),
    chance: percent === undefined ? undefined : Number(percent) / 100,
  };
}

/** The power went: whoever waits for an answer waits for nothing. */
export class PowerLost extends Error {
  constructor() {
    super('the power of the software TPM went');
    this.name = 'PowerLost';
  }
}
