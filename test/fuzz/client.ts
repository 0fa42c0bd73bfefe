import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { FealtyError } from '../../src/core/errors.ts';
import type { Tpm, TpmObject } from '../../src/tpm/index.ts';
import {
  createKey,
  createPrimary,
  flush,
  getRandom,
  iakTemplate,
  ldevidTemplate,
  listHandles,
  loadKey,
  nvDefine,
  nvRead,
  nvUndefine,
  nvWrite,
  openTpm,
  pcrRead,
  quote,
  readClock,
  srkTemplate,
  verifyAttestation,
} from '../../src/tpm/index.ts';
import type { Dice } from './dice.ts';
import { dice } from './dice.ts';

/** What a run came to. */
export interface ClientResult {
  readonly calls: number;
  readonly spoilt: number;
  /** Calls that ended in one of the client's own errors. */
  readonly refused: number;
}

type Call = (tpm: Tpm, from: Dice) => Promise<unknown>;

const calls: readonly Call[] = [
  (tpm) => getRandom(tpm, 48),
  (tpm) => readClock(tpm),
  (tpm) => pcrRead(tpm, [0, 7, 16]),
  (tpm, from) => listHandles(tpm, from.of(['nvIndex', 'transient', 'persistent', 'permanent'])),
  async (tpm, from) => {
    const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
    return await thenFlush(tpm, iak, async () => {
      const qualifyingData = from.random.bytes(32);
      const pcrs = [{ hash: 'sha256', pcrSelect: [0, 16] }] as const;
      const { attest, signature } = await quote(tpm, iak, { qualifyingData, pcrs });
      return verifyAttestation({ key: iak.public, attest, signature, type: 'attestQuote', qualifyingData });
    });
  },
  async (tpm, from) => {
    const srk = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
    return await thenFlush(tpm, srk, async () => {
      const auth = from.random.bytes(16);
      const wrapped = await createKey(tpm, srk, { template: ldevidTemplate, auth, saltedTo: srk });
      await flush(tpm, await loadKey(tpm, srk, wrapped, auth));
    });
  },
  async (tpm, from) => {
    const attributes = { nt: 'ordinary', authread: true, authwrite: true, noDa: true } as const;
    const index = await nvDefine(tpm, { handle: 0x01500000 + from.below(3), size: 40, attributes });
    const data = from.random.bytes(40);
    const read = await nvRead(tpm, await nvWrite(tpm, index, data));
    await nvUndefine(tpm, index.handle);
    return read;
  },
];

/**
 * Runs what people do against a software TPM whose answers are spoilt on the way, one in three. The client may end
 * in one of its own errors; anything else, a `TypeError` or a hang, is its defect.
 */
export async function fuzzClient(options: {
  readonly seed: number;
  readonly calls: number;
}): Promise<ClientResult> {
  const from = dice(`client ${options.seed}`);
  // its pauses before it asks again cost no time
  const clock = { ...virtualClock(), sleep: () => Promise.resolve() };
  const random = seededRandom(options.seed, 'client');
  const chip = await SoftwareTpm.create({ random, clock, seed: `client ${options.seed}`, slots: 16 });
  let spoilt = 0;
  let refused = 0;
  let honest = true;
  const transport = {
    exchange: async (command: Uint8Array) => {
      const answer = await chip.exchange(command);
      if (honest || !from.oneIn(3)) return answer;
      spoilt++;
      return spoiltAnswer(answer, from);
    },
  };
  for (let at = 0; at < options.calls; at++) {
    honest = true;
    await using tpm = await openTpm({ transport, random, clock });
    honest = false;
    try {
      await from.of(calls)(tpm, from);
    } catch (error) {
      if (!(error instanceof FealtyError)) throw error;
      refused++;
    }
    await chip.powerCycle(); // what spoilt answers left behind is gone
  }
  return { calls: options.calls, spoilt, refused };
}

async function thenFlush<T>(tpm: Tpm, object: TpmObject, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await flush(tpm, object).catch((error: unknown) => {
      if (!(error instanceof FealtyError)) throw error;
    });
  }
}

/** Other bytes, fewer, more, none, another code, or something that asks for patience but not for ever. */
function spoiltAnswer(answer: Uint8Array, from: Dice): Uint8Array {
  const changed = answer.slice();
  for (let i = 0; i <= from.below(3); i++) changed[from.below(changed.length)] = from.below(256);
  return from.of([
    changed,
    changed,
    answer.slice(0, from.below(answer.length)),
    from.random.bytes(from.below(64)),
    new Uint8Array([...answer, ...from.bytes(40)]),
    new Uint8Array([0x80, 1, 0, 0, 0, 10, 0, 0, from.of([0, 1, 9]), from.below(256)]),
  ]);
}
