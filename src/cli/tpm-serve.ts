import { FealtyError, messageOf } from '../core/errors.ts';
import { nodePlatform } from '../core/node.ts';
import type { Command } from './command.ts';
import { flag, list, Misuse, text, whole } from './command.ts';

/** The software TPM cannot have its state, or the place where it is to listen. */
export class CannotServe extends FealtyError {
  override readonly code = 'cli.cannot-serve';
  override readonly remedy = 'ask-owner';
}

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
    const port = whole(input, 'port', { min: 0, max: 65_534 }) ?? 2321;
    const slots = whole(input, 'slots', { min: 3, max: 1024 });
    const where = path === undefined ? { port } : { path: socketPath(path) };
    const platform = nodePlatform({ directory: state ?? '.' });
    const faults = new Faults([], platform.random);
    for (const one of list(input, 'fault')) {
      try {
        faults.add(parseFault(one));
      } catch (cause) {
        throw new Misuse(`--fault: ${messageOf(cause)}`, { cause });
      }
    }
    await using chip = await SoftwareTpm.create({
      random: platform.random,
      clock: platform.clock,
      store: state === undefined ? undefined : platform.store,
      slots,
      profile: chosen === undefined ? undefined : hardwareProfiles[chosen as keyof typeof hardwareProfiles],
      faults,
    }).catch((cause) => {
      throw state === undefined ? cause : new CannotServe(stateInWords(state), { cause });
    });
    const serve = flag(input, 'mssim') ? serveMssim : serveTpm;
    await using server = await serve(chip, where).catch((cause) => {
      throw new CannotServe(listeningInWords(where), { cause });
    });
    if (flag(input, 'json')) io.json({ tcti: server.tcti, port: server.port, pid: process.pid });
    else {
      io.print(`software TPM at ${server.tcti}`);
      io.print(`export TPM2TOOLS_TCTI=${server.tcti}`);
    }
    const stop = () => void server.close();
    if (io.signal.aborted) stop();
    io.signal.addEventListener('abort', stop, { once: true });
    await server.closed;
    return 0;
  },
};

/** A kernel cuts off what is longer (sun_path: 108 bytes on Linux, 104 elsewhere) and would listen in another place. */
const longestSocket = 103 - '.ctrl'.length;

function socketPath(path: string): string {
  if (path === '') throw new Misuse('--socket needs a path');
  if (Buffer.byteLength(path) > longestSocket)
    throw new Misuse(`--socket is a path of at most ${longestSocket} bytes, as every Unix socket`);
  return path;
}

function stateInWords(state: string): string {
  return (
    `the TPM in --state \`${state}\` cannot be used; another directory, or an empty one, makes a new TPM, ` +
    'with other keys; only a copy brings this one back'
  );
}

function listeningInWords(where: { readonly port: number } | { readonly path: string }): string {
  if ('path' in where)
    return `cannot listen at \`${where.path}\` and \`${where.path}.ctrl\`; --socket names another place, in a directory that you may write to`;
  return where.port === 0
    ? 'cannot find a free pair of ports'
    : `cannot listen on ports ${where.port} and ${where.port + 1}; --port names another, --port 0 takes a free pair`;
}
