import type { Codec, CodecFault, Fields, Reader, TypeOf, ValueOf, Writer } from './codec.ts';
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
  const names = new Map<number, keyof V & string>();
  for (const [key, value] of Object.entries(values)) names.set(value, key);
  return {
    name,
    values,
    write(out, value) {
      const number = Object.hasOwn(values, value) ? values[value] : undefined;
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
      const value = named(name, 'value', () => of.read(from));
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

/** Exactly `length` bytes, without a size in front. */
/* @__NO_SIDE_EFFECTS__ */
export function fixed(name: string, length: number): Codec<Uint8Array> {
  return {
    name,
    write(out, value) {
      if (value.length !== length) throw new CodecError(name, 'size', `must have ${length} bytes`);
      out.bytes(value);
    },
    read: (from) => from.bytes(length, name),
  };
}

/** TPM2B of plain bytes: a 16-bit size and at most `max` bytes. */
/* @__NO_SIDE_EFFECTS__ */
export function buffer(name: string, max: number): Codec<Uint8Array> {
  return {
    name,
    sized: true,
    write(out, value) {
      if (value.length > max) throw new CodecError(name, 'size', `at most ${max} bytes`);
      out.u16(value.length);
      out.bytes(value);
    },
    read(from) {
      const size = from.u16(name);
      if (size > max) throw new CodecError(name, 'size', `at most ${max} bytes`);
      return from.bytes(size, name);
    },
  };
}

/**
 * TPM2B of a structure: a 16-bit size and exactly that structure. A wrong size is found when the structure has been read,
 * as in the reference code: what is wrong inside comes first.
 */
/* @__NO_SIDE_EFFECTS__ */
export function sized<T>(name: string, inner: Codec<T>): Codec<T> {
  return {
    name,
    sized: true,
    write: (out, value) => writeSized(out, inner, value),
    read(from) {
      const size = from.u16();
      if (size === 0) throw new CodecError(name, 'size', 'must not be empty');
      return from.exactly(size, name, () => inner.read(from));
    },
  };
}

/** Like {@link sized}, but empty (size 0) stands for `undefined`. */
/* @__NO_SIDE_EFFECTS__ */
export function sizedOrEmpty<T>(name: string, inner: Codec<T>): Codec<T | undefined> {
  return {
    name,
    sized: true,
    write(out, value) {
      if (value === undefined) out.u16(0);
      else writeSized(out, inner, value);
    },
    read(from) {
      const size = from.u16();
      return size === 0 ? undefined : from.exactly(size, name, () => inner.read(from));
    },
  };
}

/** TPML: a 32-bit count and at most `max` elements. */
/* @__NO_SIDE_EFFECTS__ */
export function list<T>(name: string, element: Codec<T>, max: number): Codec<readonly T[]> {
  return {
    name,
    write(out, value) {
      if (value.length > max) throw new CodecError(name, 'size', `at most ${max} elements`);
      out.u32(value.length);
      for (const one of value) element.write(out, one);
    },
    read(from) {
      const count = from.u32(name);
      if (count > max) throw new CodecError(name, 'size', `at most ${max} elements`);
      const value: T[] = [];
      for (let i = 0; i < count; i++) value.push(element.read(from));
      return value;
    },
  };
}

/** Members one after the other. */
/* @__NO_SIDE_EFFECTS__ */
export function struct<F extends Fields>(name: string, fields: F): Codec<ValueOf<F>> {
  const entries = Object.entries(fields);
  return {
    name,
    write(out, value) {
      writeFields(out, entries, value as Readonly<Record<string, unknown>>);
    },
    read(from) {
      const value: Record<string, unknown> = {};
      readFields(from, entries, value);
      return value as ValueOf<F>;
    },
  };
}

/** The members that each value of the tag adds. */
export type Variants = Readonly<Record<string, Fields>>;

type Merge<A, B> = { [K in keyof A | keyof B]: K extends keyof B ? B[K] : K extends keyof A ? A[K] : never };

/** Union over the variants, discriminated by the tag. */
export type TaggedOf<F extends Fields, Tag extends keyof F & string, V extends Variants> = {
  [K in keyof V & string]: Readonly<Merge<Omit<ValueOf<F>, Tag> & { readonly [T in Tag]: K }, ValueOf<V[K]>>>;
}[keyof V & string];

/** A structure whose member `tag` selects which further members follow; other tags are refused. */
/* @__NO_SIDE_EFFECTS__ */
export function tagged<
  F extends Fields,
  const Tag extends keyof F & string,
  V extends Variants & { [K in keyof V]: K extends TypeOf<F[Tag]> ? Fields : never },
>(name: string, fields: F, tag: Tag, variants: V): Codec<TaggedOf<F, Tag, V>> {
  const entries = Object.entries(fields);
  const members = new Map(
    Object.entries(variants).map(([key, value]) => [key, Object.entries(value)] as const),
  );
  const select = (selector: unknown) => {
    const found = members.get(String(selector));
    if (found === undefined) throw new CodecError(name, 'selector', `no variant \`${String(selector)}\``);
    return found;
  };
  return {
    name,
    write(out, value) {
      const record = value as Readonly<Record<string, unknown>>;
      const variant = select(record[tag]);
      writeFields(out, entries, record);
      writeFields(out, variant, record);
    },
    read(from) {
      const value: Record<string, unknown> = {};
      for (const entry of entries)
        if (entry[0] === tag && entry[1].name === 'TPM_ALG_ID')
          named(name, 'selector', () => readFields(from, [entry], value));
        else readFields(from, [entry], value);
      readFields(from, select(value[tag]), value);
      return value as TaggedOf<F, Tag, V>;
    },
  };
}

function writeFields(
  out: Writer,
  entries: readonly (readonly [string, Codec<unknown>])[],
  value: Readonly<Record<string, unknown>>,
): void {
  for (const [key, codec] of entries) codec.write(out, value[key]);
}

function readFields(
  from: Reader,
  entries: readonly (readonly [string, Codec<unknown>])[],
  value: Record<string, unknown>,
): void {
  for (const [key, codec] of entries) {
    const member = codec.read(from);
    if (member !== undefined) value[key] = member;
  }
}

/** An unknown constant is told as a fault of the type around it: response codes differ by that type (Part 2 §9). */
function named<T>(name: string, fault: CodecFault, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CodecError && error.fault === 'value')
      throw new CodecError(name, fault, error.message);
    throw error;
  }
}

function writeSized<T>(out: Writer, inner: Codec<T>, value: T): void {
  const at = out.length;
  out.u16(0);
  inner.write(out, value);
  const size = out.length - at - 2;
  if (size > 0xffff) throw new CodecError(inner.name, 'size', 'longer than a 16-bit size');
  out.patchU16(at, size);
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
