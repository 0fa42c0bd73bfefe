import type { Random } from '../../src/core/platform.ts';
import type { Codec } from '../../src/tpm/codec.ts';
import { CodecError, Reader } from '../../src/tpm/codec.ts';
import * as structures from '../../src/tpm/structures.ts';

/** The constants of each type that has some, by its name in Part 2. */
const constants = new Map<string, readonly number[]>(
  (Object.values(structures) as readonly unknown[]).flatMap((one) =>
    typeof one === 'object' && one !== null && 'values' in one && 'name' in one
      ? [[String(one.name), Object.values(one.values as Readonly<Record<string, number>>)] as const]
      : [],
  ),
);
constants.set('TPMS_PCR_SELECT', [3]); // the size of its bit map, which is no type of its own
constants.set('TPMI_AES_KEY_BITS', [128, 192, 256]);
constants.set('TPMI_RH_HIERARCHY', [0x40000001, 0x40000007, 0x4000000b, 0x4000000c]);
constants.set('TPMI_RH_NV_INDEX', [0x01000000, 0x01c00002, 0x01ffffff]);
constants.set('TPMI_SH_AUTH_SESSION', [0x02000000, 0x0300003f, 0x40000009]);
constants.set('TPMI_DH_CONTEXT', [0x02000000, 0x0300003f, 0x80000001]);
constants.set('TPMI_DH_SAVED', [0x02000000, 0x0300003f, 0x80000000, 0x80000001, 0x80000002]);
constants.set('TPM_ST of a ticket', [0x8021, 0x8022, 0x8023, 0x8024, 0x8025]);
const algorithms = Object.values(structures.TPM_ALG_ID.values);
/** After so many refusals of the same draw it is an earlier one that was wrong. */
const REFUSALS_MAX = 60;

/**
 * A value that a codec could have read: its own `read` is given numbers and bytes by chance, a number that it refuses is
 * drawn again. So every codec has an arbitrary, without a description of what it holds.
 */
export function dream<T>(codec: Codec<T>, random: Random): T {
  let last: CodecError | undefined;
  for (let round = 0; round < 200; round++) {
    const drawn: Drawn[] = [];
    let refusals = 0;
    for (let length = 0; refusals < REFUSALS_MAX; ) {
      try {
        return codec.read(new Dream(drawn, random));
      } catch (error) {
        if (!(error instanceof CodecError)) throw error;
        last = error;
        refusals = drawn.length === length ? refusals + 1 : 0;
        length = drawn.length;
        // what came last is what was refused; the name of its type says what it would take
        const known = constants.get(error.structure) ?? (error.fault === 'selector' ? algorithms : []);
        const refused = drawn.pop();
        if (typeof refused === 'number' && known.length > 0) drawn.push(oneOf(known, random));
      }
    }
  }
  throw new Error(`${codec.name} cannot be dreamt: ${last?.message}`);
}

type Drawn = number | bigint | Uint8Array;

function oneOf<T>(all: readonly [T, ...T[]] | readonly T[], random: Random): T {
  const at = new DataView(random.bytes(4).buffer).getUint32(0) % all.length;
  return all[at] as T;
}

/** Gives what was drawn before, then draws more. */
class Dream extends Reader {
  readonly #drawn: Drawn[];
  readonly #random: Random;
  #next = 0;

  constructor(drawn: Drawn[], random: Random) {
    super(new Uint8Array(0));
    this.#drawn = drawn;
    this.#random = random;
  }

  /** Whatever size was drawn for a TPM2B, its structure has it. */
  override exactly<T>(_size: number, _structure: string, read: () => T): T {
    return read();
  }

  #draw<D extends Drawn>(make: () => D): D {
    const at = this.#next++;
    this.#drawn[at] ??= make();
    return this.#drawn[at] as D;
  }

  #number(bits: 8 | 16 | 32): number {
    return this.#draw(() => {
      const [how = 0, a = 0, b = 0, c = 0, d = 0] = this.#random.bytes(5);
      const limit = 2 ** bits;
      if (how < 70) return a % 5; // counts
      if (how < 140) return a % 70; // sizes
      if (how < 220) return ((2 ** (a % bits) + 2 ** (b % bits) + 2 ** (c % bits)) >>> 0) % limit; // flags
      return (((a * 256 + b) * 256 + c) * 256 + d) % limit;
    });
  }

  override u8(): number {
    return this.#number(8);
  }

  override u16(): number {
    return this.#number(16);
  }

  override u32(): number {
    return this.#number(32);
  }

  override u64(): bigint {
    return this.#draw(() => new DataView(this.#random.bytes(8).buffer).getBigUint64(0));
  }

  override bytes(count: number): Uint8Array {
    return this.#draw(() => this.#random.bytes(count));
  }
}

/** Reads as any other, and counts what it hands out. */
export class Frugal extends Reader {
  /** Bytes copied out of the input. */
  copied = 0;
  readonly #of: Frugal | undefined;
  readonly #input: Uint8Array;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length, of?: Frugal) {
    super(bytes, at, end);
    this.#input = bytes;
    this.#of = of;
  }

  override bytes(count: number, structure?: string): Uint8Array {
    const out = super.bytes(count, structure);
    for (let one: Frugal | undefined = this; one !== undefined; one = one.#of) one.copied += count;
    return out;
  }

  override sub(count: number, structure?: string): Reader {
    const at = this.offset;
    super.sub(count, structure);
    return new Frugal(this.#input, at, at + count, this);
  }
}
