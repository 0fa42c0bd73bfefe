import { concat } from '../core/bytes.ts';
import { capability } from './client/capability.ts';
import { run } from './client/run.ts';
import type { Tpm } from './client/tpm.ts';
import { TPM2_ReadClock } from './commands/hierarchy.ts';
import { TPM2_GetRandom } from './commands/startup.ts';
import { TpmMalformed } from './errors.ts';
import { listFrom } from './handle-list.ts';
import type { TPMS_TIME_INFO } from './structures/attest.ts';
import type { TPM_HR } from './structures/handles.ts';
import { TPM_HR as firstHandles } from './structures/handles.ts';

/** `count` bytes from the TPM's random number generator. */
export async function getRandom(tpm: Tpm, count: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let left = count; left > 0; ) {
    const { randomBytes } = await run(tpm, TPM2_GetRandom, { bytesRequested: Math.min(left, 32) });
    if (randomBytes.length === 0 || randomBytes.length > left)
      throw new TpmMalformed('the wrong number of random bytes');
    if (randomBytes.length === count) return randomBytes;
    pieces.push(randomBytes);
    left -= randomBytes.length;
  }
  return concat(...pieces);
}

/** The TPM's clock and its reset and restart counts. */
export async function readClock(tpm: Tpm): Promise<TPMS_TIME_INFO> {
  const { currentTime } = await run(tpm, TPM2_ReadClock, {});
  return currentTime;
}

/** Handles in use of one kind, ascending. */
export async function listHandles(tpm: Tpm, kind: keyof typeof TPM_HR): Promise<readonly number[]> {
  return await listFrom(firstHandles[kind], (property) => capability(tpm, 'handles', property, 254));
}

/** Bytes of data that one command hashes or encrypts (TPM_PT_INPUT_BUFFER). */
export function inputBufferMax(tpm: Tpm): number {
  return Math.min(Math.max(tpm.property('inputBuffer') ?? 1024, 64), 2048);
}
