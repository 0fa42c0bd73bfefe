/**
 * The compression functions of SHA-1 and SHA-2 (FIPS 180-4 §6). Words of 32 bits; those of SHA-384 and SHA-512 are two
 * of them, upper half first.
 */
export interface Rounds {
  /** Bytes in a block. */
  readonly block: number;
  initial(): Uint32Array;
  /** Takes one block into the state. */
  compress(state: Uint32Array, block: DataView): void;
}

/** SHA-1. */
export const sha1: Rounds = {
  block: 64,
  initial: () => Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0),
  compress(state, block) {
    const w = new Int32Array(80);
    for (let t = 0; t < 16; t++) w[t] = block.getInt32(4 * t);
    for (let t = 16; t < 80; t++)
      w[t] = rotl((w[t - 3] ?? 0) ^ (w[t - 8] ?? 0) ^ (w[t - 14] ?? 0) ^ (w[t - 16] ?? 0), 1);
    let [a = 0, b = 0, c = 0, d = 0, e = 0] = state;
    for (let t = 0; t < 80; t++) {
      const [f, k] =
        t < 20
          ? [(b & c) | (~b & d), 0x5a827999]
          : t < 40
            ? [b ^ c ^ d, 0x6ed9eba1]
            : t < 60
              ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
              : [b ^ c ^ d, 0xca62c1d6];
      const next = (rotl(a, 5) + f + e + k + (w[t] ?? 0)) | 0;
      [e, d, c, b, a] = [d, c, rotl(b, 30), a, next];
    }
    [a, b, c, d, e].forEach((word, i) => {
      state[i] = (state[i] ?? 0) + word;
    });
  },
};

/** SHA-256. */
export const sha256: Rounds = {
  block: 64,
  initial: () => squareRoots(0).filter((_, i) => i % 2 === 0),
  compress(state, block) {
    const k = roundConstants();
    const w = new Int32Array(64);
    for (let t = 0; t < 16; t++) w[t] = block.getInt32(4 * t);
    for (let t = 16; t < 64; t++) {
      const x = w[t - 15] ?? 0;
      const y = w[t - 2] ?? 0;
      const s0 = rotr(x, 7) ^ rotr(x, 18) ^ (x >>> 3);
      const s1 = rotr(y, 17) ^ rotr(y, 19) ^ (y >>> 10);
      w[t] = (w[t - 16] ?? 0) + s0 + (w[t - 7] ?? 0) + s1;
    }
    let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
    for (let t = 0; t < 64; t++) {
      const s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (k[2 * t] ?? 0) + (w[t] ?? 0)) | 0;
      const s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
      const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => {
      state[i] = (state[i] ?? 0) + word;
    });
  },
};

/** SHA-384 before it is cut. */
export const sha384: Rounds = long(8);
/** SHA-512. */
export const sha512: Rounds = long(0);

/** SHA-384 and SHA-512 differ in the primes whose roots they begin with. */
function long(firstPrime: number): Rounds {
  return { block: 128, initial: () => squareRoots(firstPrime), compress: compressLong };
}

const mask64 = (1n << 64n) - 1n;

/** The first `count` primes. */
function primes(count: number): bigint[] {
  const found: bigint[] = [];
  for (let n = 2n; found.length < count; n++) if (found.every((p) => n % p !== 0n)) found.push(n);
  return found;
}

/** 64 bits after the point of the `degree`-th root of `value`. */
function rootBits(value: bigint, degree: bigint): bigint {
  const scaled = value << (64n * degree);
  let root = 1n << 70n;
  for (;;) {
    const next = ((degree - 1n) * root + scaled / root ** (degree - 1n)) / degree;
    if (next >= root) return root & mask64;
    root = next;
  }
}

const halves = (values: readonly bigint[]) =>
  Uint32Array.from(values.flatMap((value) => [Number(value >> 32n), Number(value & 0xffffffffn)]));

let constants: Uint32Array | undefined;
/** K of SHA-512 in halves; the upper ones are K of SHA-256. */
const roundConstants = () => (constants ??= halves(primes(80).map((p) => rootBits(p, 3n))));
const squareRoots = (from: number) =>
  halves(
    primes(from + 8)
      .slice(from)
      .map((p) => rootBits(p, 2n)),
  );

const rotl = (x: number, n: number) => (x << n) | (x >>> (32 - n));
const rotr = (x: number, n: number) => (x >>> n) | (x << (32 - n));

/** Upper half of (hi, lo) rotated right by n; with the halves exchanged it is the lower one. */
const turn = (hi: number, lo: number, n: number) =>
  n < 32 ? (hi >>> n) | (lo << (32 - n)) : (lo >>> (n - 32)) | (hi << (64 - n));

/** What a sum of lower halves carries into the upper one. */
const carry = (sum: number) => Math.floor(sum / 2 ** 32);

function compressLong(state: Uint32Array, block: DataView): void {
  const k = roundConstants();
  const w = new Uint32Array(160);
  for (let t = 0; t < 32; t++) w[t] = block.getUint32(4 * t);
  for (let t = 32; t < 160; t += 2) {
    const [xh = 0, xl = 0] = [w[t - 30], w[t - 29]];
    const [yh = 0, yl = 0] = [w[t - 4], w[t - 3]];
    const s0h = turn(xh, xl, 1) ^ turn(xh, xl, 8) ^ (xh >>> 7);
    const s0l = turn(xl, xh, 1) ^ turn(xl, xh, 8) ^ ((xl >>> 7) | (xh << 25));
    const s1h = turn(yh, yl, 19) ^ turn(yh, yl, 61) ^ (yh >>> 6);
    const s1l = turn(yl, yh, 19) ^ turn(yl, yh, 61) ^ ((yl >>> 6) | (yh << 26));
    const low = (w[t - 31] ?? 0) + (s0l >>> 0) + (w[t - 13] ?? 0) + (s1l >>> 0);
    w[t] = (w[t - 32] ?? 0) + s0h + (w[t - 14] ?? 0) + s1h + carry(low);
    w[t + 1] = low;
  }
  // Eight words move down by one each round: they stand still, and `at` moves.
  const v = new Uint32Array(16 + 160);
  v.set(state, 160);
  for (let t = 0, at = 160; t < 160; t += 2, at -= 2) {
    const ah = v[at + 0] ?? 0;
    const al = v[at + 1] ?? 0;
    const bh = v[at + 2] ?? 0;
    const bl = v[at + 3] ?? 0;
    const ch = v[at + 4] ?? 0;
    const cl = v[at + 5] ?? 0;
    const dh = v[at + 6] ?? 0;
    const dl = v[at + 7] ?? 0;
    const eh = v[at + 8] ?? 0;
    const el = v[at + 9] ?? 0;
    const fh = v[at + 10] ?? 0;
    const fl = v[at + 11] ?? 0;
    const gh = v[at + 12] ?? 0;
    const gl = v[at + 13] ?? 0;
    const hh = v[at + 14] ?? 0;
    const hl = v[at + 15] ?? 0;
    const s1h = turn(eh, el, 14) ^ turn(eh, el, 18) ^ turn(eh, el, 41);
    const s1l = turn(el, eh, 14) ^ turn(el, eh, 18) ^ turn(el, eh, 41);
    const chh = (eh & fh) ^ (~eh & gh);
    const chl = (el & fl) ^ (~el & gl);
    const low1 = hl + (s1l >>> 0) + (chl >>> 0) + (k[t + 1] ?? 0) + (w[t + 1] ?? 0);
    const high1 = hh + s1h + chh + (k[t] ?? 0) + (w[t] ?? 0) + carry(low1);
    const s0h = turn(ah, al, 28) ^ turn(ah, al, 34) ^ turn(ah, al, 39);
    const s0l = turn(al, ah, 28) ^ turn(al, ah, 34) ^ turn(al, ah, 39);
    const majh = (ah & bh) ^ (ah & ch) ^ (bh & ch);
    const majl = (al & bl) ^ (al & cl) ^ (bl & cl);
    const sumE = dl + (low1 >>> 0);
    v[at + 6] = dh + high1 + carry(sumE);
    v[at + 7] = sumE;
    const sumA = (low1 >>> 0) + (s0l >>> 0) + (majl >>> 0);
    v[at - 2] = high1 + s0h + majh + carry(sumA);
    v[at - 1] = sumA;
  }
  for (let i = 0; i < 16; i += 2) {
    const low = (state[i + 1] ?? 0) + (v[i + 1] ?? 0);
    state[i] = (state[i] ?? 0) + (v[i] ?? 0) + carry(low);
    state[i + 1] = low;
  }
}
