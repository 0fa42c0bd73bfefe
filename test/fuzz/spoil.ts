import { concat, u32 } from '../../src/core/bytes.ts';
import type { Dice } from './dice.ts';

/** TPM_RC_FAILURE: what the software TPM answers to a mistake of its own. No bytes from outside may bring it there. */
const FAILURE = 0x101;

/** An answer that no TPM may give. */
export class Malformed extends Error {
  constructor(what: string, command: string, sent: Uint8Array) {
    super(`${what}, after ${command} ${Buffer.from(sent).toString('hex')}`);
  }
}

/** The response code of an answer that has the form of Part 3 §5. @throws {Malformed} */
export function wellFormed(command: string, sent: Uint8Array, answer: Uint8Array): number {
  const fail = (what: string): never => {
    throw new Malformed(what, command, sent);
  };
  if (answer.length < 10) return fail(`an answer of ${answer.length} bytes`);
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  if (view.getUint32(2) !== answer.length) return fail("a size that is not the answer's");
  const tag = view.getUint16(0);
  if (tag !== 0x8001 && tag !== 0x8002 && tag !== 0xc4) return fail(`tag 0x${tag.toString(16)}`);
  const code = view.getUint32(6);
  if (code !== 0 && answer.length !== 10) return fail('a refusal that says more than its code');
  if (code === FAILURE) return fail('failure mode');
  return code;
}

/** Changes a few bytes, cuts, lengthens or doubles; the size field is sometimes made true again. */
export function spoil(command: Uint8Array, from: Dice, framed: boolean): Uint8Array {
  const changed = () => {
    const out = command.slice();
    for (let i = 0; i <= from.below(4); i++)
      out[from.below(out.length)] = from.of([0, 1, 0x7f, 0x80, 0xff, from.below(256)]);
    return out;
  };
  const out =
    [
      changed,
      changed,
      () => command.slice(0, framed ? 10 + from.below(command.length - 9) : from.below(command.length)),
      () => concat(command, from.random.bytes(1 + from.below(60))),
      () =>
        concat(
          command.slice(0, 10 + from.below(command.length - 9)),
          command.slice(from.below(command.length)),
        ),
      () => concat(command, new Uint8Array(from.below(framed ? 500 : 5000))),
    ][from.below(6)]?.() ?? command;
  if (out.length >= 6 && (framed || !from.oneIn(3))) out.set(u32(out.length), 2);
  return out;
}
