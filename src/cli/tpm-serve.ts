import { nodePlatform } from '../core/node.ts';
import type { Command } from './command.ts';
import { flag, Misuse, text, whole } from './command.ts';

/** `fealty tpm serve`. */
export const tpmServe: Command = {
  about:
    'Runs a software TPM 2.0 that speaks the protocol of swtpm: commands on a TCP port and control on the next one, or on Unix sockets.\n' +
    'tpm2-tools and others use it unchanged. Whoever reaches it owns it, so it listens on loopback alone.\n' +
    'It is for tests and simulations: an authority refuses it unless it was made for simulation.',
  options: {
    port: {
      type: 'string',
      value: 'N',
      describe: 'data port; control is N+1 (default: 2321; 0: a free pair)',
    },
    socket: { type: 'string', value: 'PATH', describe: 'Unix sockets PATH and PATH.ctrl instead' },
    state: {
      type: 'string',
      value: 'DIR',
      describe: 'keep keys, NV and counters in DIR (default: gone at the end)',
    },
    slots: {
      type: 'string',
      value: 'N',
      describe: 'transient objects and sessions it has room for (default: 3, as hardware)',
    },
  },
  examples: [
    ['tpm serve --port 2321 --state ./tpm', 'then: export TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=2321'],
    ['tpm serve --port 0 --slots 64 --json', 'a free port, room for tools that leave their objects behind'],
  ],
  run: async (input, io) => {
    const { SoftwareTpm, serveTpm } = await import('../../simulator/tpm/index.ts');
    const state = text(input, 'state');
    const path = text(input, 'socket');
    if (path !== undefined && text(input, 'port') !== undefined)
      throw new Misuse('--port or --socket, not both');
    const platform = nodePlatform({ directory: state ?? '.' });
    const chip = await SoftwareTpm.create({
      random: platform.random,
      clock: platform.clock,
      store: state === undefined ? undefined : platform.store,
      slots: whole(input, 'slots', { min: 3, max: 1024 }),
    });
    const port = whole(input, 'port', { min: 0, max: 65_534 }) ?? 2321;
    await using server = await serveTpm(chip, path === undefined ? { port } : { path });
    if (flag(input, 'json')) io.json({ tcti: server.tcti, port: server.port, pid: process.pid });
    else {
      io.print(`software TPM at ${server.tcti}`);
      io.print(`export TPM2TOOLS_TCTI=${server.tcti}`);
    }
    const stop = () => void server.close();
    if (io.signal.aborted) stop();
    io.signal.addEventListener('abort', stop, { once: true });
    await server.closed;
    await chip.close();
    return 0;
  },
};
