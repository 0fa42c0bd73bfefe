import type { TypeOf } from '../codec.ts';
import { list, struct, tagged } from '../combinators.ts';
import { constants, u8, u16, u32 } from '../scalars.ts';
import { TPM_HANDLE } from './handles.ts';
import { TPML_PCR_BANKS } from './pcr.ts';
import { TPMT_HA_NULL } from './signatures.ts';

/** TPM_CAP, Part 2 §6.12. */
export const TPM_CAP = /* @__PURE__ */ constants('TPM_CAP', u32, {
  algs: 0,
  handles: 1,
  commands: 2,
  ppCommands: 3,
  auditCommands: 4,
  pcrs: 5,
  tpmProperties: 6,
  pcrProperties: 7,
  eccCurves: 8,
  authPolicies: 9,
  act: 10,
});
export type TPM_CAP = TypeOf<typeof TPM_CAP>;

// Numbers, not names, where a chip may well know more than we do.

/** TPML_ALG, Part 2 §10.9.3. */
export const TPML_ALG = /* @__PURE__ */ list('TPML_ALG', u16, 128);
/** TPML_ALG_PROPERTY, Part 2 §10.9.8. */
export const TPML_ALG_PROPERTY = /* @__PURE__ */ list(
  'TPML_ALG_PROPERTY',
  /* @__PURE__ */ struct('TPMS_ALG_PROPERTY', { alg: u16, algProperties: u32 }),
  169,
);
/** TPML_HANDLE, Part 2 §10.9.4. */
export const TPML_HANDLE = /* @__PURE__ */ list('TPML_HANDLE', u32, 254);
/** TPML_CC, Part 2 §10.9.1. */
export const TPML_CC = /* @__PURE__ */ list('TPML_CC', u32, 256);
/** TPML_TAGGED_TPM_PROPERTY, Part 2 §10.9.9. */
export const TPML_TAGGED_TPM_PROPERTY = /* @__PURE__ */ list(
  'TPML_TAGGED_TPM_PROPERTY',
  /* @__PURE__ */ struct('TPMS_TAGGED_PROPERTY', { property: u32, value: u32 }),
  127,
);
/** TPML_TAGGED_PCR_PROPERTY, Part 2 §10.9.10. The bit map stays as it is. */
export const TPML_TAGGED_PCR_PROPERTY = /* @__PURE__ */ list(
  'TPML_TAGGED_PCR_PROPERTY',
  /* @__PURE__ */ struct('TPMS_TAGGED_PCR_SELECT', { tag: u32, size: u8, map0: u8, map1: u8, map2: u8 }),
  84,
);
/** TPML_ECC_CURVE, Part 2 §10.9.11. */
export const TPML_ECC_CURVE = /* @__PURE__ */ list('TPML_ECC_CURVE', u16, 508);
/** TPML_TAGGED_POLICY, Part 2 §10.9.12. */
export const TPML_TAGGED_POLICY = /* @__PURE__ */ list(
  'TPML_TAGGED_POLICY',
  /* @__PURE__ */ struct('TPMS_TAGGED_POLICY', { handle: TPM_HANDLE, policyHash: TPMT_HA_NULL }),
  14,
);
/** TPML_ACT_DATA, Part 2 §10.9.13. */
export const TPML_ACT_DATA = /* @__PURE__ */ list(
  'TPML_ACT_DATA',
  /* @__PURE__ */ struct('TPMS_ACT_DATA', { handle: TPM_HANDLE, timeout: u32, attributes: u32 }),
  84,
);

/** TPMS_CAPABILITY_DATA, Part 2 §10.10.2. */
export const TPMS_CAPABILITY_DATA = /* @__PURE__ */ tagged(
  'TPMS_CAPABILITY_DATA',
  { capability: TPM_CAP },
  'capability',
  {
    algs: { data: TPML_ALG_PROPERTY },
    handles: { data: TPML_HANDLE },
    commands: { data: TPML_CC },
    ppCommands: { data: TPML_CC },
    auditCommands: { data: TPML_CC },
    pcrs: { data: TPML_PCR_BANKS },
    tpmProperties: { data: TPML_TAGGED_TPM_PROPERTY },
    pcrProperties: { data: TPML_TAGGED_PCR_PROPERTY },
    eccCurves: { data: TPML_ECC_CURVE },
    authPolicies: { data: TPML_TAGGED_POLICY },
    act: { data: TPML_ACT_DATA },
  },
);
export type TPMS_CAPABILITY_DATA = TypeOf<typeof TPMS_CAPABILITY_DATA>;

/** TPM_PT, Part 2 §6.13: the properties fealty reads or answers. */
export const TPM_PT = {
  familyIndicator: 0x100,
  level: 0x101,
  revision: 0x102,
  dayOfYear: 0x103,
  year: 0x104,
  manufacturer: 0x105,
  vendorString1: 0x106,
  vendorString2: 0x107,
  vendorString3: 0x108,
  vendorString4: 0x109,
  vendorTpmType: 0x10a,
  firmwareVersion1: 0x10b,
  firmwareVersion2: 0x10c,
  inputBuffer: 0x10d,
  hrTransientMin: 0x10e,
  hrPersistentMin: 0x10f,
  hrLoadedMin: 0x110,
  activeSessionsMax: 0x111,
  pcrCount: 0x112,
  pcrSelectMin: 0x113,
  contextGapMax: 0x114,
  nvCountersMax: 0x116,
  nvIndexMax: 0x117,
  memory: 0x118,
  clockUpdate: 0x119,
  contextHash: 0x11a,
  contextSym: 0x11b,
  contextSymSize: 0x11c,
  orderlyCount: 0x11d,
  maxCommandSize: 0x11e,
  maxResponseSize: 0x11f,
  maxDigest: 0x120,
  maxObjectContext: 0x121,
  maxSessionContext: 0x122,
  psFamilyIndicator: 0x123,
  psLevel: 0x124,
  psRevision: 0x125,
  psDayOfYear: 0x126,
  psYear: 0x127,
  splitMax: 0x128,
  totalCommands: 0x129,
  libraryCommands: 0x12a,
  vendorCommands: 0x12b,
  nvBufferMax: 0x12c,
  modes: 0x12d,
  maxCapBuffer: 0x12e,
  permanent: 0x200,
  startupClear: 0x201,
  hrNvIndex: 0x202,
  hrLoaded: 0x203,
  hrLoadedAvail: 0x204,
  hrActive: 0x205,
  hrActiveAvail: 0x206,
  hrTransientAvail: 0x207,
  hrPersistent: 0x208,
  hrPersistentAvail: 0x209,
  nvCounters: 0x20a,
  nvCountersAvail: 0x20b,
  algorithmSet: 0x20c,
  loadedCurves: 0x20d,
  lockoutCounter: 0x20e,
  maxAuthFail: 0x20f,
  lockoutInterval: 0x210,
  lockoutRecovery: 0x211,
  nvWriteRecovery: 0x212,
  auditCounter0: 0x213,
  auditCounter1: 0x214,
} as const;
