import { once } from 'node:events';
import { createConnection } from 'node:net';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { serveTpm } from '../../simulator/tpm/serve.ts';
import { concat, hex, u32 } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { startSwtpm } from './swtpm.ts';

/** A TPM that other people's programs can reach. */
export interface ProvidedTpm {
  /** For everything on top of tpm2-tss. */
  readonly tcti: string;
  /** The port of commands, on loopback. */
  readonly port: number;
  /** Power off and on; TPM2_Startup is then expected. */
  powerCycle(): Promise<void>;
  close(): Promise<void>;
}

/** What {@link provideTpm} gives: the software TPM, unless asked for the real thing to try a test on. */
export const subject = process.env['FEALTY_TEST_TPM'] === 'swtpm' ? 'swtpm' : 'the software TPM';

/** True when the tests run against swtpm: it has three slots, and each tool must leave them as it found them. */
export const cramped = subject === 'swtpm';

/**
 * A fresh TPM for other people's programs, by swtpm's protocol on TCP. The software TPM, or with
 * `FEALTY_TEST_TPM=swtpm` swtpm itself: what a test asks of ours it must be able to ask of that one.
 */
export async function provideTpm(slots: number): Promise<ProvidedTpm> {
  if (subject === 'swtpm') {
    const swtpm = await startSwtpm('tcp');
    const port = Number(/port=(\d+)/.exec(swtpm.tcti)?.[1]);
    return { tcti: swtpm.tcti, port, powerCycle: () => initialize(port + 1), close: swtpm.close };
  }
  const { clock, random } = nodePlatform({ directory: '.' });
  const server = await serveTpm(await SoftwareTpm.create({ clock, random, slots }), { port: 0 });
  const { tcti, port } = server;
  return { tcti, port, powerCycle: () => initialize(port + 1), close: server.close };
}

/** swtpm's CMD_INIT on the control port. */
async function initialize(port: number): Promise<void> {
  const socket = createConnection({ port, host: '127.0.0.1' });
  socket.end(concat(u32(2), u32(0)));
  const [answer] = (await once(socket, 'data')) as [Uint8Array];
  if (hex(answer) !== '00000000') throw new Error(`CMD_INIT: ${hex(answer)}`);
  socket.destroy();
}
