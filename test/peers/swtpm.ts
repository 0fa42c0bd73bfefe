import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Transport } from '../../src/tpm/index.ts';
import { openTransport } from '../../src/tpm/index.ts';

const exec = promisify(execFile);

/** A real swtpm process of our own, with a fresh TPM. */
export interface Swtpm {
  /** For `openTransport`. */
  readonly spec: string;
  /** For tpm2-tools (`TPM2TOOLS_TCTI`); its socket is the same. */
  readonly tcti: string;
  readonly pid: number;
  /** Of commands, with TCP; control is on the next one. */
  readonly port: number;
  /** Ends the process and removes its folder. */
  close(): Promise<void>;
}

/** Starts swtpm on a Unix socket in a temporary folder, or on TCP ports of its own. */
export async function startSwtpm(by: 'unix' | 'tcp' = 'unix'): Promise<Swtpm> {
  const directory = await mkdtemp(join(tmpdir(), 'fealty-swtpm-'));
  const path = join(directory, 'sock');
  const port = by === 'tcp' ? await freePorts() : 0;
  const server = by === 'unix' ? `type=unixio,path=${path}` : `type=tcp,port=${port},bindaddr=127.0.0.1`;
  // the control channel of tpm2-tools: path.ctrl, or the next port
  const ctrl =
    by === 'unix' ? `type=unixio,path=${path}.ctrl` : `type=tcp,port=${port + 1},bindaddr=127.0.0.1`;
  const pidFile = join(directory, 'pid');
  // with --daemon it returns when its sockets listen, so nothing has to be waited for
  await exec('swtpm', [
    'socket',
    '--tpm2',
    '--tpmstate',
    `dir=${directory}`,
    '--server',
    server,
    '--ctrl',
    ctrl,
    '--flags',
    'startup-clear',
    '--seccomp',
    'action=none',
    '--pid',
    `file=${pidFile}`,
    '--daemon',
  ]);
  const pid = Number(await readFile(pidFile, 'utf8'));
  const spec = by === 'unix' ? `swtpm:path=${path}` : `swtpm:host=127.0.0.1,port=${port}`;
  let closed = false;
  return {
    spec,
    tcti: spec,
    pid,
    port,
    async close() {
      if (closed) return;
      closed = true;
      try {
        process.kill(pid);
      } catch {
        // it ended by itself
      }
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** As {@link startSwtpm}, with a connection to it that is closed with it. */
export async function openSwtpm(by?: 'unix' | 'tcp'): Promise<Swtpm & { readonly transport: Transport }> {
  const swtpm = await startSwtpm(by);
  const transport = openTransport(swtpm.spec);
  return {
    ...swtpm,
    transport,
    async close() {
      await transport.close?.();
      await swtpm.close();
    },
  };
}

/** Two ports in a row that were free a moment ago. */
async function freePorts(): Promise<number> {
  for (;;) {
    const first = createServer().listen(0, '127.0.0.1');
    await once(first, 'listening');
    const { port } = first.address() as AddressInfo;
    const second = createServer();
    const free = await new Promise<boolean>((resolve) => {
      second.once('error', () => resolve(false));
      second.listen(port + 1, '127.0.0.1', () => resolve(true));
    });
    first.close();
    if (free) second.close();
    if (free) return port;
  }
}
