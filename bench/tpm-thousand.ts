/** Run by `bench/tpm.ts` in a process of its own: a thousand software TPMs, and what they cost. */
import { memoryUsage } from 'node:process';
import { nodePlatform } from 'fealty';
import { SoftwareTpm } from 'fealty/simulator';

const count = 1000;
const { clock, random } = nodePlatform({ directory: '.' });
const collect = () => {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
};
// What every process pays once: code, tables.
await SoftwareTpm.create({ clock, random });
collect();
const before = memoryUsage();
const start = performance.now();
const fleet: SoftwareTpm[] = [];
for (let i = 0; i < count; i++) fleet.push(await SoftwareTpm.create({ clock, random }));
const createMs = (performance.now() - start) / count;
const rssMb = (memoryUsage.rss() - before.rss) / 2 ** 20;
collect();
const after = memoryUsage();
const heapKb = (after.heapUsed + after.external - before.heapUsed - before.external) / 1024 / fleet.length;
console.log(JSON.stringify({ createMs, rssMb, heapKb }));
