import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../../src/core/platform.ts';

/** A real swtpm process of one robot. */
export interface RunningSwtpm {
  /** Its transport, for example `swtpm:path=/tmp/x/sock`. */
  readonly transport: string;
  close(): Promise<void>;
}

/** Starts swtpm with its state in `directory`. Its sockets are in a short path: Unix allows 107 characters. */
export async function startSwtpm(directory: string, name: string, clock: Clock): Promise<RunningSwtpm> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const sockets = join(tmpdir(), `fealty-swtpm-${process.pid}-${name}`);
  await mkdir(sockets, { recursive: true, mode: 0o700 });
  const path = join(sockets, 'sock');
  const child = spawn(
    'swtpm',
    [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${directory}`,
      '--server',
      `type=unixio,path=${path}`,
      '--ctrl',
      `type=unixio,path=${path}.ctrl`,
      '--flags',
      'startup-clear',
      '--seccomp',
      'action=none',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      said += error.message;
      resolve();
    });
    child.once('exit', () => resolve());
  });
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await gone;
    await rm(sockets, { recursive: true, force: true });
  };
  for (let attempt = 0; attempt < 100; attempt++) {
    if (ended(child)) break;
    if (await answers(path)) return { transport: `swtpm:path=${path}`, close };
    await clock.sleep(20);
  }
  await close();
  throw new Error(`swtpm does not start: ${said.trim() || 'it does not listen'}`);
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
