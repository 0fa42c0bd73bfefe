import { authorized, command } from '../command.ts';
import { u32 } from '../scalars.ts';
import { TPM2B_CREATION_DATA } from '../structures/attest.ts';
import {
  TPM2B_AUTH,
  TPM2B_DATA,
  TPM2B_DIGEST,
  TPM2B_ENCRYPTED_SECRET,
  TPM2B_ID_OBJECT,
  TPM2B_NAME,
  TPM2B_PRIVATE,
  TPM2B_SENSITIVE_DATA,
  TPM2B_TEMPLATE,
} from '../structures/buffers.ts';
import { TPM_HANDLE, TPMI_RH_HIERARCHY } from '../structures/handles.ts';
import { TPM2B_PUBLIC, TPM2B_SENSITIVE, TPM2B_SENSITIVE_CREATE } from '../structures/keys.ts';
import { TPML_PCR_SELECTION } from '../structures/pcr.ts';
import { TPMT_TK_CREATION } from '../structures/sessions.ts';

const creation = {
  inSensitive: TPM2B_SENSITIVE_CREATE,
  inPublic: TPM2B_PUBLIC,
  outsideInfo: TPM2B_DATA,
  creationPCR: TPML_PCR_SELECTION,
};
const created = {
  creationData: TPM2B_CREATION_DATA,
  creationHash: TPM2B_DIGEST,
  creationTicket: TPMT_TK_CREATION,
};

/** TPM2_Create, Part 3 §12.1. */
export const TPM2_Create = /* @__PURE__ */ command(
  'TPM2_Create',
  0x153,
  { handles: { parentHandle: authorized(TPM_HANDLE) }, parameters: creation },
  { parameters: { outPrivate: TPM2B_PRIVATE, outPublic: TPM2B_PUBLIC, ...created } },
);
/** TPM2_Load, Part 3 §12.2. */
export const TPM2_Load = /* @__PURE__ */ command(
  'TPM2_Load',
  0x157,
  {
    handles: { parentHandle: authorized(TPM_HANDLE) },
    parameters: { inPrivate: TPM2B_PRIVATE, inPublic: TPM2B_PUBLIC },
  },
  { handles: { objectHandle: TPM_HANDLE }, parameters: { name: TPM2B_NAME } },
);
/** TPM2_LoadExternal, Part 3 §12.3. */
export const TPM2_LoadExternal = /* @__PURE__ */ command(
  'TPM2_LoadExternal',
  0x167,
  { parameters: { inPrivate: TPM2B_SENSITIVE, inPublic: TPM2B_PUBLIC, hierarchy: TPMI_RH_HIERARCHY } },
  { handles: { objectHandle: TPM_HANDLE }, parameters: { name: TPM2B_NAME } },
);
/** TPM2_ReadPublic, Part 3 §12.4. */
export const TPM2_ReadPublic = /* @__PURE__ */ command(
  'TPM2_ReadPublic',
  0x173,
  { handles: { objectHandle: TPM_HANDLE } },
  { parameters: { outPublic: TPM2B_PUBLIC, name: TPM2B_NAME, qualifiedName: TPM2B_NAME } },
);
/** TPM2_ActivateCredential, Part 3 §12.5. */
export const TPM2_ActivateCredential = /* @__PURE__ */ command(
  'TPM2_ActivateCredential',
  0x147,
  {
    handles: { activateHandle: authorized(TPM_HANDLE, 'admin'), keyHandle: authorized(TPM_HANDLE) },
    parameters: { credentialBlob: TPM2B_ID_OBJECT, secret: TPM2B_ENCRYPTED_SECRET },
  },
  { parameters: { certInfo: TPM2B_DIGEST } },
);
/** TPM2_MakeCredential, Part 3 §12.6. */
export const TPM2_MakeCredential = /* @__PURE__ */ command(
  'TPM2_MakeCredential',
  0x168,
  { handles: { handle: TPM_HANDLE }, parameters: { credential: TPM2B_DIGEST, objectName: TPM2B_NAME } },
  { parameters: { credentialBlob: TPM2B_ID_OBJECT, secret: TPM2B_ENCRYPTED_SECRET } },
);
/** TPM2_Unseal, Part 3 §12.7. */
export const TPM2_Unseal = /* @__PURE__ */ command(
  'TPM2_Unseal',
  0x15e,
  { handles: { itemHandle: authorized(TPM_HANDLE) } },
  { parameters: { outData: TPM2B_SENSITIVE_DATA } },
);
/** TPM2_ObjectChangeAuth, Part 3 §12.8. */
export const TPM2_ObjectChangeAuth = /* @__PURE__ */ command(
  'TPM2_ObjectChangeAuth',
  0x150,
  {
    handles: { objectHandle: authorized(TPM_HANDLE, 'admin'), parentHandle: TPM_HANDLE },
    parameters: { newAuth: TPM2B_AUTH },
  },
  { parameters: { outPrivate: TPM2B_PRIVATE } },
);
/** TPM2_CreateLoaded, Part 3 §12.9. */
export const TPM2_CreateLoaded = /* @__PURE__ */ command(
  'TPM2_CreateLoaded',
  0x191,
  {
    handles: { parentHandle: authorized(TPM_HANDLE) },
    parameters: { inSensitive: TPM2B_SENSITIVE_CREATE, inPublic: TPM2B_TEMPLATE },
  },
  {
    handles: { objectHandle: TPM_HANDLE },
    parameters: { outPrivate: TPM2B_PRIVATE, outPublic: TPM2B_PUBLIC, name: TPM2B_NAME },
  },
);
/** TPM2_CreatePrimary, Part 3 §24.1. */
export const TPM2_CreatePrimary = /* @__PURE__ */ command(
  'TPM2_CreatePrimary',
  0x131,
  { handles: { primaryHandle: authorized(TPM_HANDLE) }, parameters: creation },
  {
    handles: { objectHandle: TPM_HANDLE },
    parameters: { outPublic: TPM2B_PUBLIC, ...created, name: TPM2B_NAME },
  },
);
/** TPM2_EvictControl, Part 3 §28.5. */
export const TPM2_EvictControl = /* @__PURE__ */ command(
  'TPM2_EvictControl',
  0x120,
  {
    handles: { auth: authorized(TPM_HANDLE), objectHandle: TPM_HANDLE },
    parameters: { persistentHandle: u32 },
  },
  {},
);
