import { TPM_RC_BAD_TAG, TPM_RC_FMT1, TPM_RC_VER1, TPM_RC_WARN } from '../../src/tpm/response-codes.ts';

/** Every response code of Part 2 §6.6.3, before a handle, parameter or session number is added. */
export const RC = { ...TPM_RC_FMT1, ...TPM_RC_VER1, ...TPM_RC_WARN, BAD_TAG: TPM_RC_BAD_TAG };

/** The TPM says no; `code` is what goes into the response. Never leaves this folder. */
export class Refusal extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`response code 0x${code.toString(16)}`);
    this.code = code;
  }
}

/** Refuses because of handle number `index` (from 1). */
export function handleRefused(code: number, index: number): Refusal {
  return new Refusal(numbered(code) ? code + index * 0x100 : code);
}

/** Refuses because of parameter number `index` (from 1). */
export function parameterRefused(code: number, index: number): Refusal {
  return new Refusal(numbered(code) ? code + 0x40 + index * 0x100 : code);
}

/** Refuses because of session number `index` (from 1). */
export function sessionRefused(code: number, index: number): Refusal {
  return new Refusal(numbered(code) ? code + 0x800 + index * 0x100 : code);
}

/** Only bare format-1 codes take a number. */
function numbered(code: number): boolean {
  return code >= 0x080 && code <= 0x0bf;
}
