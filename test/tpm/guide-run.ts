import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format } from 'node:util';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { listHandles, openTpm } from '../../src/tpm/index.ts';

/** What became of one block. */
export interface Outcome {
  readonly file: string;
  readonly printed: readonly string[];
  readonly failed?: string;
  /** Objects that it left in the TPM it was given. */
  readonly left: number;
}

/**
 * Runs every block in the folder that is the argument, one after the other, each with a fresh software TPM as the global
 * `tpm` (which a block declares), and prints an {@link Outcome} a line.
 */
const [folder = ''] = process.argv.slice(2);
const { random, clock } = nodePlatform({ directory: '.' });

for (const file of readdirSync(folder).sort()) {
  const chip = await SoftwareTpm.create({ random, clock });
  const tpm = await openTpm({ transport: chip, random, clock });
  const printed: string[] = [];
  const log = (...words: readonly unknown[]) => printed.push(format(...words));
  Object.assign(globalThis, { tpm, console: { log } });
  let failed: string | undefined;
  try {
    await import(pathToFileURL(join(folder, file)).href);
  } catch (error) {
    failed = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const left = (await listHandles(tpm, 'transient')).length;
  await tpm.close();
  const outcome: Outcome = { file, printed, left, ...(failed === undefined ? {} : { failed }) };
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
