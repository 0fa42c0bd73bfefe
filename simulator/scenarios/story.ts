import { FealtyError, messageOf } from '../../src/core/errors.ts';
import type { Clock } from '../../src/core/platform.ts';

/** One thing that had to hold, and whether it did. */
export interface Expectation {
  readonly what: string;
  readonly held: boolean;
  /** What was seen, when it explains something. */
  readonly seen?: string | undefined;
}

/** One step of a story and how it went. */
export interface StepResult {
  readonly number: number;
  readonly title: string;
  readonly result: 'held' | 'failed' | 'not reached';
  readonly ms: number;
  readonly expectations: readonly Expectation[];
}

/** The whole story, as `--json` gives it. */
export interface StoryResult {
  readonly story: string;
  readonly seed: number;
  readonly held: boolean;
  readonly ms: number;
  readonly steps: readonly StepResult[];
  /** Whatever else was measured, by name and unit. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Who is told while the story runs. */
export interface Audience {
  stepBegan(number: number, title: string): void;
  /** Something happened, in plain words; `who` is one of the parties. */
  told(who: string, what: string): void;
  expected(expectation: Expectation): void;
  /** More lines that explain the last expectation, for example a tree of conditions. */
  explained(lines: readonly string[]): void;
  stepEnded(step: StepResult): void;
}

/** What a step's work gets. */
export interface Telling {
  tell(who: string, what: string): void;
  /** Records an expectation; a story goes on after one that does not hold, and fails at its end. */
  expect(what: string, held: boolean, seen?: string): void;
  /**
   * The work must be refused, with this error code or name of a check somewhere in the error and its causes.
   */
  refused(what: string, check: string, work: () => Promise<unknown>): Promise<void>;
  explain(lines: readonly string[]): void;
  figure(name: string, value: number): void;
}

/** Runs the steps of a story in order; when one throws, the rest are not reached. */
export class Story {
  #name: string;
  #seed: number;
  #clock: Clock;
  #audience: Audience;
  #steps: StepResult[] = [];
  #figures: Record<string, number> = {};
  #began: number;
  #broken = false;
  /** What broke it, for `cause`. */
  failure: unknown;

  constructor(options: {
    readonly name: string;
    readonly seed: number;
    readonly clock: Clock;
    readonly audience: Audience;
  }) {
    this.#name = options.name;
    this.#seed = options.seed;
    this.#clock = options.clock;
    this.#audience = options.audience;
    this.#began = options.clock.elapsed();
  }

  /** One step; `number` is what the table shows. */
  async step(title: string, work: (telling: Telling) => Promise<void>): Promise<void> {
    const number = this.#steps.length + 1;
    if (this.#broken) {
      const step: StepResult = { number, title, result: 'not reached', ms: 0, expectations: [] };
      this.#steps.push(step);
      this.#audience.stepEnded(step);
      return;
    }
    const began = this.#clock.elapsed();
    const expectations: Expectation[] = [];
    const expect = (what: string, held: boolean, seen?: string) => {
      const expectation = { what, held, seen };
      expectations.push(expectation);
      this.#audience.expected(expectation);
    };
    this.#audience.stepBegan(number, title);
    try {
      await work({
        tell: (who, what) => this.#audience.told(who, what),
        expect,
        explain: (lines) => this.#audience.explained(lines),
        figure: (name, value) => {
          this.#figures[name] = value;
        },
        refused: async (what, check, attempt) => {
          try {
            await attempt();
            expect(what, false, 'it was accepted');
          } catch (error) {
            const seen = checksOf(error);
            expect(what, seen.includes(check), seen.length > 0 ? `refused by ${seen[0]}` : messageOf(error));
          }
        },
      });
    } catch (error) {
      this.#broken = true;
      this.failure = error;
      expect('the step goes through', false, describe(error));
    }
    const step: StepResult = {
      number,
      title,
      result: expectations.every(({ held }) => held) && expectations.length > 0 ? 'held' : 'failed',
      ms: Math.round(this.#clock.elapsed() - began),
      expectations,
    };
    this.#steps.push(step);
    this.#audience.stepEnded(step);
  }

  /** How it went. */
  result(): StoryResult {
    return {
      story: this.#name,
      seed: this.#seed,
      held: this.#steps.length > 0 && this.#steps.every(({ result }) => result === 'held'),
      ms: Math.round(this.#clock.elapsed() - this.#began),
      steps: this.#steps,
      figures: this.#figures,
    };
  }
}

/** Names of checks and codes in an error and its causes, the most telling first. */
export function checksOf(error: unknown): string[] {
  const found: string[] = [];
  for (let at = error, depth = 0; at instanceof Error && depth < 6; at = at.cause, depth++) {
    const { check, code } = at as Error & { check?: unknown; code?: unknown };
    if (typeof check === 'string') found.push(check);
    if (typeof code === 'string') found.push(code);
  }
  return found;
}

function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at = error, depth = 0; at !== undefined && depth < 5; depth++) {
    parts.push(at instanceof FealtyError ? `${at.message} [${at.code}]` : messageOf(at));
    at = at instanceof Error ? at.cause : undefined;
  }
  return parts.join(': ');
}
