import { messageOf } from '../core/errors.ts';
import { nodePlatform } from '../core/node.ts';
import type { Command } from './command.ts';
import { flag, list, Misuse, text, whole } from './command.ts';

/** `fealty tpm serve`. */
export const tpmServe: Command = {
  about:
    "Runs a software TPM 2.0 that speaks the protocol of swtpm (or of Microsoft's simulator): commands on a TCP port and control on\n" +
    "the next one, or on Unix sockets. tpm2-tools, IBM's TSS and swtpm_ioctl use it unchanged. Whoever reaches it owns it, so it listens\n" +
    'on loopback alone. It is for tests and simulations: an authority refuses it unless it was made for simulation.',
  options: {
    port: {
      type: 'string',
      value: 'N',
      describe: 'data port; control is N+1 (default: 2321; 0: a free pair)',
    },
    socket: { type: 'string', value: 'PATH', describe: 'Unix sockets PATH and PATH.ctrl instead' },
    mssim: { type: 'boolean', describe: "the protocol of Microsoft's simulator instead of swtpm's" },
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
    profile: {
      type: 'string',
      value: 'CHIP',
      describe:
        'as slow as slb9670, st33tp, npct750, npct650, attpm20 or z32h330 (default: as fast as it can)',
    },
    fault: {
      type: 'string',
      multiple: true,
      value: 'FAULT',
      describe:
        'KIND[@COMMAND][+AFTER][*TIMES][%PERCENT], for example RETRY@Sign*3, NV_RATE%5 or power-after+100',
    },
  },
  examples: [
    ['tpm serve --port 2321 --state ./tpm', 'then: export TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=2321'],
    ['tpm serve --port 0 --slots 64 --json', 'a free port, room for tools that leave their objects behind'],
    ['tpm serve --mssim --slots 64', 'then: export TPM2TOOLS_TCTI=mssim:host=127.0.0.1,port=2321'],
    ['tpm serve --profile slb9670 --fault RETRY%10', 'as slow as a chip, and busy one time in ten'],
  ],
  run: async (input, io) => {
    const { Faults, hardwareProfiles, parseFault, SoftwareTpm, serveMssim, serveTpm } = await import(
      '../../simulator/tpm/index.ts'
    );
    const state = text(input, 'state');
    const path = text(input, 'socket');
    if (path !== undefined && text(input, 'port') !== undefined)
      throw new Misuse('--port or --socket, not both');
    const chosen = text(input, 'profile');
    if (chosen !== undefined && !Object.hasOwn(hardwareProfiles, chosen))
      throw new Misuse(`--profile is one of ${Object.keys(hardwareProfiles).join(', ')}, not \`${chosen}\``);
    const faults = list(input, 'fault').map((one) => {
      try {
        return parseFault(one);
      } catch (cause) {
        throw new Misuse(messageOf(cause), { cause });
      }
    });
    const platform = nodePlatform({ directory: state ?? '.' });
    const chip = await SoftwareTpm.create({
      random: platform.random,
      clock: platform.clock,
      store: state === undefined ? undefined : platform.store,
      slots: whole(input, 'slots', { min: 3, max: 1024 }),
      profile: chosen === undefined ? undefined : hardwareProfiles[chosen as keyof typeof hardwareProfiles],
      faults: faults.length === 0 ? undefined : new Faults(faults, platform.random),
    });
    const port = whole(input, 'port', { min: 0, max: 65_534 }) ?? 2321;
    const serve = flag(input, 'mssim') ? serveMssim : serveTpm;
    await using server = await serve(chip, path === undefined ? { port } : { path });
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
