import { hex } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import { nodePlatform } from '../core/node.ts';
import type { DistinguishedName } from '../identity/index.ts';
import { parseCertificate, unpadCertificate } from '../identity/index.ts';
import { listHandles, nvReadCertificate, openTpm, openTransport, readClock } from '../tpm/index.ts';
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

/** `fealty tpm info`. */
export const tpmInfo: Command = {
  about:
    'What a TPM is and what it holds: maker, firmware, clock, keys, certificates. It reads and changes nothing.',
  options: {
    tpm: {
      type: 'string',
      value: 'TRANSPORT',
      describe: 'device:/dev/tpmrm0 (default), swtpm:host=127.0.0.1,port=2321 or swtpm:path=/run/swtpm/sock',
    },
  },
  examples: [
    ['tpm info', 'the TPM of this machine'],
    ['tpm info --tpm swtpm:host=127.0.0.1,port=2321 --json', 'a software one, as data'],
  ],
  run: async (input, io) => {
    const spec = text(input, 'tpm') ?? 'device:/dev/tpmrm0';
    const { random, clock } = nodePlatform({ directory: '.' });
    await using tpm = await openTpm({ transport: transportOf(spec), random, clock, timeoutMs: 5_000 });
    const time = await readClock(tpm);
    const persistent = await listHandles(tpm, 'persistent');
    const indices = await listHandles(tpm, 'nvIndex');
    const certificates = [];
    for (const index of indices.filter((one) => one >= 0x01c00000 && one <= 0x01c9ffff)) {
      const der = await nvReadCertificate(tpm, index).catch(() => undefined);
      if (der === undefined) continue;
      try {
        const { subject, notAfter, issuer } = parseCertificate(unpadCertificate(der));
        certificates.push({
          index: handle(index),
          subject: nameText(subject),
          issuer: nameText(issuer),
          notAfter: new Date(Math.min(notAfter, 253_402_300_799_000)).toISOString(),
        });
      } catch (error) {
        certificates.push({ index: handle(index), unreadable: messageOf(error) });
      }
    }
    const info = {
      transport: spec,
      manufacturer: tpm.manufacturer,
      vendor: tpm.vendor,
      firmware: hex(number(tpm.property('firmwareVersion1'))),
      revision: ((tpm.property('revision') ?? 0) / 100).toFixed(2),
      software: tpm.vendor.startsWith('SW'),
      clock: {
        ms: Number(time.clockInfo.clock),
        resets: time.clockInfo.resetCount,
        restarts: time.clockInfo.restartCount,
      },
      persistent: persistent.map(handle),
      nv: indices.map(handle),
      certificates,
    };
    if (flag(input, 'json')) {
      io.json(info);
      return 0;
    }
    io.print(
      `TPM 2.0 by ${info.manufacturer} (${info.vendor}), specification revision ${info.revision}, firmware ${info.firmware}`,
    );
    if (info.software) io.print('It is a software TPM: good for simulation, proof of nothing.');
    io.print(
      `On for ${(info.clock.ms / 1000).toFixed(0)} s; ${info.clock.resets} resets, ${info.clock.restarts} restarts`,
    );
    io.print(`Persistent keys: ${info.persistent.map((one) => `${one}${named(one)}`).join(', ') || 'none'}`);
    io.print(`NV indices: ${info.nv.join(', ') || 'none'}`);
    for (const certificate of certificates)
      io.print(
        'subject' in certificate
          ? `Certificate ${certificate.index}${named(certificate.index)}: ${certificate.subject}, until ${certificate.notAfter?.slice(0, 10)}`
          : `Certificate ${certificate.index}: not readable (${certificate.unreadable})`,
      );
    return 0;
  },
};

const names: Readonly<Record<string, string>> = {
  '0x81000001': 'SRK',
  '0x81010001': 'EK, RSA',
  '0x8101000a': 'EK, P-256',
  '0x81020000': 'IDevID',
  '0x81020001': 'IAK',
  '0x01c00002': 'EK, RSA',
  '0x01c0000a': 'EK, P-256',
  '0x01c90100': 'IAK',
  '0x01c90200': 'IDevID',
};

function named(index: string): string {
  return names[index] ? ` (${names[index]})` : '';
}

function nameText(name: DistinguishedName): string {
  const parts = [name.organization, name.commonName, name.serialNumber].filter((part) => part !== undefined);
  const text = parts.length > 0 ? parts.join(' ') : name.attributes.map(([, value]) => value).join(' ');
  return text === '' ? 'no name' : text;
}

function handle(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

function number(value: number | undefined): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value ?? 0);
  return bytes;
}

/** A transport by its name. @throws {Misuse} when there is no such. */
export function transportOf(spec: string): ReturnType<typeof openTransport> {
  try {
    return openTransport(spec);
  } catch (cause) {
    throw new Misuse(messageOf(cause), { cause });
  }
}
