import { createCipheriv, createHash } from 'node:crypto';
import type { Random } from '../src/core/platform.ts';

/** Chance that repeats: the AES-256-CTR key stream under SHA-256 of the seed and a label. */
export function seededRandom(seed: number | string, label = ''): Random {
  const key = createHash('sha256').update(`fealty simulator ${seed} ${label}`).digest();
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return { bytes: (count) => new Uint8Array(stream.update(Buffer.alloc(count))) };
}

/** A whole number from 0 to `below` - 1. */
export function pick(random: Random, below: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4);
  return Math.floor(((a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d) / 2 ** 32) * below);
}
