import { parameterRefused, RC } from './refusal.ts';

/** TPM_PT_INPUT_BUFFER: the most data that one command takes in a TPM2B_MAX_BUFFER. */
export const inputBufferMax = 1024;

/** Sessions there may be in all, loaded and saved (TPM_PT_ACTIVE_SESSIONS_MAX). */
export const mostSessions = 64;

/** Refuses data that a client may send and this TPM has no room for. @throws Refusal SIZE. */
export function needInputBuffer(data: Uint8Array, parameter: number): void {
  if (data.length > inputBufferMax) throw parameterRefused(RC.SIZE, parameter);
}
