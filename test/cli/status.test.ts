import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BadConfiguration } from '../../src/agent/index.ts';
import type { Io } from '../../src/cli/command.ts';
import { status } from '../../src/cli/status.ts';

describe('fealty status', () => {
  const ask = async (state: string) => {
    const said: unknown[] = [];
    const io = { json: (value: unknown) => said.push(value) } as unknown as Io;
    const code = await status.run({ values: { state, json: true }, positionals: [] }, io);
    return { code, said };
  };

  it('tells what a folder holds when no agent runs there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fealty-status-'));
    expect(await ask(folder)).toMatchObject({
      code: 0,
      said: [{ running: false, agent: null, state: 'shipped' }],
    });
    await rm(folder, { recursive: true });
  });

  it('refuses a folder that is not there: it says nothing about an agent', async () => {
    await expect(ask(join(tmpdir(), 'fealty-nowhere'))).rejects.toThrow(BadConfiguration);
  });
});
