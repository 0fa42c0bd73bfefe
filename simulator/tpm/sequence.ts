import { equal } from '../../src/core/bytes.ts';
import type { Reader, Writer } from '../../src/tpm/codec.ts';
import { TPMI_ALG_HASH } from '../../src/tpm/structures.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digest, hashAlgorithms } from './crypto/hash.ts';
import type { RunningHash } from './crypto/sha.ts';
import { blockSize, finishHash, readHash, startHash, updateHash, writeHash } from './crypto/sha.ts';

const none = new Uint8Array();
const kinds = ['hash', 'hmac', 'event'] as const;

/** Data that comes in more than one command, hashed as it comes (Part 1 §32.4). It lies in an object's slot. */
export interface Sequence {
  readonly kind: (typeof kinds)[number];
  readonly auth: Uint8Array;
  /** One; of an event, one for every bank. */
  readonly hashes: readonly RunningHash[];
  /** Of an HMAC: what its outer hash begins with, the key with the outer padding. */
  readonly outer: Uint8Array;
  /** Of a hash: whether a restricted key may sign it, which its first block decides. */
  safe: boolean | undefined;
}

/** TPM_GENERATED_VALUE: no restricted key signs a digest of data that begins so and that the TPM did not make. */
const generated = new Uint8Array([0xff, 0x54, 0x43, 0x47]);

/** Whether data can be told apart from what the TPM itself makes, by how it begins. */
export function beginsSafely(data: Uint8Array): boolean {
  return data.length >= generated.length && !equal(data.subarray(0, generated.length), generated);
}

/** A hash sequence (TPM2_HashSequenceStart). */
export function hashSequence(hash: HashAlgorithm, auth: Uint8Array): Sequence {
  return { kind: 'hash', auth, hashes: [startHash(hash)], outer: none, safe: undefined };
}

/** An event sequence, which hashes for every PCR bank at once. */
export function eventSequence(auth: Uint8Array): Sequence {
  return { kind: 'event', auth, hashes: hashAlgorithms.map(startHash), outer: none, safe: undefined };
}

/** An HMAC sequence (RFC 2104, TPM2_HMAC_Start). */
export function hmacSequence(hash: HashAlgorithm, key: Uint8Array, auth: Uint8Array): Sequence {
  const block = new Uint8Array(blockSize(hash));
  block.set(key.length > block.length ? digest(hash, key) : key);
  const inner = startHash(hash);
  updateHash(
    inner,
    block.map((byte) => byte ^ 0x36),
  );
  return { kind: 'hmac', auth, hashes: [inner], outer: block.map((byte) => byte ^ 0x5c), safe: undefined };
}

/** Takes more data. */
export function updateSequence(sequence: Sequence, data: Uint8Array): void {
  sequence.safe ??= beginsSafely(data);
  for (const hash of sequence.hashes) updateHash(hash, data);
}

/** The digest of each hash after the last data; the sequence is spent. */
export function finishSequence({
  hashes,
  outer,
}: Sequence): { readonly hashAlg: HashAlgorithm; readonly digest: Uint8Array }[] {
  return hashes.map((running) => {
    const inner = finishHash(running);
    const { hash } = running;
    return { hashAlg: hash, digest: outer.length === 0 ? inner : digest(hash, outer, inner) };
  });
}

/** Puts a sequence into bytes, for a saved context. */
export function writeSequence(out: Writer, { kind, auth, hashes, outer, safe }: Sequence): void {
  out.u8(kinds.indexOf(kind));
  out.u8(safe === undefined ? 0 : safe ? 1 : 2);
  for (const part of [auth, outer]) {
    out.u16(part.length);
    out.bytes(part);
  }
  out.u16(hashes.length);
  for (const running of hashes) {
    TPMI_ALG_HASH.write(out, running.hash);
    writeHash(out, running);
  }
}

/** The inverse of {@link writeSequence}. */
export function readSequence(from: Reader): Sequence {
  const kind = kinds[from.u8()] ?? 'hash';
  const safe = [undefined, true, false][from.u8()];
  const auth = from.bytes(from.u16());
  const outer = from.bytes(from.u16());
  const hashes = Array.from({ length: from.u16() }, () => readHash(from, TPMI_ALG_HASH.read(from)));
  return { kind, auth, hashes, outer, safe };
}
