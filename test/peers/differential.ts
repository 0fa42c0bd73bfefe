import { describeResponseCode } from '../../src/tpm/response-codes.ts';
import { dice } from '../fuzz/dice.ts';
import type { StreamOptions } from '../fuzz/stream.ts';
import { Stream } from '../fuzz/stream.ts';
import { codeOf } from '../tpm/raw.ts';
import type { Pair } from './pair.ts';

/** Where two TPMs answer the same command differently: in tag, code or length. */
export interface Difference {
  readonly command: string;
  /** For example `ATTRIBUTES parameter 2`, `HANDLE handle 1 (10 bytes)`. */
  readonly ours: string;
  readonly theirs: string;
  /** For finding it again. */
  readonly seed: number | string;
  readonly step: number;
  readonly sent: Uint8Array;
}

/** What one stream came to. */
export interface Compared {
  readonly steps: number;
  readonly succeeded: readonly string[];
  readonly difference: Difference | undefined;
}

/**
 * Runs the same stream against a pair of TPMs side by side, each command built from that TPM's own answers, until their answers
 * differ in tag, code or length. Signatures and keys differ in their bytes, and must not in their form.
 *
 * @param lengthVaries commands whose answers rightly vary in length by chance.
 */
export async function compare(
  { ours, its }: Pick<Pair, 'ours' | 'its'>,
  options: StreamOptions & {
    readonly seed: number | string;
    readonly steps: number;
    readonly lengthVaries?: ReadonlySet<string>;
    /** Differences that are meant; the stream goes on after one. Default: none. */
    readonly meant?: (difference: Difference) => boolean;
  },
): Promise<Compared> {
  const mine = new Stream(dice(options.seed), options);
  const other = new Stream(dice(options.seed), options);
  const succeeded: string[] = [];
  for (let step = 0; step < options.steps; step++) {
    const a = await mine.step((command) => ours.exchange(command));
    const b = await other.step((command) => its.exchange(command));
    const loose = options.lengthVaries?.has(a.command) === true;
    const [said, expected] = [formOf(a.answer, loose), formOf(b.answer, loose)];
    if (a.command !== b.command || said !== expected) {
      const difference = {
        command: a.command,
        ours: said,
        theirs: expected,
        seed: options.seed,
        step,
        sent: a.sent,
      };
      if (options.meant?.(difference) !== true) return { steps: step + 1, succeeded, difference };
    }
    if (a.code === 0) succeeded.push(a.command);
  }
  return { steps: options.steps, succeeded, difference: undefined };
}

/** Tag, code and length of an answer, in words. */
function formOf(answer: Uint8Array, looseLength = false): string {
  const code = codeOf(answer);
  const { name, operand } = describeResponseCode(code);
  const where = operand === undefined ? '' : ` ${operand.kind} ${operand.number}`;
  const tag = new DataView(answer.buffer, answer.byteOffset).getUint16(0).toString(16);
  return `${code === 0 ? 'success' : name}${where} (tag ${tag}${looseLength ? '' : `, ${answer.length} bytes`})`;
}
