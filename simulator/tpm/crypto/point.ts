import { inverse } from './integer.ts';

/** A point of a curve that is not at infinity. */
export interface Affine {
  readonly x: bigint;
  readonly y: bigint;
}

/** A point in Jacobian coordinates; z = 0 is infinity. All our curves have a = -3. */
export interface Jacobian extends Affine {
  readonly z: bigint;
}

const infinity: Jacobian = { x: 1n, y: 1n, z: 0n };

/** Affine coordinates; `undefined` for infinity. */
export function affineOf(point: Jacobian, p: bigint): Affine | undefined {
  if (point.z === 0n) return undefined;
  const z = inverse(point.z, p);
  const zz = (z * z) % p;
  return { x: (point.x * zz) % p, y: (((point.y * zz) % p) * z) % p };
}

/** k · point, four bits at a time. Not constant in time. */
export function multiply(k: bigint, point: Jacobian, p: bigint): Jacobian {
  const multiples: Jacobian[] = [infinity];
  for (let i = 1; i < 16; i++) multiples.push(add(multiples[i - 1] ?? infinity, point, p));
  let result = infinity;
  for (const digit of k.toString(16)) {
    for (let i = 0; i < 4; i++) result = double(result, p);
    result = add(result, multiples[Number.parseInt(digit, 16)] ?? infinity, p);
  }
  return result;
}

function double(a: Jacobian, p: bigint): Jacobian {
  if (a.z === 0n || a.y === 0n) return infinity;
  const zz = (a.z * a.z) % p;
  const yy = (a.y * a.y) % p;
  const s = (4n * a.x * yy) % p;
  const m = (3n * (a.x - zz) * (a.x + zz)) % p;
  const x = modulo(m * m - 2n * s, p);
  return { x, y: modulo(m * (s - x) - 8n * yy * yy, p), z: modulo(2n * a.y * a.z, p) };
}

/** The sum of two points. */
export function add(a: Jacobian, b: Jacobian, p: bigint): Jacobian {
  if (a.z === 0n) return b;
  if (b.z === 0n) return a;
  const azz = (a.z * a.z) % p;
  const bzz = (b.z * b.z) % p;
  const u1 = (a.x * bzz) % p;
  const u2 = (b.x * azz) % p;
  const s1 = (a.y * bzz * b.z) % p;
  const s2 = (b.y * azz * a.z) % p;
  if (u1 === u2) return s1 === s2 ? double(a, p) : infinity;
  const h = u2 - u1;
  const r = s2 - s1;
  const hh = (h * h) % p;
  const v = (u1 * hh) % p;
  const x = modulo(r * r - h * hh - 2n * v, p);
  return { x, y: modulo(r * (v - x) - s1 * h * hh, p), z: modulo(a.z * b.z * h, p) };
}

function modulo(value: bigint, p: bigint): bigint {
  const rest = value % p;
  return rest < 0n ? rest + p : rest;
}
