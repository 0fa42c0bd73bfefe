/** `npm run fuzz:tpm`: hostile command streams into the software TPM and hostile answers into the client. */
import { parseArgs } from 'node:util';
import { hex } from '../../src/core/bytes.ts';
import { allCommands } from '../../src/tpm/command-table.ts';
import { fuzzClient } from './client.ts';
import { fuzzSoftwareTpm } from './software-tpm.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '5' },
    commands: { type: 'string', default: '20000' },
    help: { type: 'boolean', short: 'h' },
  },
});
const [seed, runs, commands] = [values.seed, values.runs, values.commands].map(Number);
const whole = (value: number | undefined): value is number =>
  value !== undefined && Number.isSafeInteger(value) && value >= 0;

if (values.help || !whole(seed) || !whole(runs) || !whole(commands)) {
  console.error(
    'Usage: npm run fuzz:tpm -- [--seed N] [--runs N] [--commands N]\n\n' +
      'Drives command streams, a third of them spoilt, into the software TPM, and plays what people do with a TPM on a way\n' +
      'that spoils commands or answers.\n' +
      'Everything follows from the seed; each run takes the next one. It stops at the first answer or error that must\n' +
      'not be, and says which seed and command brought it (default: seed 1, 5 runs of 20000 commands).',
  );
  process.exitCode = values.help ? 0 : 2;
} else {
  for (let run = 0; run < runs && process.exitCode === undefined; run++) {
    try {
      const chip = await fuzzSoftwareTpm({ seed: seed + run, commands });
      console.log(
        `seed ${seed + run}: ${chip.commands} commands, ${chip.codes.get(0) ?? 0} succeeded, ${chip.codes.size} response codes, digest ${hex(chip.digest).slice(0, 16)}`,
      );
      const calls = Math.ceil(commands / 40);
      const deaf = await fuzzClient({ seed: seed + run, calls, spoilt: 'commands' });
      console.log(`  scenes: ${calls}, ${deaf.spoilt} commands spoilt, ${deaf.refused} refused`);
      const lied = await fuzzClient({ seed: seed + run, calls, spoilt: 'answers' });
      console.log(`  scenes: ${calls}, ${lied.spoilt} answers spoilt, ${lied.refused} refused`);
      const never = allCommands().filter(
        ({ name }) => !chip.succeeded.has(name) && !deaf.succeeded.has(name) && !lied.succeeded.has(name),
      );
      if (never.length > 0)
        console.log(`  never succeeded: ${never.map(({ name }) => name.slice(5)).join(' ')}`);
    } catch (error) {
      console.error(`seed ${seed + run}: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
  }
}
