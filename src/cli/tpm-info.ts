import { hex, u32 } from '../core/bytes.ts';
import { listHandles, lockoutState, pcrBanks, readClock } from '../tpm/index.ts';
import type { Command } from './command.ts';
import { flag } from './command.ts';
import { handleText, tpmOption, withTpm } from './tpm.ts';
import { certificatesIn } from './tpm-certs.ts';
import { keysAt } from './tpm-keys.ts';
import { dayOf, holderInWords, nameInWords, roleOfIndex, roleOfKey, timeInWords } from './tpm-words.ts';

/** `fealty tpm info`. */
export const tpmInfo: Command = {
  about:
    'What a TPM is and what it holds: maker, firmware, clock, lockout, keys, certificates; `tpm keys`, `tpm nv`, `tpm certs` and\n' +
    '`tpm pcr` say more. It reads and changes nothing.',
  options: { tpm: tpmOption },
  examples: [
    ['tpm info', 'the TPM of this machine'],
    ['tpm info --tpm swtpm:host=127.0.0.1,port=2321 --json', 'a software one, as data'],
  ],
  run: async (input, io) => {
    const info = await withTpm(input, async (tpm, transport) => {
      const { time, clockInfo } = await readClock(tpm);
      const keys = await keysAt(tpm, 'persistent');
      return {
        transport,
        manufacturer: tpm.manufacturer,
        vendor: tpm.vendor,
        firmware: hex(u32(tpm.property('firmwareVersion1') ?? 0)),
        revision: ((tpm.property('revision') ?? 0) / 100).toFixed(2),
        software: tpm.vendor.startsWith('SW'),
        clock: {
          onForMs: Number(time),
          ms: Number(clockInfo.clock),
          resets: clockInfo.resetCount,
          restarts: clockInfo.restartCount,
        },
        banks: await pcrBanks(tpm),
        lockout: await lockoutState(tpm),
        persistent: keys.map((key) => ({
          handle: handleText(key.handle),
          role: 'object' in key ? roleOfKey(key.handle, key.object.public) : 'not readable',
        })),
        nv: (await listHandles(tpm, 'nvIndex')).map(handleText),
        certificates: await certificatesIn(tpm),
      };
    });
    const certificates = info.certificates.map((one) => ({
      index: handleText(one.index),
      role: roleOfIndex(one.index),
      ...('certificate' in one
        ? {
            subject: nameInWords(one.certificate.subject),
            issuer: nameInWords(one.certificate.issuer),
            notAfter: new Date(one.certificate.notAfter).toISOString(),
          }
        : { unreadable: one.unreadable }),
    }));
    if (flag(input, 'json')) {
      io.json({ ...info, certificates });
      return 0;
    }
    const { clock, lockout, persistent } = info;
    io.print(
      `TPM 2.0 by ${info.manufacturer} (${info.vendor}), specification revision ${info.revision}, firmware ${info.firmware}`,
    );
    if (info.software) io.print('It is a software TPM: good for simulation, proof of nothing.');
    io.print(
      `On for ${timeInWords(clock.onForMs / 1000)}, ${timeInWords(clock.ms / 1000)} in all; ` +
        `resets: ${clock.resets}, restarts: ${clock.restarts}`,
    );
    io.print(`PCR banks: ${info.banks.join(', ') || 'none'}`);
    io.print(
      lockout.locked
        ? `Locked against guessing, after ${lockout.failures} wrong auth values: fealty tpm clear-lockout`
        : `Wrong auth values: ${lockout.failures} of ${lockout.failuresMax} that lock it`,
    );
    const set = Object.entries(lockout.authSet).flatMap(([name, on]) => (on ? [name] : []));
    io.print(`Auth values set: ${set.join(', ') || 'none'}`);
    io.print(
      `Persistent keys: ${persistent.map(({ handle, role }) => `${handle} (${role})`).join(', ') || 'none'}`,
    );
    io.print(`NV indices: ${info.nv.join(', ') || 'none'}`);
    for (const one of info.certificates) {
      const head = `${handleText(one.index)}, ${roleOfIndex(one.index) ?? 'certificate'}`;
      if ('certificate' in one) {
        const { certificate } = one;
        io.print(`${head}: ${holderInWords(certificate)}, valid to ${dayOf(certificate.notAfter)}`);
      } else io.print(`${head}: not readable (${one.unreadable})`);
    }
    return 0;
  },
};
