import { spawnSync } from 'node:child_process';
import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../core/errors.ts';
import { nodePlatform } from '../core/node.ts';
import { openTpm, openTransport } from '../tpm/index.ts';
import type { Command } from './command.ts';
import { flag, text } from './command.ts';

interface Finding {
  readonly what: string;
  /** `bad` stops fealty from working; `note` is worth knowing. */
  readonly state: 'good' | 'note' | 'bad';
  readonly seen: string;
}

/** `fealty doctor`. */
export const doctor: Command = {
  about:
    'Looks for what would stop fealty from working on this machine, and says what to do. It changes nothing.',
  options: {
    state: {
      type: 'string',
      value: 'DIR',
      describe: 'the state folder to look at (default: a temporary one)',
    },
    tpm: { type: 'string', value: 'TRANSPORT', describe: 'the TPM to look at (default: device:/dev/tpmrm0)' },
  },
  examples: [
    ['doctor', 'before the first start'],
    ['doctor --tpm swtpm:path=/run/swtpm/sock', 'with another TPM'],
  ],
  run: async (input, io) => {
    const findings: Finding[] = [
      node(),
      await state(text(input, 'state')),
      await loopback(),
      await tpm(text(input, 'tpm') ?? 'device:/dev/tpmrm0'),
      timeZones(),
      ...['swtpm', 'tpm2_getrandom', 'mosquitto', 'openssl'].map(peer),
    ];
    const good = findings.every((finding) => finding.state !== 'bad');
    if (flag(input, 'json')) io.json({ good, findings });
    else {
      const mark = { good: '✓', note: '·', bad: '✗' } as const;
      for (const finding of findings) io.print(`${mark[finding.state]} ${finding.what}: ${finding.seen}`);
      io.print(good ? 'Nothing stands in the way.' : 'Something stands in the way.');
    }
    return good ? 0 : 1;
  },
};

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const enough = major > 20 || (major === 20 && minor >= 19);
  return {
    what: 'Node.js',
    state: enough ? 'good' : 'bad',
    seen: `${process.version}${enough ? '' : ', but 20.19 or later is needed'}`,
  };
}

async function state(directory: string | undefined): Promise<Finding> {
  const temporary = directory === undefined ? await mkdtemp(join(tmpdir(), 'fealty-doctor-')) : undefined;
  const folder = directory ?? temporary ?? '.';
  try {
    const { store } = nodePlatform({ directory: folder });
    await store.write('doctor', new Uint8Array(1));
    await store.remove('doctor');
    return { what: 'state', state: 'good', seen: `\`${folder}\` can be written, durably` };
  } catch (error) {
    return { what: 'state', state: 'bad', seen: `\`${folder}\` cannot be written: ${messageOf(error)}` };
  } finally {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  }
}

function loopback(): Promise<Finding> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve({ what: 'loopback', state: 'bad', seen: messageOf(error) }));
    server.listen(0, '127.0.0.1', () =>
      server.close(() => resolve({ what: 'loopback', state: 'good', seen: 'sockets can be opened' })),
    );
  });
}

async function tpm(spec: string): Promise<Finding> {
  const { random, clock } = nodePlatform({ directory: '.' });
  if (spec === 'device:/dev/tpmrm0') {
    try {
      await access('/dev/tpmrm0', constants.R_OK | constants.W_OK);
    } catch (error) {
      const missing = messageOf(error).includes('ENOENT');
      return {
        what: 'TPM',
        state: 'note',
        seen: missing
          ? 'no /dev/tpmrm0 on this machine; simulations bring their own'
          : '/dev/tpmrm0 is there, but not for this user: join the group `tss`',
      };
    }
  }
  try {
    await using opened = await openTpm({ transport: openTransport(spec), random, clock, timeoutMs: 5_000 });
    return { what: 'TPM', state: 'good', seen: `${opened.manufacturer} (${opened.vendor}) at ${spec}` };
  } catch (error) {
    return { what: 'TPM', state: 'bad', seen: `${spec}: ${messageOf(error)}` };
  }
}

function timeZones(): Finding {
  const version = process.versions['tz'] ?? 'unknown';
  const year = Number(version.slice(0, 4));
  const old =
    Number.isFinite(year) && year < new Date(nodePlatform({ directory: '.' }).clock.now()).getFullYear() - 1;
  return {
    what: 'time zones',
    state: old ? 'note' : 'good',
    seen: `tz data ${version}${old ? ', older than a year' : ''}`,
  };
}

function peer(program: string): Finding {
  const { error } = spawnSync(program, ['--version'], { stdio: 'ignore' });
  return {
    what: program,
    state: 'note',
    seen: error
      ? 'not here; only tests and `simulate` with real peers want it'
      : 'here, for tests and `simulate`',
  };
}
