import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { nodePlatform } from '../../src/core/node.ts';
import type { Fields } from '../../src/tpm/codec.ts';
import type { ArgumentsOf, Command, HandleFields } from '../../src/tpm/command.ts';
import { openTransport } from '../../src/tpm/index.ts';
import type { TPMS_AUTH_COMMAND as AuthCommand } from '../../src/tpm/structures.ts';
import type { Answering } from '../tpm/raw.ts';
import { bytesOf, codeOf, send } from '../tpm/raw.ts';
import { startSwtpm } from './swtpm.ts';

/** A software TPM and a real swtpm, both fresh, that are sent the same commands. */
export interface Pair {
  readonly ours: SoftwareTpm;
  readonly its: Answering;
  /** Sends both the same command; what differs is noted under `what`. @returns the codes. */
  compare<H extends HandleFields, P extends Fields, RH extends HandleFields, RP extends Fields>(
    what: string,
    command: Command<H, P, RH, RP>,
    request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
    sessions?: readonly AuthCommand[],
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
  const swtpm = await startSwtpm();
  const its = openTransport(swtpm.spec);
  let noted: string[] = [];
  const compareEach: Pair['compareEach'] = async (what, commandFor) => {
    const answers = [await send(ours, commandFor('ours')), await send(its, commandFor('its'))] as const;
    const codes = [codeOf(answers[0]), codeOf(answers[1])] as const;
    const shapes = answers.map((answer) => `${codeOf(answer).toString(16)}, tag ${answer[1]?.toString(16)}`);
    if (shapes[0] !== shapes[1]) noted.push(`${what}: ours ${shapes[0]}, its ${shapes[1]}`);
    return codes;
  };
  return {
    ours,
    its,
    compareEach,
    compare: (what, command, request, sessions) => {
      const bytes = bytesOf(command, request, sessions);
      return compareEach(what, () => bytes);
    },
    differences() {
      const found = noted;
      noted = [];
      return found;
    },
    async close() {
      await its.close?.();
      await swtpm.close();
      await ours.close();
    },
  };
}
