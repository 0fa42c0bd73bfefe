import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pick, seededRandom } from '../../simulator/random.ts';
import { nodePlatform } from '../../src/core/node.ts';
import type { NvIndex } from '../../src/tpm/index.ts';
import {
  counterDefine,
  counterIncrement,
  counterRead,
  nvReadPublic,
  openTpm,
  openTransport,
} from '../../src/tpm/index.ts';
import { root } from '../house/sources.ts';

const { clock, random } = nodePlatform({ directory: '.' });
const handle = 0x01500001;

/** `fealty tpm serve` with its state in `directory`. */
async function serve(directory: string) {
  const main = join(root, 'src/cli/main.ts');
  const args = ['--import', import.meta.resolve('tsx'), '--conditions=source', main, 'tpm', 'serve'];
  const child = spawn(process.execPath, [...args, '--state', directory, '--port', '0', '--json'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { tcti } = JSON.parse(line.toString()) as { tcti: string };
  const ended = once(child, 'exit');
  return { child, ended, tpm: await openTpm({ transport: openTransport(tcti), clock, random }) };
}

describe('a served TPM that is killed at any moment (kill -9)', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fealty-kill-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('has lost no answered NV_Increment, and has done none that was not asked for', async () => {
    const chance = seededRandom('kill');
    let known = 0n;
    for (let life = 0; life < 4; life++) {
      const { child, ended, tpm } = await serve(directory);
      try {
        const found = await nvReadPublic(tpm, handle);
        const index: NvIndex = found ?? (await counterIncrement(tpm, await counterDefine(tpm, { handle })));
        const woken = await counterRead(tpm, index);
        // What was answered is there; the one that was under way when it was killed may be.
        if (life > 0) expect([known, known + 1n]).toContain(woken);
        known = woken;
        const dieAfter = 20 + pick(chance, 200);
        for (let i = 0; ; i++) {
          if (i === dieAfter) child.kill('SIGKILL');
          try {
            await counterIncrement(tpm, index);
          } catch {
            break;
          }
          known++;
        }
      } finally {
        child.kill('SIGKILL');
        await ended;
        await tpm.close();
      }
    }
    expect(known).toBeGreaterThan(80n);
  });
});
