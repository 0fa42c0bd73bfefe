import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ControlServer } from '../../src/agent/control.ts';
import { askControl, ControlRefused, serveControl } from '../../src/agent/control.ts';
import { NotReady } from '../../src/agent/errors.ts';
import { Unreachable } from '../../src/core/errors.ts';

let folder: string;
let path: string;
let server: ControlServer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fealty-control-'));
  path = join(folder, 'control.sock');
  // What a process that was killed left behind.
  await writeFile(path, '');
  server = await serveControl(path, {
    echo: async (argument) => argument,
    refuse: async () => {
      throw new NotReady('domain', 'no such domain');
    },
    crash: async () => {
      throw new Error('a fault inside');
    },
  });
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

function raw(options: {
  readonly method: string;
  readonly url: string;
  readonly body?: string;
}): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, method: options.method, path: options.url }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asked.on('error', reject);
    // The socket may break after the answer, when the server has seen enough.
    asked.on('socket', (socket) => socket.on('error', reject));
    asked.end(options.body);
  });
}

describe('the control socket of an agent', () => {
  it('answers what it is asked', async () => {
    expect(await askControl(path, 'echo', { a: [1, 'two'] })).toEqual({ a: [1, 'two'] });
    expect(await askControl(path, 'echo')).toBeNull();
  });

  it('passes a refusal on with its code, and a fault without its inside', async () => {
    await expect(askControl(path, 'refuse')).rejects.toMatchObject({
      code: 'agent.control-refused',
      reason: 'agent.not-ready',
      message: 'no such domain',
    });
    await expect(askControl(path, 'crash')).rejects.toThrow(ControlRefused);
  });

  it('knows no other names, not even those of objects, and no other methods', async () => {
    for (const name of ['nothing', 'toString', '__proto__', 'constructor'])
      await expect(askControl(path, name)).rejects.toThrow(ControlRefused);
    expect(await raw({ method: 'GET', url: '/echo' })).toBe(404);
  });

  it('refuses what is not JSON, or too much of it', async () => {
    expect(await raw({ method: 'POST', url: '/echo', body: '{"a":1,"a":2}' })).not.toBe(200);
    expect(
      await raw({ method: 'POST', url: '/echo', body: 'x'.repeat(300_000) }).catch(() => 'cut off'),
    ).not.toBe(200);
  });

  it('is open to its own user alone', async () => {
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('says when nobody listens', async () => {
    await server.close();
    await expect(askControl(path, 'echo')).rejects.toThrow(Unreachable);
  });
});
