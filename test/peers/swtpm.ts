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

/** swtpm in the background, with a fresh TPM. */
interface Daemon {
  readonly pid: number;
  /** What it said before it went there. */
  readonly said: string;
  /** Ends the process and removes its folder; idempotent. */
  close(): Promise<void>;
}

/** Starts swtpm as `kind`, with a folder of its own for its state; `options` may put more into it. */
export async function startDaemon(
  kind: 'socket' | 'chardev',
  options: (directory: string) => readonly string[],
): Promise<Daemon> {
  const directory = await mkdtemp(join(tmpdir(), 'fealty-swtpm-'));
  const pidFile = join(directory, 'pid');
  const own = ['--tpm2', '--tpmstate', `dir=${directory}`, '--pid', `file=${pidFile}`, '--daemon'];
  // with --daemon it returns when it can be used, so nothing has to be waited for
  const { stdout } = await exec('swtpm', [kind, ...own, ...options(directory)]);
  const pid = Number(await readFile(pidFile, 'utf8'));
  let closed = false;
  return {
    pid,
    said: stdout,
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

/** Starts swtpm on a Unix socket in a temporary folder, or on TCP ports of its own. */
export async function startSwtpm(by: 'unix' | 'tcp' = 'unix'): Promise<Swtpm> {
  const port = by === 'tcp' ? await freePorts() : 0;
  let spec = `swtpm:host=127.0.0.1,port=${port}`;
  const { pid, close } = await startDaemon('socket', (directory) => {
    const path = join(directory, 'sock');
    if (by === 'unix') spec = `swtpm:path=${path}`;
    // the control channel of tpm2-tools: path.ctrl, or the next port
    const [server, ctrl] =
      by === 'unix'
        ? [`type=unixio,path=${path}`, `type=unixio,path=${path}.ctrl`]
        : [port, port + 1].map((one) => `type=tcp,port=${one},bindaddr=127.0.0.1`);
    const sockets = ['--server', server ?? '', '--ctrl', ctrl ?? ''];
    return [...sockets, '--flags', 'startup-clear', '--seccomp', 'action=none'];
  });
  return { spec, tcti: spec, pid, port, close };
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
