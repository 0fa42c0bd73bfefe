import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { nodePlatform } from 'fealty';
import type { Tpm, TpmObject, Transport } from 'fealty/tpm';
import {
  createPrimary,
  ekRsaTemplate,
  flush,
  getRandom,
  iakTemplate,
  ldevidTemplate,
  openTpm,
  quote,
  run,
} from 'fealty/tpm';
import { TPM2_Sign } from 'fealty/tpm/commands';

/** Whoever answers a command: a transport, a socket, a software TPM. */
export type Exchange = (command: Uint8Array) => Promise<Uint8Array>;

const none = new Uint8Array();
const message = new Uint8Array(32).fill(0x5a);

/** One thing to do with a TPM, through the client. */
export interface Work {
  readonly what: string;
  /** How often in one round. */
  readonly count: number;
  act(tpm: Tpm, signer: TpmObject, attester: TpmObject): Promise<unknown>;
}

/** What the client and a raw socket both do. */
export const works: readonly Work[] = [
  { what: 'GetRandom(32)', count: 1000, act: (tpm) => getRandom(tpm, 32) },
  {
    what: 'P-256 sign',
    count: 100,
    act: (tpm, signer) =>
      run(tpm, TPM2_Sign, {
        keyHandle: signer,
        digest: message,
        inScheme: { scheme: 'null' },
        validation: { tag: 'hashcheck', hierarchy: 0x40000007, digest: none },
      }),
  },
  {
    what: 'quote',
    count: 100,
    act: (tpm, _signer, attester) =>
      quote(tpm, attester, { qualifyingData: message, pcrs: [{ hash: 'sha256', pcrSelect: [0, 7, 16] }] }),
  },
  {
    what: 'CreatePrimary, P-256',
    count: 60,
    act: async (tpm) =>
      flush(tpm, await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate })),
  },
];

/** A TPM with a signing and an attestation key loaded, and the bytes that each of {@link works} sends. */
export interface Stage {
  readonly tpm: Tpm;
  readonly signer: TpmObject;
  readonly attester: TpmObject;
  /** The commands of one act, by its name. */
  readonly bytes: ReadonlyMap<string, readonly Uint8Array[]>;
}

/** Opens the client on `transport`, loads two keys, and writes down what it sends. */
export async function stage(transport: Transport): Promise<Stage> {
  const { clock, random } = nodePlatform({ directory: '.' });
  let sent: Uint8Array[] = [];
  const recording: Transport = {
    exchange: (command, signal) => {
      sent.push(command);
      return transport.exchange(command, signal);
    },
  };
  const first = await openTpm({ transport: recording, clock, random });
  const signer = await createPrimary(first, { hierarchy: 'owner', template: ldevidTemplate });
  const attester = await createPrimary(first, { hierarchy: 'endorsement', template: iakTemplate() });
  const bytes = new Map<string, readonly Uint8Array[]>();
  for (const work of works) {
    // The first use of a guarded key after a start is answered RETRY, and sent twice.
    await work.act(first, signer, attester);
    sent = [];
    await work.act(first, signer, attester);
    bytes.set(work.what, sent.slice());
  }
  return { tpm: await openTpm({ transport, clock, random }), signer, attester, bytes };
}

/** A socket that sends and waits, and does nothing else: the most that a Node client can reach. */
export async function rawSocket(port: number): Promise<{ readonly exchange: Exchange; close(): void }> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  let answered: (answer: Uint8Array) => void = () => {};
  let got: Buffer | undefined;
  socket.on('data', (chunk: Buffer) => {
    got = got === undefined ? chunk : Buffer.concat([got, chunk]);
    if (got.length < 10 || got.length < got.readUInt32BE(2)) return;
    const answer = got;
    got = undefined;
    answered(answer);
  });
  return {
    exchange: (command) =>
      new Promise((resolve) => {
        answered = resolve;
        socket.write(command);
      }),
    close: () => void socket.destroy(),
  };
}

/** As tpm2-tools do: a connection for each command. */
export const onePerConnection =
  (port: number): Exchange =>
  async (command) => {
    const { exchange, close } = await rawSocket(port);
    const answer = await exchange(command);
    close();
    return answer;
  };

/** Sends `commands` `count` times over; calls a second. @throws when the TPM refuses one. */
export async function rate(
  exchange: Exchange,
  commands: readonly Uint8Array[],
  count: number,
): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < count; i++)
    for (const command of commands) {
      const got = await exchange(command);
      if ((got[6] ?? 1) | (got[7] ?? 1) | (got[8] ?? 1) | (got[9] ?? 1))
        throw new Error(`${wordAt6(command)} was refused: ${wordAt6(got)}`);
    }
  return (count / (performance.now() - start)) * 1000;
}

/** Calls of `act` a second. */
export async function rateOf(act: () => Promise<unknown>, count: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < count; i++) await act();
  return (count / (performance.now() - start)) * 1000;
}

/** Makes an RSA-2048 primary key that nobody has made before, and forgets it. */
export async function rsaPrimary(tpm: Tpm, serial: number): Promise<void> {
  const unique = new Uint8Array(256);
  new DataView(unique.buffer).setUint32(0, serial);
  await flush(tpm, await createPrimary(tpm, { hierarchy: 'owner', template: { ...ekRsaTemplate, unique } }));
}

/** `fealty tpm serve` in a process of its own. */
export async function startServed(): Promise<{
  readonly port: number;
  readonly pid: number;
  close(): Promise<void>;
}> {
  const root = resolve(import.meta.dirname, '..');
  const main = join(root, 'dist/src/cli/main.js');
  if (!existsSync(main)) throw new Error('dist/ is not there: run `npm run build` first');
  const child = spawn(process.execPath, [main, 'tpm', 'serve', '--port', '0', '--slots', '16', '--json'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { port } = JSON.parse(line.toString()) as { port: number };
  return {
    port,
    pid: child.pid ?? 0,
    close: async () => {
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

/** Memory of a process that is its own share, in MB. */
export function proportionalMb(pid: number): number {
  const line = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  return Number(line?.[1] ?? Number.NaN) / 1024;
}

/** The code of a command, or of an answer. */
function wordAt6(message: Uint8Array): string {
  return Buffer.from(message.subarray(6, 10)).toString('hex');
}
