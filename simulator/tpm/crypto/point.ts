import type { Point } from './ecc.ts';
import { inverse, toInteger } from './integer.ts';

/** A point in Jacobian coordinates; z = 0 is infinity. All three curves have a = -3. */
export interface Jacobian {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
}

/** A point from its affine coordinates. */
export function jacobian(point: Point): Jacobian {
  return { x: toInteger(point.x), y: toInteger(point.y), z: 1n };
}

/** Affine coordinates; `undefined` for infinity. */
export function affineOf(point: Jacobian, p: bigint): { readonly x: bigint; readonly y: bigint } | undefined {
  if (point.z === 0n) return undefined;
  const z = inverse(point.z, p);
  const zz = (z * z) % p;
  return { x: (point.x * zz) % p, y: (((point.y * zz) % p) * z) % p };
}

/** k · point, bit by bit. Not constant in time. */
export function multiply(k: bigint, point: Jacobian, p: bigint): Jacobian {
  let result: Jacobian = { x: 1n, y: 1n, z: 0n };
  for (const bit of k.toString(2)) {
    result = double(result, p);
    if (bit === '1') result = add(result, point, p);
  }
  return result;
}

function double(a: Jacobian, p: bigint): Jacobian {
  if (a.z === 0n || a.y === 0n) return { x: 1n, y: 1n, z: 0n };
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
  if (u1 === u2) return s1 === s2 ? double(a, p) : { x: 1n, y: 1n, z: 0n };
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
