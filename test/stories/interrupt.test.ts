import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { root } from '../house/sources.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fealty-interrupt-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A process group of its own, as a terminal makes one: Ctrl-C reaches every process in it. */
function simulate(): ChildProcess {
  return spawn(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', 'src/cli/main.ts', 'simulate', 'rescue'],
    { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: folder } },
  );
}

function groupLives(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a story that is interrupted', () => {
  it.each([
    ['while the robots are made', /^ 1 /m],
    ['while a domain runs', /convened the domain of rescue-7/],
  ])('leaves no process and no file behind (%s)', async (_, moment) => {
    const child = simulate();
    const { pid } = child;
    if (pid === undefined) throw new Error('it did not start');
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (moment.test(said)) resolve();
      });
      child.once('exit', () => reject(new Error(`it ended before: ${said}`)));
    });
    const gone = once(child, 'exit');
    process.kill(-pid, 'SIGINT');
    const [code] = await gone;
    expect(code).toBe(1);
    await expect.poll(() => groupLives(pid), { timeout: 10_000 }).toBe(false);
    // The loader of the sources keeps a cache of its own in the temporary folder.
    expect((await readdir(folder)).filter((name) => !name.startsWith('tsx-'))).toEqual([]);
  });
});
