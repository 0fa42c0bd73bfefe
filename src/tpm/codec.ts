/** What is wrong with bytes (or with a value): the software TPM turns it into the response code of Part 2 §6.6. */
export type CodecFault = 'short' | 'trailing' | 'size' | 'value' | 'reserved' | 'selector';

/** Bytes that are not the structure they should be, or a value that the structure cannot hold. */
export class CodecError extends RangeError {
  readonly fault: CodecFault;
  /** The structure's name in Part 2, for example `TPMT_PUBLIC`. */
  readonly structure: string;

  constructor(structure: string, fault: CodecFault, message: string) {
    super(`${structure}: ${message}`);
    this.name = 'CodecError';
    this.structure = structure;
    this.fault = fault;
  }
}

/** Lent from writer to writer: allocating room takes longer than filling it. */
let spare: Uint8Array | undefined;
const spareSize = 4096;

/** Grows as structures are written into it; big endian. */
export class Writer {
  #bytes: Uint8Array;
  #length = 0;

  constructor() {
    this.#bytes = spare ?? new Uint8Array(spareSize);
    spare = undefined;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** Room for `count` bytes at the end; returns where they begin. */
  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#grow(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    this.patchU16(this.#grow(2), value);
  }

  u32(value: number): void {
    this.patchU32(this.#grow(4), value);
  }

  u64(value: bigint): void {
    this.u32(Number(value >> 32n));
    this.u32(Number(value & 0xffff_ffffn));
  }

  bytes(value: Uint8Array): void {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
  }

  /** Fills in a size that was not known when its place was reserved. */
  patchU16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  /** Fills in a size that was not known when its place was reserved. */
  patchU32(at: number, value: number): void {
    this.patchU16(at, value >>> 16);
    this.patchU16(at + 2, value);
  }

  /** A copy of everything written. */
  finish(): Uint8Array {
    const out = this.#bytes.slice(0, this.#length);
    if (this.#bytes.length === spareSize) {
      this.#bytes.fill(0, 0, this.#length); // it may have been a secret
      spare = this.#bytes;
    }
    this.#bytes = out;
    return out;
  }
}

const none = /* @__PURE__ */ new Uint8Array(0);

/** Walks over bytes, never past their end. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  /** Bytes left. */
  get remaining(): number {
    return this.#end - this.#at;
  }

  /** Where it is. */
  get offset(): number {
    return this.#at;
  }

  #take(structure: string, count: number): number {
    if (count > this.#end - this.#at) throw new CodecError(structure, 'short', 'the bytes end too early');
    const at = this.#at;
    this.#at += count;
    return at;
  }

  /** One byte; whoever asks has checked that it is there. */
  #byte(at: number): number {
    return this.#bytes[at] ?? 0;
  }

  u8(structure = 'UINT8'): number {
    return this.#byte(this.#take(structure, 1));
  }

  u16(structure = 'UINT16'): number {
    const at = this.#take(structure, 2);
    return (this.#byte(at) << 8) | this.#byte(at + 1);
  }

  u32(structure = 'UINT32'): number {
    const at = this.#take(structure, 4);
    const high = (this.#byte(at) << 8) | this.#byte(at + 1);
    return high * 0x10000 + ((this.#byte(at + 2) << 8) | this.#byte(at + 3));
  }

  u64(structure = 'UINT64'): bigint {
    if (this.remaining < 8) this.#take(structure, 8);
    return (BigInt(this.u32(structure)) << 32n) | BigInt(this.u32(structure));
  }

  /** A copy of the next `count` bytes. */
  bytes(count: number, structure = 'bytes'): Uint8Array {
    if (count === 0) return none; // as many members of an answer are
    const at = this.#take(structure, count);
    return this.#bytes.slice(at, at + count);
  }

  /** What is left, as it lies there: a view, for who looks at once. It stays to be read. */
  rest(): Uint8Array {
    // three times as fast as `subarray`
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, this.remaining);
  }

  /** Another reader of what is left. */
  copy(): Reader {
    return new Reader(this.#bytes, this.#at, this.#end);
  }

  /** A copy of what was read since it was at `offset`. */
  since(offset: number): Uint8Array {
    return this.#bytes.slice(offset, this.#at);
  }

  /** A reader of the next `count` bytes alone. */
  sub(count: number, structure = 'bytes'): Reader {
    const at = this.#take(structure, count);
    return new Reader(this.#bytes, at, at + count);
  }

  /** What `read` takes, which must be `size` bytes. @throws {CodecError} `size`, after whatever `read` throws. */
  exactly<T>(size: number, structure: string, read: () => T): T {
    const start = this.#at;
    const value = read();
    if (this.#at - start !== size)
      throw new CodecError(structure, 'size', 'its size is not that of its structure');
    return value;
  }

  /** @throws {CodecError} when bytes are left. */
  done(structure: string): void {
    if (this.#at !== this.#end)
      throw new CodecError(structure, 'trailing', `${this.#end - this.#at} bytes too many`);
  }
}

/** How a value of one type travels. `write` is a method on purpose: `Codec<unknown>` is then the supertype. */
export interface Codec<T> {
  /** The structure's name in Part 2. */
  readonly name: string;
  /** True for a TPM2B: as first parameter it can be encrypted by a session (Part 1 §21). */
  readonly sized?: boolean;
  write(out: Writer, value: T): void;
  read(from: Reader): T;
}

/** The type of a codec's values. */
export type TypeOf<C> = C extends Codec<infer T> ? T : never;

/** Members of a structure, in the order in which they travel. */
export type Fields = Readonly<Record<string, Codec<unknown>>>;

type Flat<T> = { [K in keyof T]: T[K] };

/** The value of a structure with these members; a member whose codec can be absent may be left out. */
export type ValueOf<F extends Fields> = Flat<
  {
    readonly [K in keyof F as undefined extends TypeOf<F[K]> ? never : K]: TypeOf<F[K]>;
  } & {
    readonly [K in keyof F as undefined extends TypeOf<F[K]> ? K : never]?: TypeOf<F[K]>;
  }
>;

/** The bytes of `value`. @throws {CodecError} when the structure cannot hold it. */
export function encode<T>(codec: Codec<T>, value: NoInfer<T>): Uint8Array {
  const out = new Writer();
  codec.write(out, value);
  return out.finish();
}

/** The value that all of `bytes` are. @throws {CodecError} when they are anything else. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const from = new Reader(bytes);
  const value = codec.read(from);
  from.done(codec.name);
  return value;
}
