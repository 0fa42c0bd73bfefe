import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { sha256 } from '../../src/core/hash.ts';
import { TPM2_Startup } from '../../src/tpm/commands.ts';
import { encodeCommand, encodeFields } from '../../src/tpm/framing.ts';
import { dice } from './dice.ts';
import type { Exchanged } from './stream.ts';
import { Stream } from './stream.ts';

const startup = encodeCommand(
  TPM2_Startup.code,
  [],
  [],
  encodeFields(TPM2_Startup.parameters, { startupType: 'clear' }),
);

/** What a run of the fuzzer came to. */
export interface FuzzResult {
  readonly commands: number;
  /** Commands that succeeded, by name. */
  readonly succeeded: ReadonlyMap<string, number>;
  /** Response codes and how often each came. */
  readonly codes: ReadonlyMap<number, number>;
  /** SHA-256 over all answers: the same seed, the same digest. */
  readonly digest: Uint8Array;
}

/** How much to try, and what to tell meanwhile. */
export interface FuzzOptions {
  readonly seed: number;
  readonly commands: number;
  /** One command in so many is spoilt. Default: 3. */
  readonly spoiltOneIn?: number;
  readonly each?: (one: Exchanged, at: number) => void;
}

/**
 * Drives a stream of commands, some of them spoilt, into a software TPM whose time is virtual. Power is cut and comes
 * back now and then.
 *
 * @throws {Malformed} when an answer has not the form of Part 3 §5, or the TPM says that it failed.
 */
export async function fuzzSoftwareTpm(options: FuzzOptions): Promise<FuzzResult> {
  const from = dice(options.seed);
  const clock = virtualClock();
  const random = seededRandom(options.seed, 'software TPM');
  const chip = await SoftwareTpm.create({ random, clock, seed: `fuzz ${options.seed}`, slots: 6 });
  const stream = new Stream(from, { spoiltOneIn: options.spoiltOneIn ?? 3 });
  const succeeded = new Map<string, number>();
  const codes = new Map<number, number>();
  let digest = new Uint8Array(32);
  for (let at = 0; at < options.commands; at++) {
    if (from.oneIn(400)) {
      await chip.powerCycle();
      await chip.exchange(startup);
    }
    if (from.oneIn(50)) await clock.advance(from.below(20_000));
    const one = await stream.step((command) => chip.exchange(command));
    if (one.code === 0) succeeded.set(one.command, (succeeded.get(one.command) ?? 0) + 1);
    codes.set(one.code, (codes.get(one.code) ?? 0) + 1);
    digest = new Uint8Array(sha256(digest, one.answer));
    options.each?.(one, at);
  }
  return { commands: options.commands, succeeded, codes, digest };
}
