import { describe, expect, it } from 'vitest';
import { hex } from '../../src/core/bytes.ts';
import type { Difference } from './differential.ts';
import { compare } from './differential.ts';
import { startPair } from './pair.ts';
import { needs } from './present.ts';

/** What a context holds, and which algorithms and commands there are, is each TPM's own matter. */
const lengthVaries = new Set(['TPM2_ContextSave', 'TPM2_IncrementalSelfTest', 'TPM2_GetCapability']);

/** Differences that are meant, each with its place in docs/reference/tpm-differences.md. */
function meant({ command, ours, theirs }: Difference): boolean {
  if (ours.startsWith('BAD_TAG')) return theirs.startsWith('VALUE (') || theirs.startsWith('VALUE handle 0');
  if (command === 'TPM2_SequenceUpdate')
    return ours.startsWith('MODE handle 1') && theirs.startsWith('MODE parameter 1');
  if (command.startsWith('TPM2_HMAC')) return ours.startsWith('TYPE handle 1');
  if (command === 'TPM2_PolicySecret' || command === 'TPM2_PolicyTemplate') return ours.startsWith('CPHASH');
  // The clocks of the two are not the same.
  return command === 'TPM2_ClockSet';
}

const told = (difference: Difference | undefined) =>
  difference && { ...difference, sent: hex(difference.sent) };

describe.skipIf(!needs('swtpm'))(
  'a stream of every command, each built from the answers before it, against swtpm and the software TPM',
  { timeout: 120_000 },
  () => {
    it('gives the same tag, response code and length, ten thousand commands long', async () => {
      const succeeded = new Set<string>();
      for (let seed = 0; seed < 68; seed++) {
        const pair = await startPair();
        const options = { seed, steps: 150, spoiltOneIn: 0, lengthVaries, meant };
        const compared = await compare(pair, options).finally(pair.close);
        expect(told(compared.difference)).toBeUndefined();
        for (const command of compared.succeeded) succeeded.add(command);
      }
      // Else the streams would compare refusals alone.
      expect(succeeded.size).toBeGreaterThan(70);
    });
  },
);
