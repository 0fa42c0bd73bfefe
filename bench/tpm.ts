import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { nodePlatform } from 'fealty';
import { SoftwareTpm } from 'fealty/simulator';
import { openTransport } from 'fealty/tpm';
import { startSwtpm } from '../test/peers/swtpm.ts';
import type { Bench, Row } from './row.ts';
import { median } from './row.ts';
import { durableCounter, manufactured, wake } from './tpm-fleet.ts';
import {
  onePerConnection,
  proportionalMb,
  rate,
  rateOf,
  rawSocket,
  rsaPrimary,
  stage,
  startServed,
  works,
} from './tpm-peers.ts';

const rounds = 25;
/** How often what is compared takes turns in one round. */
const turns = 5;
const root = resolve(import.meta.dirname, '..');

/** The client beside a raw socket, the software TPM beside swtpm: all in one run, round by round. */
export const tpm: Bench = {
  about: `The client and the software TPM beside swtpm: interleaved, medians of ${rounds} rounds.`,
  run: async (progress) => {
    const { clock, random } = nodePlatform({ directory: '.' });
    const swtpm = await startSwtpm('tcp');
    const served = await startServed();
    try {
      const transport = openTransport(swtpm.spec);
      const there = await stage(transport);
      const chip = await SoftwareTpm.create({ clock, random, slots: 8 });
      const here = await stage({ exchange: (command) => chip.exchange(command) });
      const template = await manufactured();
      const counter = await durableCounter();
      const samples = new Samples();
      await transport.close?.();
      // Processes that have served for a while: their code is compiled.
      const warm = there.bytes.get('GetRandom(32)') ?? [];
      for (const { port } of [served, swtpm]) await rate(onePerConnection(port), warm, 2000);
      // And a client that has asked for a while.
      for (const work of works) await rateOf(() => work.act(here.tpm, here.signer, here.attester), 3000);
      for (let round = 0; round < rounds; round++) {
        for (const work of works) {
          const { what, count } = work;
          const bytes = there.bytes.get(what) ?? [];
          const warming = Math.max(10, count / turns / 10);
          const client = async () => {
            const act = () => work.act(there.tpm, there.signer, there.attester);
            await rateOf(act, warming); // it connects, and its code is at hand
            samples.add(`client ${what}`, await rateOf(act, count / turns));
            await transport.close?.(); // swtpm serves one connection at a time
          };
          const socket = async () => {
            const raw = await rawSocket(swtpm.port);
            await rate(raw.exchange, bytes, warming);
            samples.add(`raw ${what}`, await rate(raw.exchange, bytes, count / turns));
            raw.close();
          };
          // Short turns, and each goes first as often as the other: what is warm and what is busy is shared.
          for (let turn = 0; turn < turns; turn++)
            for (const one of turn % 2 ? [client, socket] : [socket, client]) await one();
          const inside = (command: Uint8Array) => chip.exchange(command);
          samples.add(`in process ${what}`, await rate(inside, here.bytes.get(what) ?? [], count * 4));
        }
        await transport.close?.();
        const random32 = there.bytes.get('GetRandom(32)') ?? [];
        const ports = [
          ['swtpm', swtpm.port],
          ['served', served.port],
        ] as const;
        for (let turn = 0; turn < turns; turn++)
          for (const [who, port] of turn % 2 ? ports : ports.toReversed()) {
            await rate(onePerConnection(port), random32, 10);
            samples.add(`${who} by connection`, await rate(onePerConnection(port), random32, 60));
          }
        for (let i = 0; i < 3; i++) {
          const serial = round * 3 + i;
          samples.add('swtpm RSA', 1000 / (await rateOf(() => rsaPrimary(there.tpm, serial), 1)));
          samples.add('RSA', 1000 / (await rateOf(() => rsaPrimary(here.tpm, serial), 1)));
        }
        await transport.close?.();
        samples.add('wake', 1000 / (await rateOf(() => wake(template), 10)));
        samples.add('increment', 1000 / (await rateOf(counter, 100)));
        if (round % 5 === 0) samples.add('swtpm start', await timed(startAndEnd));
        progress(`round ${round + 1} of ${rounds}`);
      }
      const fleets: Fleet[] = [];
      for (let i = 0; i < 3; i++) fleets.push(await fleet());
      return [
        ...clientRows(samples),
        ...insideRows(samples),
        ...fleetRows(fleets, samples, proportionalMb(swtpm.pid)),
      ];
    } finally {
      await served.close();
      await swtpm.close();
    }
  },
};

class Samples {
  readonly #all = new Map<string, number[]>();

  add(name: string, value: number): void {
    const list = this.#all.get(name) ?? [];
    list.push(value);
    this.#all.set(name, list);
  }

  median(name: string): number {
    return median(this.#all.get(name) ?? []);
  }

  /** Of samples that were taken side by side: the machine's own pace drifts, but not between neighbours. */
  medianRatio(name: string, peer: string): number {
    const peers = this.#all.get(peer) ?? [];
    return median((this.#all.get(name) ?? []).map((one, i) => one / (peers[i] ?? Number.NaN)));
  }

  mean(name: string): number {
    const list = this.#all.get(name) ?? [];
    return list.reduce((sum, one) => sum + one, 0) / list.length;
  }
}

function clientRows(samples: Samples): Row[] {
  return works.map(({ what }) => {
    const value = samples.median(`client ${what}`);
    const raw = samples.median(`raw ${what}`);
    const ratio = samples.medianRatio(`client ${what}`, `raw ${what}`);
    return {
      what: `client over TCP to swtpm: ${what}`,
      value,
      unit: '/s',
      peer: `raw socket ${raw.toFixed(0)} /s`,
      ratio,
      goal: '≥ 0.9 of the raw socket',
      holds: ratio >= 0.9,
    };
  });
}

/** Goals of the software TPM in this process: calls a second, and how many times swtpm. */
const goals: Readonly<Record<string, { readonly perSecond: number; readonly timesSwtpm?: number }>> = {
  'GetRandom(32)': { perSecond: 200_000 },
  'P-256 sign': { perSecond: 10_000, timesSwtpm: 4 },
  quote: { perSecond: 12_000, timesSwtpm: 4 },
};

function insideRows(samples: Samples): Row[] {
  const rows = Object.entries(goals).map(([what, { perSecond, timesSwtpm }]): Row => {
    const value = samples.median(`in process ${what}`);
    const peer = samples.median(`raw ${what}`);
    const words = `≥ ${perSecond / 1000} k/s${timesSwtpm === undefined ? '' : `, ≥ ${timesSwtpm} times swtpm`}`;
    return {
      what: `software TPM in process: ${what}`,
      value,
      unit: '/s',
      peer: `swtpm ${peer.toFixed(0)} /s`,
      ratio: value / peer,
      goal: words,
      holds: value >= perSecond && value / peer >= (timesSwtpm ?? 0),
    };
  });
  const served = samples.median('served by connection');
  const peer = samples.median('swtpm by connection');
  const servedRatio = samples.medianRatio('served by connection', 'swtpm by connection');
  const rsa = samples.mean('RSA');
  const swtpmRsa = samples.mean('swtpm RSA');
  return [
    ...rows,
    {
      what: 'software TPM served: GetRandom(32), a connection each',
      value: served,
      unit: '/s',
      peer: `swtpm ${peer.toFixed(0)} /s`,
      ratio: servedRatio,
      goal: '≥ 0.7 of swtpm',
      holds: servedRatio >= 0.7,
    },
    {
      what: 'software TPM: CreatePrimary, RSA-2048, always another (mean)',
      value: rsa,
      unit: 'ms',
      peer: `swtpm ${swtpmRsa.toFixed(0)} ms`,
      ratio: rsa / swtpmRsa,
      goal: '≤ 1.5 times swtpm',
      holds: rsa / swtpmRsa <= 1.5,
    },
  ];
}

interface Fleet {
  readonly createMs: number;
  readonly rssMb: number;
  readonly heapKb: number;
}

async function fleet(): Promise<Fleet> {
  const script = join(root, 'bench/tpm-thousand.ts');
  const args = ['--expose-gc', '--import', 'tsx', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  return JSON.parse(stdout) as Fleet;
}

function fleetRows(fleets: readonly Fleet[], samples: Samples, swtpmMb: number): Row[] {
  const of = (key: keyof Fleet) => median(fleets.map((one) => one[key]));
  const swtpmStartMs = samples.median('swtpm start');
  const [wakeMs, incrementMs] = [samples.median('wake'), samples.median('increment')];
  const start = `swtpm start to sockets ${swtpmStartMs.toFixed(0)} ms`;
  const share = `swtpm ${swtpmMb.toFixed(1)} MB each (PSS)`;
  const below = (
    what: string,
    value: number,
    unit: string,
    most: number,
    peer: string,
    peers: number,
  ): Row => ({
    what,
    value,
    unit,
    peer,
    ratio: value / peers,
    goal: `< ${most} ${unit}`,
    holds: value < most,
  });
  return [
    below('create an instance', of('createMs'), 'ms', 1, start, swtpmStartMs),
    below('wake one with EK, IAK, IDevID, to its first signature', wakeMs, 'ms', 15, start, swtpmStartMs),
    below('NV_Increment, stored in memory', incrementMs, 'ms', 1, start, swtpmStartMs),
    below('heap of an idle instance', of('heapKb'), 'KB', 64, share, swtpmMb * 1024),
    below('1,000 instances, more RSS', of('rssMb'), 'MB', 120, share, swtpmMb * 1000),
  ];
}

async function startAndEnd(): Promise<void> {
  const one = await startSwtpm('unix');
  await one.close();
}

async function timed(act: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}
