/** The non-negative number written big endian in `bytes`. */
export function toInteger(bytes: Uint8Array): bigint {
  return bytes.length === 0
    ? 0n
    : BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`);
}

/** `value` big endian in exactly `size` bytes. */
export function fromInteger(value: bigint, size: number): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(size * 2, '0'), 'hex'));
}

/**
 * The inverse of `a` modulo the prime (or coprime) `m`: Euclid with Lehmer's shortcut, which runs many steps on the
 * leading bits as plain numbers before it touches the large ones.
 */
export function inverse(a: bigint, m: bigint): bigint {
  let [r0, r1, s0, s1] = [m, ((a % m) + m) % m, 0n, 1n];
  while (r1 !== 0n) {
    const shift = BigInt(Math.max(0, bitLength(r0) - leadingBits));
    const step = leadingSteps(Number(r0 >> shift), Number(r1 >> shift));
    if (step === undefined) {
      const q = r0 / r1;
      [r0, r1, s0, s1] = [r1, r0 - q * r1, s1, s0 - q * s1];
    } else {
      const [ua, va, ub, vb] = step;
      [r0, r1] = [ua * r0 + va * r1, ub * r0 + vb * r1];
      [s0, s1] = [ua * s0 + va * s1, ub * s0 + vb * s1];
    }
  }
  return ((s0 % m) + m) % m;
}

/** `base` to the power of `exponent` modulo `m`. */
export function power(base: bigint, exponent: bigint, m: bigint): bigint {
  let result = 1n;
  let square = base % m;
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * square) % m;
    square = (square * square) % m;
  }
  return result;
}

/** Numbers of so many bits, and their sums with coefficients, are exact and divide to the right whole quotient. */
const leadingBits = 51;

function bitLength(value: bigint): number {
  // Where a number can hold the value its exponent will do; being off by one does no harm.
  const near = Number(value);
  if (Number.isFinite(near)) return Math.ceil(Math.log2(near));
  const text = value.toString(16);
  return text.length * 4 - Math.clz32(Number.parseInt(text[0] ?? '0', 16)) + 28;
}

/**
 * As many steps of Euclid as the leading bits `x` and `y` of two numbers settle (Knuth, TAOCP 4.5.2, algorithm L), as
 * the coefficients that make the two numbers after them; `undefined` when they settle none.
 */
function leadingSteps(x: number, y: number): readonly [bigint, bigint, bigint, bigint] | undefined {
  let [a, b, c, d] = [1, 0, 0, 1];
  while (y + c !== 0 && y + d !== 0) {
    const q = Math.floor((x + a) / (y + c));
    if (q !== Math.floor((x + b) / (y + d))) break;
    [a, c] = [c, a - q * c];
    [b, d] = [d, b - q * d];
    [x, y] = [y, x - q * y];
  }
  return b === 0 ? undefined : [BigInt(a), BigInt(b), BigInt(c), BigInt(d)];
}
