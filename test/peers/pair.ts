import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { nodePlatform } from '../../src/core/node.ts';
import type { Fields } from '../../src/tpm/codec.ts';
import type { ArgumentsOf, Command, HandleFields } from '../../src/tpm/command.ts';
import type { Answering, Proof } from '../tpm/raw.ts';
import { bytesOf, codeOf, patient } from '../tpm/raw.ts';
import { openSwtpm } from './swtpm.ts';

/** A software TPM and a real swtpm, both fresh, that are sent the same commands. */
export interface Pair {
  readonly ours: SoftwareTpm;
  readonly its: Answering;
  /** Sends both the same bytes; our answer and its. */
  both(command: Uint8Array): Promise<readonly [Uint8Array, Uint8Array]>;
  /** Sends both the same command; what differs is noted under `what`. @returns the codes. */
  compare<H extends HandleFields, P extends Fields, RH extends HandleFields, RP extends Fields>(
    what: string,
    command: Command<H, P, RH, RP>,
    request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
    proofs?: readonly Proof[],
  ): Promise<readonly [number, number]>;
  /** As {@link Pair.compare}, where each has its own bytes to be sent. */
  compareEach(
    what: string,
    commandFor: (which: 'ours' | 'its') => Uint8Array,
  ): Promise<readonly [number, number]>;
  /** What differed since the last time it was asked. */
  differences(): readonly string[];
  close(): Promise<void>;
}

/** Starts both. */
export async function startPair(): Promise<Pair> {
  const { clock, random } = nodePlatform({ directory: '.' });
  const ours = await SoftwareTpm.create({ clock, random });
  const swtpm = await openSwtpm();
  const its = patient(swtpm.transport);
  let noted: string[] = [];
  const compareEach: Pair['compareEach'] = async (what, commandFor) => {
    const answers = [await ours.exchange(commandFor('ours')), await its.exchange(commandFor('its'))] as const;
    const codes = [codeOf(answers[0]), codeOf(answers[1])] as const;
    const shapes = answers.map((answer) => `${codeOf(answer).toString(16)}, tag ${answer[1]?.toString(16)}`);
    if (shapes[0] !== shapes[1]) noted.push(`${what}: ours ${shapes[0]}, its ${shapes[1]}`);
    return codes;
  };
  return {
    ours,
    its,
    both: async (command) => [await ours.exchange(command), await its.exchange(command)],
    compareEach,
    compare: (what, command, request, proofs) => {
      const bytes = bytesOf(command, request, proofs);
      return compareEach(what, () => bytes);
    },
    differences() {
      const found = noted;
      noted = [];
      return found;
    },
    async close() {
      await swtpm.close();
      await ours.close();
    },
  };
}

/**
 * A command with each of its bytes changed in three ways, but for those of size and code, which would make another
 * command of it. With `ends`, only so many bytes at its two ends: what is between them is more of the same data.
 */
export function* oneByteWrong(
  command: Uint8Array,
  ends = command.length,
): Iterable<{ readonly at: number; readonly changed: Uint8Array }> {
  for (let at = 0; at < command.length; at++) {
    if (at >= 2 && at < 10) continue;
    if (at > ends && at < command.length - ends) continue;
    for (const change of [0x01, 0x80, 0xff]) {
      const changed = command.slice();
      changed[at] = (changed[at] ?? 0) ^ change;
      yield { at, changed };
    }
  }
}
