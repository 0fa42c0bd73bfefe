/** Format-one response codes (RC_FMT1, Part 2 §6.6.3): the fault of a handle, parameter or session. */
export const TPM_RC_FMT1 = {
  ASYMMETRIC: 0x081,
  ATTRIBUTES: 0x082,
  HASH: 0x083,
  VALUE: 0x084,
  HIERARCHY: 0x085,
  KEY_SIZE: 0x087,
  MGF: 0x088,
  MODE: 0x089,
  TYPE: 0x08a,
  HANDLE: 0x08b,
  KDF: 0x08c,
  RANGE: 0x08d,
  AUTH_FAIL: 0x08e,
  NONCE: 0x08f,
  PP: 0x090,
  SCHEME: 0x092,
  SIZE: 0x095,
  SYMMETRIC: 0x096,
  TAG: 0x097,
  SELECTOR: 0x098,
  INSUFFICIENT: 0x09a,
  SIGNATURE: 0x09b,
  KEY: 0x09c,
  POLICY_FAIL: 0x09d,
  INTEGRITY: 0x09f,
  TICKET: 0x0a0,
  RESERVED_BITS: 0x0a1,
  BAD_AUTH: 0x0a2,
  EXPIRED: 0x0a3,
  POLICY_CC: 0x0a4,
  BINDING: 0x0a5,
  CURVE: 0x0a6,
  ECC_POINT: 0x0a7,
  FW_LIMITED: 0x0a8,
  SVN_LIMITED: 0x0a9,
} as const;

/** Format-zero errors (RC_VER1, Part 2 §6.6.3). */
export const TPM_RC_VER1 = {
  INITIALIZE: 0x100,
  FAILURE: 0x101,
  SEQUENCE: 0x103,
  PRIVATE: 0x10b,
  HMAC: 0x119,
  DISABLED: 0x120,
  EXCLUSIVE: 0x121,
  AUTH_TYPE: 0x124,
  AUTH_MISSING: 0x125,
  POLICY: 0x126,
  PCR: 0x127,
  PCR_CHANGED: 0x128,
  UPGRADE: 0x12d,
  TOO_MANY_CONTEXTS: 0x12e,
  AUTH_UNAVAILABLE: 0x12f,
  REBOOT: 0x130,
  UNBALANCED: 0x131,
  COMMAND_SIZE: 0x142,
  COMMAND_CODE: 0x143,
  AUTHSIZE: 0x144,
  AUTH_CONTEXT: 0x145,
  NV_RANGE: 0x146,
  NV_SIZE: 0x147,
  NV_LOCKED: 0x148,
  NV_AUTHORIZATION: 0x149,
  NV_UNINITIALIZED: 0x14a,
  NV_SPACE: 0x14b,
  NV_DEFINED: 0x14c,
  BAD_CONTEXT: 0x150,
  CPHASH: 0x151,
  PARENT: 0x152,
  NEEDS_TEST: 0x153,
  NO_RESULT: 0x154,
  SENSITIVE: 0x155,
} as const;

/** Warnings (RC_WARN, Part 2 §6.6.3): the same command may succeed later, or after something was flushed. */
export const TPM_RC_WARN = {
  CONTEXT_GAP: 0x901,
  OBJECT_MEMORY: 0x902,
  SESSION_MEMORY: 0x903,
  MEMORY: 0x904,
  SESSION_HANDLES: 0x905,
  OBJECT_HANDLES: 0x906,
  LOCALITY: 0x907,
  YIELDED: 0x908,
  CANCELED: 0x909,
  TESTING: 0x90a,
  REFERENCE_H0: 0x910,
  REFERENCE_H1: 0x911,
  REFERENCE_H2: 0x912,
  REFERENCE_H3: 0x913,
  REFERENCE_H4: 0x914,
  REFERENCE_H5: 0x915,
  REFERENCE_H6: 0x916,
  REFERENCE_S0: 0x918,
  REFERENCE_S1: 0x919,
  REFERENCE_S2: 0x91a,
  REFERENCE_S3: 0x91b,
  REFERENCE_S4: 0x91c,
  REFERENCE_S5: 0x91d,
  REFERENCE_S6: 0x91e,
  NV_RATE: 0x920,
  LOCKOUT: 0x921,
  RETRY: 0x922,
  NV_UNAVAILABLE: 0x923,
} as const;

/** TPM_RC_BAD_TAG, Part 2 §6.6.3: what a TPM 1.2 would say as well. */
export const TPM_RC_BAD_TAG = 0x01e;

/** The layer of a resource manager that answers in place of the TPM, in the form of a TPM. */
export const TSS2_RESMGR_TPM_RC_LAYER = 0x0b0000;

/** Which operand a format-one response code blames; `number` counts from 1, 0 when the TPM does not say. */
export interface Operand {
  readonly kind: 'handle' | 'parameter' | 'session';
  readonly number: number;
}

/** A response code taken apart. */
export interface ResponseCode {
  /** As in Part 2 without `TPM_RC_`, for example `AUTH_FAIL`; `0x…` when Part 2 has no name for it. */
  readonly name: string;
  readonly operand: Operand | undefined;
  /** A warning: nothing was wrong with the command itself. */
  readonly warning: boolean;
}

/**
 * Takes a response code apart (Part 2 §6.6.2, figures 26 and 27). Of one that a resource manager gives, Linux for example,
 * the layer it stands for is left out (TSS 2.0 Overview, response code layers).
 */
export function describeResponseCode(given: number): ResponseCode {
  const layer = given & 0xff0000;
  const code = layer === TSS2_RESMGR_TPM_RC_LAYER ? given ^ layer : given;
  if ((code & 0x80) !== 0) {
    const name = nameIn(TPM_RC_FMT1, code & 0xbf) ?? unnamed(code);
    const number = (code >>> 8) & 0xf;
    if ((code & 0x40) !== 0) return { name, operand: { kind: 'parameter', number }, warning: false };
    if ((number & 0x8) !== 0)
      return { name, operand: { kind: 'session', number: number & 0x7 }, warning: false };
    return { name, operand: { kind: 'handle', number }, warning: false };
  }
  const warning = (code & 0xf00) === 0x900;
  const name = code === TPM_RC_BAD_TAG ? 'BAD_TAG' : nameIn(warning ? TPM_RC_WARN : TPM_RC_VER1, code);
  return { name: name ?? unnamed(code), operand: undefined, warning };
}

function nameIn(table: Readonly<Record<string, number>>, code: number): string | undefined {
  for (const [name, value] of Object.entries(table)) if (value === code) return name;
  return undefined;
}

function unnamed(code: number): string {
  return `0x${code.toString(16)}`;
}
