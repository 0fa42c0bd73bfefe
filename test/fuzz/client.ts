import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { FealtyError } from '../../src/core/errors.ts';
import { allCommands } from '../../src/tpm/command-table.ts';
import { openTpm } from '../../src/tpm/index.ts';
import type { Dice } from './dice.ts';
import { dice } from './dice.ts';
import { scenes } from './scenes.ts';
import { spoil, wellFormed } from './spoil.ts';

/** What a run came to. */
export interface ClientResult {
  readonly calls: number;
  readonly spoilt: number;
  /** Scenes that ended in one of the client's own errors. */
  readonly refused: number;
  /** Commands that the TPM took as they were, by name. */
  readonly succeeded: ReadonlySet<string>;
}

/** What is spoilt on its way: `answers` try the client, `commands` the software TPM; `nothing` shows that scenes work. */
export type Spoilt = 'answers' | 'commands' | 'nothing';

const names = new Map(allCommands().map(({ code, name }) => [code, name]));

/**
 * Plays what people do with a TPM, HMAC sessions, encryption and policies included, on a way that spoils what it carries,
 * one in three answers or one in eight commands. The client may end in one of its own errors; anything else, a
 * `TypeError` or a hang, is its defect, as an answer that is not well formed is the software TPM's.
 *
 * @throws {Malformed} and whatever is no error of the client's own.
 */
export async function fuzzClient(options: {
  readonly seed: number;
  readonly calls: number;
  readonly spoilt?: Spoilt;
}): Promise<ClientResult> {
  const { spoilt: what = 'answers' } = options;
  const from = dice(`client ${options.seed}`);
  // its pauses before it asks again cost no time
  const clock = { ...virtualClock(), sleep: () => Promise.resolve() };
  const random = seededRandom(options.seed, 'client');
  const chip = await SoftwareTpm.create({ random, clock, seed: `client ${options.seed}`, slots: 16 });
  const unspoilt = await chip.snapshot();
  const succeeded = new Set<string>();
  const playable = Object.values(scenes);
  let spoilt = 0;
  let refused = 0;
  let honest = true;
  const transport = {
    exchange: async (command: Uint8Array) => {
      const change = !honest && what === 'commands' && from.oneIn(8);
      const sent = change ? spoil(command, from, false) : command;
      const answer = await chip.exchange(sent);
      const name = names.get(new DataView(command.buffer, command.byteOffset).getUint32(6)) ?? '?';
      if (wellFormed(name, sent, answer) === 0 && !change) succeeded.add(name);
      if (change) spoilt++;
      if (honest || what !== 'answers' || !from.oneIn(3)) return answer;
      spoilt++;
      return spoiltAnswer(answer, from);
    },
  };
  for (let at = 0; at < options.calls; at++) {
    honest = true;
    await using tpm = await openTpm({ transport, random, clock });
    honest = false;
    const play = playable[what === 'nothing' ? at % playable.length : from.below(playable.length)];
    try {
      await play?.(tpm, from, chip);
    } catch (error) {
      if (!(error instanceof FealtyError)) throw error;
      refused++;
    }
    // what was left behind is gone
    await chip.powerOff();
    await chip.load('permanent', unspoilt);
    await chip.powerCycle();
  }
  return { calls: options.calls, spoilt, refused, succeeded };
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
