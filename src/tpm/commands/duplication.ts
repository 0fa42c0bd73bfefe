import { authorized, command } from '../command.ts';
import { TPM2B_DATA, TPM2B_ENCRYPTED_SECRET, TPM2B_NAME, TPM2B_PRIVATE } from '../structures/buffers.ts';
import { TPM_HANDLE } from '../structures/handles.ts';
import { TPM2B_PUBLIC, TPMT_SYM_DEF_OBJECT } from '../structures/keys.ts';

/** TPM2_Duplicate, Part 3 §13.1. */
export const TPM2_Duplicate = /* @__PURE__ */ command(
  'TPM2_Duplicate',
  0x14b,
  {
    handles: { objectHandle: authorized(TPM_HANDLE, 'dup'), newParentHandle: TPM_HANDLE },
    parameters: { encryptionKeyIn: TPM2B_DATA, symmetricAlg: TPMT_SYM_DEF_OBJECT },
  },
  {
    parameters: {
      encryptionKeyOut: TPM2B_DATA,
      duplicate: TPM2B_PRIVATE,
      outSymSeed: TPM2B_ENCRYPTED_SECRET,
    },
  },
);
/** TPM2_Rewrap, Part 3 §13.2. */
export const TPM2_Rewrap = /* @__PURE__ */ command(
  'TPM2_Rewrap',
  0x152,
  {
    handles: { oldParent: authorized(TPM_HANDLE), newParent: TPM_HANDLE },
    parameters: { inDuplicate: TPM2B_PRIVATE, name: TPM2B_NAME, inSymSeed: TPM2B_ENCRYPTED_SECRET },
  },
  { parameters: { outDuplicate: TPM2B_PRIVATE, outSymSeed: TPM2B_ENCRYPTED_SECRET } },
);
/** TPM2_Import, Part 3 §13.3. */
export const TPM2_Import = /* @__PURE__ */ command(
  'TPM2_Import',
  0x156,
  {
    handles: { parentHandle: authorized(TPM_HANDLE) },
    parameters: {
      encryptionKey: TPM2B_DATA,
      objectPublic: TPM2B_PUBLIC,
      duplicate: TPM2B_PRIVATE,
      inSymSeed: TPM2B_ENCRYPTED_SECRET,
      symmetricAlg: TPMT_SYM_DEF_OBJECT,
    },
  },
  { parameters: { outPrivate: TPM2B_PRIVATE } },
);
