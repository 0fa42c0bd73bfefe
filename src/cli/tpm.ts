import { hex } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import { nodePlatform } from '../core/node.ts';
import type { DistinguishedName } from '../identity/index.ts';
import { parseCertificate, unpadCertificate } from '../identity/index.ts';
import { listHandles, nvReadCertificate, openTpm, openTransport, readClock } from '../tpm/index.ts';
import type { Command } from './command.ts';
import { flag, Misuse, text } from './command.ts';

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
