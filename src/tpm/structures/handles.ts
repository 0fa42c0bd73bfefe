import type { Codec } from '../codec.ts';
import { restricted, u32 } from '../scalars.ts';

/** TPM_HANDLE, Part 2 §7.1. Which handles a command takes is for the TPM to check. */
export const TPM_HANDLE: Codec<number> = u32;

/** TPM_HT, Part 2 §7.2: the top byte of a handle says what kind of entity it is. */
export const TPM_HT = {
  pcr: 0x00,
  nvIndex: 0x01,
  hmacSession: 0x02,
  policySession: 0x03,
  permanent: 0x40,
  transient: 0x80,
  persistent: 0x81,
} as const;

/** TPM_RH, Part 2 §7.4: permanent handles. */
export const TPM_RH = {
  owner: 0x40000001,
  null: 0x40000007,
  unassigned: 0x40000008,
  /** TPM_RS_PW: the password "session". */
  password: 0x40000009,
  lockout: 0x4000000a,
  endorsement: 0x4000000b,
  platform: 0x4000000c,
  platformNv: 0x4000000d,
} as const;

/** First handle of each range, as GetCapability asks for them. */
export const TPM_HR = {
  pcr: 0x00000000,
  nvIndex: 0x01000000,
  loadedSession: 0x02000000,
  savedSession: 0x03000000,
  permanent: 0x40000000,
  transient: 0x80000000,
  persistent: 0x81000000,
} as const;

/** No TPM has more handles of one kind; a list that goes on is a lie. */
export const HANDLES_MAX = 4096;

/** The kind of entity a handle stands for, or `undefined` when Part 2 knows none. */
export function handleType(handle: number): keyof typeof TPM_HT | undefined {
  const top = handle >>> 24;
  for (const [name, value] of Object.entries(TPM_HT)) if (value === top) return name as keyof typeof TPM_HT;
  return undefined;
}

const isSession = (handle: number) =>
  handle >>> 24 === TPM_HT.hmacSession || handle >>> 24 === TPM_HT.policySession;

/** TPMI_RH_HIERARCHY+, Part 2 §9.13: a hierarchy, or TPM_RH_NULL. */
export const TPMI_RH_HIERARCHY: Codec<number> = /* @__PURE__ */ restricted(
  'TPMI_RH_HIERARCHY',
  u32,
  (handle) =>
    handle === TPM_RH.owner ||
    handle === TPM_RH.platform ||
    handle === TPM_RH.endorsement ||
    handle === TPM_RH.null,
);

/** TPMI_RH_NV_INDEX, Part 2 §9.24. */
export const TPMI_RH_NV_INDEX: Codec<number> = /* @__PURE__ */ restricted(
  'TPMI_RH_NV_INDEX',
  u32,
  (handle) => handle >>> 24 === TPM_HT.nvIndex,
);

/** TPMI_SH_AUTH_SESSION+, Part 2 §9.8: a session, or TPM_RS_PW. */
export const TPMI_SH_AUTH_SESSION: Codec<number> = /* @__PURE__ */ restricted(
  'TPMI_SH_AUTH_SESSION',
  u32,
  (handle) => isSession(handle) || handle === TPM_RH.password,
);

/** TPMI_DH_CONTEXT, Part 2 §9.11: what has a context. */
export const TPMI_DH_CONTEXT: Codec<number> = /* @__PURE__ */ restricted(
  'TPMI_DH_CONTEXT',
  u32,
  (handle) => isSession(handle) || handle >>> 24 === TPM_HT.transient,
);

/** TPMI_DH_SAVED, Part 2 §14.5.3: what a saved context is of. */
export const TPMI_DH_SAVED: Codec<number> = /* @__PURE__ */ restricted(
  'TPMI_DH_SAVED',
  u32,
  (handle) => isSession(handle) || (handle >= TPM_HR.transient && handle <= TPM_HR.transient + 2),
);
