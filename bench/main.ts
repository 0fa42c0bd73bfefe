/** `npm run bench -- NAME [--json]`: runs one bench and prints its rows. */
import { parseArgs } from 'node:util';
import type { Bench } from './row.ts';
import { machine, show } from './row.ts';

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  tpm: async () => (await import('./tpm.ts')).tpm,
  weight: async () => (await import('./weight.ts')).weight,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
});
const load = benches[positionals[0] ?? ''];
if (values.help || load === undefined || positionals.length !== 1) {
  console.error(`Usage: npm run bench -- NAME [--json]\n\nBenches: ${Object.keys(benches).join(', ')}`);
  process.exitCode = values.help ? 0 : 2;
} else {
  const bench = await load();
  console.error(`${bench.about}\n`);
  const rows = await bench.run((line) => console.error(line));
  if (values.json)
    console.log(JSON.stringify({ bench: positionals[0], machine: machine(), rows }, undefined, 2));
  else console.log(show(rows));
  process.exitCode = rows.every(({ holds }) => holds) ? 0 : 1;
}
