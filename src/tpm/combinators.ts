import type { Codec, Fields, Reader, TypeOf, ValueOf, Writer } from './codec.ts';
import { CodecError, encode } from './codec.ts';
import { named } from './scalars.ts';

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
      for (const [key, codec] of entries) {
        const told = key === tag && codec.name === 'TPM_ALG_ID';
        const member = told ? named(name, 'selector', codec, from) : codec.read(from);
        if (member !== undefined) value[key] = member;
      }
      readFields(from, select(value[tag]), value);
      return value as TaggedOf<F, Tag, V>;
    },
  };
}

const kept = /* @__PURE__ */ new WeakMap<object, Uint8Array>();

/** `of`, but the bytes of a value that was read are kept beside it, for {@link bytesOf}. */
/* @__NO_SIDE_EFFECTS__ */
export function keeping<T extends object>(of: Codec<T>): Codec<T> {
  return {
    name: of.name,
    write: (out, value) => of.write(out, value),
    read(from) {
      const { offset } = from;
      const value = of.read(from);
      kept.set(value, from.since(offset));
      return value;
    },
  };
}

/**
 * The bytes of a value: those it was read from, or made once. They are not to be changed, nor is a value that was asked
 * for here.
 */
export function bytesOf<T extends object>(of: Codec<T>, value: T): Uint8Array {
  let bytes = kept.get(value);
  if (bytes === undefined) {
    bytes = encode(of, value);
    kept.set(value, bytes);
  }
  return bytes;
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

function writeSized<T>(out: Writer, inner: Codec<T>, value: T): void {
  const at = out.length;
  out.u16(0);
  inner.write(out, value);
  const size = out.length - at - 2;
  if (size > 0xffff) throw new CodecError(inner.name, 'size', 'longer than a 16-bit size');
  out.patchU16(at, size);
}
