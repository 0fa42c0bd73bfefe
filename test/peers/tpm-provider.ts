import { once } from 'node:events';
import { createConnection } from 'node:net';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { serveTpm } from '../../simulator/tpm/serve.ts';
import { concat, u32 } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { startSwtpm } from './swtpm.ts';

/** A TPM that other people's programs can reach. */
export interface ProvidedTpm {
  /** For everything on top of tpm2-tss. */
  readonly tcti: string;
  /** The port of commands, on loopback; control or platform commands go to the next. */
  readonly port: number;
  /** Power off and on; TPM2_Startup is then expected. */
  powerCycle(): Promise<void>;
  close(): Promise<void>;
}

/** What {@link provideTpm} gives: the software TPM, unless asked for the real thing to try a test on. */
export const subject = process.env['FEALTY_TEST_TPM'] === 'swtpm' ? 'swtpm' : 'the software TPM';

/** True when the tests run against swtpm: it has three slots, and each tool must leave them as it found them. */
export const cramped = subject === 'swtpm';

/** The protocols it is reached by: swtpm does not serve that of Microsoft's simulator. */
export const protocols = cramped ? (['swtpm'] as const) : (['swtpm', 'mssim'] as const);

/**
 * A fresh TPM for other people's programs, on TCP. The software TPM, or with `FEALTY_TEST_TPM=swtpm` swtpm itself: what
 * a test asks of ours it must be able to ask of that one.
 */
export function provideTpm(slots: number, protocol: 'swtpm' | 'mssim' = 'swtpm'): Promise<ProvidedTpm> {
  return cramped ? provideSwtpm() : provideSoftwareTpm(slots, protocol);
}

/** swtpm itself. */
export async function provideSwtpm(): Promise<ProvidedTpm> {
  const { tcti, close } = await startSwtpm('tcp');
  const port = Number(/port=(\d+)/.exec(tcti)?.[1]);
  return { tcti, port, powerCycle: () => initialize(port), close };
}

/** The software TPM, served by this process. */
export async function provideSoftwareTpm(
  slots: number,
  protocol: 'swtpm' | 'mssim' = 'swtpm',
): Promise<ProvidedTpm> {
  const { clock, random } = nodePlatform({ directory: '.' });
  const chip = await SoftwareTpm.create({ clock, random, slots });
  const server = await (protocol === 'swtpm' ? serveTpm : await mssim())(chip, { port: 0 });
  const { tcti, port, close } = server;
  return {
    tcti,
    port,
    powerCycle: () => (protocol === 'swtpm' ? initialize(port) : powerOffAndOn(port)),
    close,
  };
}

async function mssim(): Promise<typeof serveTpm> {
  const file = '../../simulator/tpm/serve-mssim.ts';
  const { serveMssim } = (await import(file)) as { readonly serveMssim: typeof serveTpm };
  return serveMssim;
}

/** swtpm's CMD_INIT. */
const initialize = (port: number) => command(port + 1, concat(u32(2), u32(0)));

/** The platform commands of Microsoft's simulator. */
async function powerOffAndOn(port: number): Promise<void> {
  await command(port + 1, u32(2));
  await command(port + 1, u32(1));
}

/** A command whose answer is four zero bytes. */
async function command(port: number, bytes: Uint8Array): Promise<void> {
  const socket = createConnection({ port, host: '127.0.0.1' });
  socket.write(bytes);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  if (answer.toString('hex') !== '00000000') throw new Error(`refused: ${answer.toString('hex')}`);
}
