import type { Codec, CodecFault, Reader, Writer } from './codec.ts';
import { CodecError } from './codec.ts';

/** UINT8, BYTE (Part 2 §5.1). */
export const u8: Codec<number> = /* @__PURE__ */ integer(
  'UINT8',
  0xff,
  (out, value) => out.u8(value),
  (from) => from.u8(),
);
/** UINT16. */
export const u16: Codec<number> = /* @__PURE__ */ integer(
  'UINT16',
  0xffff,
  (out, value) => out.u16(value),
  (from) => from.u16(),
);
/** UINT32. */
export const u32: Codec<number> = /* @__PURE__ */ integer(
  'UINT32',
  0xffff_ffff,
  (out, value) => out.u32(value),
  (from) => from.u32(),
);

/** UINT64. */
export const u64: Codec<bigint> = {
  name: 'UINT64',
  write(out, value) {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new CodecError('UINT64', 'value', 'out of range');
    out.u64(value);
  },
  read: (from) => from.u64(),
};

/** INT32. */
export const i32: Codec<number> = {
  name: 'INT32',
  write(out, value) {
    if (!Number.isInteger(value) || value < -0x8000_0000 || value > 0x7fff_ffff)
      throw new CodecError('INT32', 'value', 'out of range');
    out.u32(value >>> 0);
  },
  read: (from) => from.u32() | 0,
};

/** A codec of named constants, with the numbers to look up. */
export interface Constants<V extends Readonly<Record<string, number>>> extends Codec<keyof V & string> {
  readonly values: V;
}

/** Constants travel as numbers and are held as names, so that logs and failures can be read; others are refused. */
/* @__NO_SIDE_EFFECTS__ */
export function constants<const V extends Readonly<Record<string, number>>>(
  name: string,
  base: Codec<number>,
  values: V,
): Constants<V> {
  const numbers = new Map(Object.entries(values));
  const names = new Map<number, keyof V & string>();
  for (const [key, value] of numbers) names.set(value, key);
  return {
    name,
    values,
    write(out, value) {
      const number = numbers.get(value);
      if (number === undefined) throw new CodecError(name, 'value', `no constant \`${String(value)}\``);
      base.write(out, number);
    },
    read(from) {
      const number = base.read(from);
      const known = names.get(number);
      if (known === undefined)
        throw new CodecError(name, 'value', `unknown constant 0x${number.toString(16)}`);
      return known;
    },
  };
}

/** Some of the constants of `of` under a name of their own: an interface type (TPMI_…) of Part 2 §9. */
/* @__NO_SIDE_EFFECTS__ */
export function subset<V extends Readonly<Record<string, number>>, const K extends keyof V & string>(
  name: string,
  of: Constants<V>,
  keys: readonly K[],
): Constants<Pick<V, K>> {
  const allowed = new Set<string>(keys);
  return {
    name,
    values: of.values,
    write(out, value) {
      if (!allowed.has(value)) throw new CodecError(name, 'value', `no constant \`${String(value)}\``);
      of.write(out, value);
    },
    read(from) {
      const value = named(name, 'value', of, from);
      if (!allowed.has(value)) throw new CodecError(name, 'value', `\`${value}\` is not allowed here`);
      return value as K;
    },
  };
}

/** A record of the bits that are set; bits that are not set are absent (or `false` when written). */
export type Flags<B> = { readonly [K in keyof B]?: boolean };

/** Numbers of which not every one has a meaning, as the interface types (TPMI_…) of Part 2 §9 say. Read ones are checked. */
/* @__NO_SIDE_EFFECTS__ */
export function restricted(
  name: string,
  base: Codec<number>,
  test: (value: number) => boolean,
): Codec<number> {
  return {
    name,
    write: (out, value) => base.write(out, value),
    read(from) {
      const value = base.read(from);
      if (!test(value)) throw new CodecError(name, 'value', `0x${value.toString(16)} is not allowed here`);
      return value;
    },
  };
}

/** Bits by name, given as bit numbers; any other bit set is refused as reserved. */
/* @__NO_SIDE_EFFECTS__ */
export function flags<const B extends Readonly<Record<string, number>>>(
  name: string,
  base: Codec<number>,
  bits: B,
): Codec<Flags<B>> {
  const entries = Object.entries(bits).map(([key, bit]) => [key, 2 ** bit] as const);
  let defined = 0;
  for (const [, mask] of entries) defined = (defined | mask) >>> 0;
  return {
    name,
    write(out, value) {
      let number = 0;
      for (const [key, mask] of entries) if (value[key] === true) number = (number | mask) >>> 0;
      base.write(out, number);
    },
    read(from) {
      const number = base.read(from);
      if ((number & ~defined) !== 0) throw new CodecError(name, 'reserved', 'reserved bits are set');
      const value: Record<string, boolean> = {};
      for (const [key, mask] of entries) if ((number & mask) !== 0) value[key] = true;
      return value as Flags<B>;
    },
  };
}

/** Reads. An unknown constant is told as a fault of the type around it: response codes differ by that type (Part 2 §9). */
export function named<T>(name: string, fault: CodecFault, of: Codec<T>, from: Reader): T {
  try {
    return of.read(from);
  } catch (error) {
    if (error instanceof CodecError && error.fault === 'value')
      throw new CodecError(name, fault, error.message);
    throw error;
  }
}

function integer(
  name: string,
  max: number,
  write: (out: Writer, value: number) => void,
  read: (from: Reader) => number,
): Codec<number> {
  return {
    name,
    write(out, value) {
      if (!Number.isInteger(value) || value < 0 || value > max)
        throw new CodecError(name, 'value', 'out of range');
      write(out, value);
    },
    read,
  };
}
