import { createHash } from 'node:crypto';

/**
 * What openssl can check of an ECDAA signature on P-256 with SHA-256, by who knows the commitment E = [r]G. That
 * E = [s]G - [t]Q is what the ECDSA signature (x(E), -x(E)/t) of the number -s*x(E)/t says.
 *
 * @param signature TPMT_SIGNATURE.
 * @param E TPM2B_ECC_POINT.
 */
export function asEcdsa(
  signature: Buffer,
  E: Buffer,
  message: Buffer,
): { readonly number: Buffer; readonly ecdsa: Buffer } {
  const rSize = signature.readUInt16BE(4);
  const k = signature.subarray(6, 6 + rSize);
  const sSize = signature.readUInt16BE(6 + rSize);
  const s = number(signature.subarray(8 + rSize, 8 + rSize + sSize));
  const digest = createHash('sha256').update(message).digest();
  const t = number(createHash('sha256').update(k).update(digest).digest()) % order;
  const x = number(E.subarray(4, 36)) % order;
  const second = mod(-x * inverse(t));
  return { number: bytes(mod(s * second)), ecdsa: der(x, second) };
}

/** The order of P-256's base point. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const number = (data: Uint8Array) => BigInt(`0x${Buffer.from(data).toString('hex')}`);
const bytes = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
const mod = (value: bigint) => ((value % order) + order) % order;

/** By Fermat: `order` is prime. */
function inverse(value: bigint): bigint {
  let [result, square] = [1n, mod(value)];
  for (let exponent = order - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

/** An ECDSA signature as X9.62 writes it. */
function der(...values: readonly bigint[]): Buffer {
  const integers = values.map((value) => {
    const raw = value.toString(16);
    const even = Buffer.from(raw.padStart(raw.length + (raw.length % 2), '0'), 'hex');
    const content = (even[0] ?? 0) > 127 ? Buffer.concat([Buffer.from([0]), even]) : even;
    return Buffer.concat([Buffer.from([2, content.length]), content]);
  });
  const all = Buffer.concat(integers);
  return Buffer.concat([Buffer.from([0x30, all.length]), all]);
}
