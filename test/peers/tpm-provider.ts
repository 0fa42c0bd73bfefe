import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { serveTpm } from '../../simulator/tpm/serve.ts';
import { serveMssim } from '../../simulator/tpm/serve-mssim.ts';
import { concat, u32 } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { startSwtpm } from './swtpm.ts';

/** Where a server listens: a Unix socket, or a port on loopback. */
export type Place = { readonly path: string } | { readonly port: number; readonly host: string };

/** A TPM that other people's programs can reach. */
export interface ProvidedTpm {
  /** For everything on top of tpm2-tss. */
  readonly tcti: string;
  /** Where commands go; control or platform commands go {@link beside} it. */
  readonly place: Place;
  /** Power off and on; TPM2_Startup is then expected. */
  powerCycle(): Promise<void>;
  close(): Promise<void>;
}

/**
 * How it is reached: swtpm's protocol by a Unix socket or on TCP, or that of Microsoft's simulator. The tools open a
 * connection for each command, so TCP is for what knows nothing else: a minute of it leaves no port free.
 */
export type Way = 'unix' | 'tcp' | 'mssim';

/** What {@link provideTpm} gives: the software TPM, unless asked for the real thing to try a test on. */
export const subject = process.env['FEALTY_TEST_TPM'] === 'swtpm' ? 'swtpm' : 'the software TPM';

/** True when the tests run against swtpm: it has three slots, and each tool must leave them as it found them. */
export const cramped = subject === 'swtpm';

/** The ways on TCP: swtpm does not speak the protocol of Microsoft's simulator. */
export const waysByPort: readonly Way[] = cramped ? ['tcp'] : ['tcp', 'mssim'];

/**
 * A fresh TPM for other people's programs. The software TPM, or with `FEALTY_TEST_TPM=swtpm` swtpm itself: what a test
 * asks of ours it must be able to ask of that one.
 */
export function provideTpm(slots: number, way: Way = 'unix'): Promise<ProvidedTpm> {
  return cramped ? provideSwtpm(way) : provideSoftwareTpm(slots, way);
}

/** swtpm itself. */
export async function provideSwtpm(way: Way = 'unix'): Promise<ProvidedTpm> {
  const { tcti, close } = await startSwtpm(way === 'tcp' ? 'tcp' : 'unix');
  const path = /path=(.*)$/.exec(tcti)?.[1];
  const port = /port=(\d+)/.exec(tcti)?.[1];
  const place = path === undefined ? { host: '127.0.0.1', port: Number(port) } : { path };
  return { tcti, place, powerCycle: () => initialize(place), close };
}

/** The software TPM, served by this process. */
export async function provideSoftwareTpm(slots: number, way: Way = 'unix'): Promise<ProvidedTpm> {
  const { clock, random } = nodePlatform({ directory: '.' });
  const chip = await SoftwareTpm.create({ clock, random, slots });
  const directory = await mkdtemp(join(tmpdir(), 'fealty-served-'));
  const path = join(directory, 'sock');
  const serve = way === 'mssim' ? serveMssim : serveTpm;
  const server = await serve(chip, way === 'unix' ? { path } : { port: 0 });
  const place = way === 'unix' ? { path } : { host: '127.0.0.1', port: server.port };
  return {
    tcti: server.tcti,
    place,
    powerCycle: () => (way === 'mssim' ? powerOffAndOn(place) : initialize(place)),
    async close() {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The socket beside that of commands. */
export function beside(place: Place): Place {
  return 'path' in place ? { path: `${place.path}.ctrl` } : { ...place, port: place.port + 1 };
}

/** swtpm's CMD_INIT. */
const initialize = (place: Place) => command(place, concat(u32(2), u32(0)));

/** The platform commands of Microsoft's simulator. */
async function powerOffAndOn(place: Place): Promise<void> {
  await command(place, u32(2));
  await command(place, u32(1));
}

/** A command to the second socket whose answer is four zero bytes. */
async function command(place: Place, bytes: Uint8Array): Promise<void> {
  const socket = createConnection(beside(place));
  socket.write(bytes);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  if (answer.toString('hex') !== '00000000') throw new Error(`refused: ${answer.toString('hex')}`);
}
