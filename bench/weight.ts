import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Bench, Row } from './row.ts';
import { median } from './row.ts';

const root = resolve(import.meta.dirname, '..');
const bundle = join(root, 'dist/agent.mjs');
const rounds = 11;

/** Printed by a process at the moment it counts as ready. */
const report =
  'const { user, system } = process.cpuUsage(); process.stdout.write(JSON.stringify({ cpuMs: (user + system) / 1000, rssMb: process.memoryUsage.rss() / 2 ** 20 }));';

/** Size, start-up and memory of what a robot gets: one bundled file. */
export const weight: Bench = {
  about: `The bundled agent beside an empty Node script: fresh processes, interleaved, medians of ${rounds}.`,
  run: async (progress) => {
    if (!existsSync(bundle)) throw new Error('dist/agent.mjs is not there: run `npm run build` first');
    const bytes = readFileSync(bundle);
    const gzipped = gzipSync(bytes, { level: 9 }).length;
    const folder = await mkdtemp(join(tmpdir(), 'fealty-bench-'));
    try {
      const empty = join(folder, 'empty.mjs');
      const agent = join(folder, 'agent.mjs');
      await writeFile(empty, report);
      // Ready: the bundle is loaded, and an agent with its store, its audit log and its enforcement point stands.
      await writeFile(
        agent,
        `import { readyAgent } from ${JSON.stringify(bundle)};\nawait readyAgent(${JSON.stringify(join(folder, 'state'))});\n${report}\nprocess.exit(0);`,
      );
      const empties: Sample[] = [];
      const agents: Sample[] = [];
      for (let round = 0; round < rounds; round++) {
        empties.push(await sample(empty));
        agents.push(await sample(agent));
        progress(`round ${round + 1} of ${rounds}`);
      }
      const cpu = median(agents.map(({ cpuMs }) => cpuMs));
      const emptyCpu = median(empties.map(({ cpuMs }) => cpuMs));
      const rss = median(agents.map(({ rssMb }) => rssMb));
      const emptyRss = median(empties.map(({ rssMb }) => rssMb));
      const kb = gzipped / 1000;
      const rows: Row[] = [
        {
          what: 'bundle, minified and gzipped',
          value: kb,
          unit: 'KB',
          peer: `${(bytes.length / 1000).toFixed(0)} KB not gzipped`,
          ratio: gzipped / bytes.length,
          goal: '≤ 120 KB',
          holds: kb <= 120,
        },
        {
          what: 'CPU to ready',
          value: cpu,
          unit: 'ms',
          peer: `empty script ${emptyCpu.toFixed(0)} ms`,
          ratio: cpu / emptyCpu,
          goal: '≤ 150 ms',
          holds: cpu <= 150,
        },
        {
          what: 'RSS at ready',
          value: rss,
          unit: 'MB',
          peer: `empty script ${emptyRss.toFixed(0)} MB`,
          ratio: rss / emptyRss,
          goal: '≤ 60 MB',
          holds: rss <= 60,
        },
      ];
      return rows;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

interface Sample {
  readonly cpuMs: number;
  readonly rssMb: number;
}

function sample(script: string): Promise<Sample> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.once('error', fail);
    child.once('close', (code) => {
      if (code !== 0) fail(new Error(`${script} exited with ${code}: ${said.slice(-500)}`));
      else done(JSON.parse(out) as Sample);
    });
  });
}
