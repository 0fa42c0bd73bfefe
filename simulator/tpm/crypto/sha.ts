import { concat, u64 } from '../../../src/core/bytes.ts';
import type { Reader, Writer } from '../../../src/tpm/codec.ts';
import type { HashAlgorithm } from './hash.ts';
import { digestSize } from './hash.ts';
import type { Rounds } from './sha-rounds.ts';
import { sha1, sha256, sha384, sha512 } from './sha-rounds.ts';

/**
 * A hash under way, in the open: `node:crypto` does not show the state of a hash, and a TPM must be able to put it into a
 * saved context. Everything that is hashed in one go uses `hash.ts`.
 */
export interface RunningHash {
  readonly hash: HashAlgorithm;
  readonly state: Uint32Array;
  /** Less than a block, not yet in the state. */
  pending: Uint8Array;
  /** Bytes hashed so far, with the pending ones. */
  length: number;
}

const rounds: Readonly<Record<HashAlgorithm, Rounds>> = { sha1, sha256, sha384, sha512 };

/** Bytes of a block of the hash, which is also where an HMAC key ends. */
export function blockSize(hash: HashAlgorithm): number {
  return rounds[hash].block;
}

/** A hash of nothing yet. */
export function startHash(hash: HashAlgorithm): RunningHash {
  return { hash, state: rounds[hash].initial(), pending: new Uint8Array(), length: 0 };
}

/** Hashes more. */
export function updateHash(running: RunningHash, data: Uint8Array): void {
  const { block, compress } = rounds[running.hash];
  const all = concat(running.pending, data);
  const whole = all.length - (all.length % block);
  for (let at = 0; at < whole; at += block) compress(running.state, new DataView(all.buffer, at, block));
  running.pending = all.slice(whole);
  running.length += data.length;
}

/** The digest (FIPS 180-4 §5.1: a one, zeros, the length in bits). What runs is spent afterwards. */
export function finishHash(running: RunningHash): Uint8Array {
  const { block } = rounds[running.hash];
  const bits = u64(BigInt(running.length) * 8n);
  const room = block / 8 - bits.length;
  const zeros = (2 * block - 1 - room - bits.length - running.pending.length) % block;
  updateHash(running, concat(new Uint8Array([0x80]), new Uint8Array(zeros + room), bits));
  const out = new DataView(new ArrayBuffer(running.state.length * 4));
  running.state.forEach((word, i) => {
    out.setUint32(4 * i, word);
  });
  return new Uint8Array(out.buffer, 0, digestSize(running.hash));
}

/** Puts a hash under way into bytes. */
export function writeHash(out: Writer, { state, pending, length }: RunningHash): void {
  for (const word of state) out.u32(word);
  out.u64(BigInt(length));
  out.bytes(pending);
}

/** The inverse of {@link writeHash}. */
export function readHash(from: Reader, hash: HashAlgorithm): RunningHash {
  const state = rounds[hash].initial().map(() => from.u32());
  const length = Number(from.u64());
  return { hash, state, pending: from.bytes(length % rounds[hash].block), length };
}
