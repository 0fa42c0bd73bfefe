import { concat, equal, u32, u32At } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/hash.ts';

const checkSize = 8;
const headSize = 4 + checkSize;

/** `content` with its length and a checksum before it, so that one that was cut off or damaged is told from a whole one. */
export function frame(content: Uint8Array): Uint8Array {
  return concat(u32(content.length), sha256(content).subarray(0, checkSize), content);
}

/** The content of the frame that begins at `at`, or `undefined` when no whole one does. */
export function framed(bytes: Uint8Array, at = 0): Uint8Array | undefined {
  if (bytes.length - at < headSize) return undefined;
  const length = u32At(bytes, at);
  const from = at + headSize;
  if (length > bytes.length - from) return undefined;
  const content = bytes.subarray(from, from + length);
  return equal(sha256(content).subarray(0, checkSize), bytes.subarray(at + 4, from)) ? content : undefined;
}

/** Frames one after the other, until the first that is not whole. */
export function frames(bytes: Uint8Array): {
  readonly contents: readonly Uint8Array[];
  /** Where the whole ones end. */
  readonly end: number;
  /** Whether a whole one follows what is not: then something in the middle was damaged, and the end was not just cut off. */
  readonly damaged: boolean;
} {
  const contents: Uint8Array[] = [];
  let end = 0;
  for (let content = framed(bytes, end); content !== undefined; content = framed(bytes, end)) {
    contents.push(content);
    end += headSize + content.length;
  }
  let damaged = false;
  for (let at = end + 1; at < bytes.length - headSize && !damaged; at++)
    // An empty frame is never written, but a run of zeros could look like its length.
    damaged = (framed(bytes, at)?.length ?? 0) > 0;
  return { contents, end, damaged };
}
