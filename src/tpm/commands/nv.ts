import { authorized, command } from '../command.ts';
import { u16, u64 } from '../scalars.ts';
import { TPM2B_AUTH, TPM2B_MAX_NV_BUFFER, TPM2B_NAME } from '../structures/buffers.ts';
import { TPM_HANDLE } from '../structures/handles.ts';
import { TPM2B_NV_PUBLIC } from '../structures/nv.ts';

const onIndex = { authHandle: authorized(TPM_HANDLE), nvIndex: TPM_HANDLE };

/** TPM2_NV_DefineSpace, Part 3 §31.3. */
export const TPM2_NV_DefineSpace = /* @__PURE__ */ command(
  'TPM2_NV_DefineSpace',
  0x12a,
  {
    handles: { authHandle: authorized(TPM_HANDLE) },
    parameters: { auth: TPM2B_AUTH, publicInfo: TPM2B_NV_PUBLIC },
  },
  {},
);
/** TPM2_NV_UndefineSpace, Part 3 §31.4. */
export const TPM2_NV_UndefineSpace = /* @__PURE__ */ command(
  'TPM2_NV_UndefineSpace',
  0x122,
  { handles: onIndex },
  {},
);
/** TPM2_NV_ReadPublic, Part 3 §31.6. */
export const TPM2_NV_ReadPublic = /* @__PURE__ */ command(
  'TPM2_NV_ReadPublic',
  0x169,
  { handles: { nvIndex: TPM_HANDLE } },
  { parameters: { nvPublic: TPM2B_NV_PUBLIC, nvName: TPM2B_NAME } },
);
/** TPM2_NV_Write, Part 3 §31.7. */
export const TPM2_NV_Write = /* @__PURE__ */ command(
  'TPM2_NV_Write',
  0x137,
  { handles: onIndex, parameters: { data: TPM2B_MAX_NV_BUFFER, offset: u16 } },
  {},
);
/** TPM2_NV_Increment, Part 3 §31.8. */
export const TPM2_NV_Increment = /* @__PURE__ */ command(
  'TPM2_NV_Increment',
  0x134,
  { handles: onIndex },
  {},
);
/** TPM2_NV_WriteLock, Part 3 §31.11. */
export const TPM2_NV_WriteLock = /* @__PURE__ */ command(
  'TPM2_NV_WriteLock',
  0x138,
  { handles: onIndex },
  {},
);
/** TPM2_NV_Read, Part 3 §31.13. */
export const TPM2_NV_Read = /* @__PURE__ */ command(
  'TPM2_NV_Read',
  0x14e,
  { handles: onIndex, parameters: { size: u16, offset: u16 } },
  { parameters: { data: TPM2B_MAX_NV_BUFFER } },
);
/** TPM2_NV_ReadLock, Part 3 §31.14. */
export const TPM2_NV_ReadLock = /* @__PURE__ */ command('TPM2_NV_ReadLock', 0x14f, { handles: onIndex }, {});
/** TPM2_NV_UndefineSpaceSpecial, Part 3 §31.5. */
export const TPM2_NV_UndefineSpaceSpecial = /* @__PURE__ */ command(
  'TPM2_NV_UndefineSpaceSpecial',
  0x11f,
  { handles: { nvIndex: authorized(TPM_HANDLE, 'admin'), platform: authorized(TPM_HANDLE) } },
  {},
);
/** TPM2_NV_Extend, Part 3 §31.9. */
export const TPM2_NV_Extend = /* @__PURE__ */ command(
  'TPM2_NV_Extend',
  0x136,
  { handles: onIndex, parameters: { data: TPM2B_MAX_NV_BUFFER } },
  {},
);
/** TPM2_NV_SetBits, Part 3 §31.10. */
export const TPM2_NV_SetBits = /* @__PURE__ */ command(
  'TPM2_NV_SetBits',
  0x135,
  { handles: onIndex, parameters: { bits: u64 } },
  {},
);
/** TPM2_NV_GlobalWriteLock, Part 3 §31.12. */
export const TPM2_NV_GlobalWriteLock = /* @__PURE__ */ command(
  'TPM2_NV_GlobalWriteLock',
  0x132,
  { handles: { authHandle: authorized(TPM_HANDLE) } },
  {},
);
/** TPM2_NV_ChangeAuth, Part 3 §31.15. */
export const TPM2_NV_ChangeAuth = /* @__PURE__ */ command(
  'TPM2_NV_ChangeAuth',
  0x13b,
  { handles: { nvIndex: authorized(TPM_HANDLE, 'admin') }, parameters: { newAuth: TPM2B_AUTH } },
  {},
);
