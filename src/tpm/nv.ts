import { concat } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { saltKeyFor, withAuthorizations } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { Tpm } from './client/tpm.ts';
import {
  TPM2_NV_DefineSpace,
  TPM2_NV_Increment,
  TPM2_NV_Read,
  TPM2_NV_ReadPublic,
  TPM2_NV_UndefineSpace,
  TPM2_NV_Write,
} from './commands/nv.ts';
import { TpmMalformed, TpmRefused } from './errors.ts';
import { nvNameOf } from './names.ts';
import type { TpmObject } from './objects.ts';
import type { TPMI_ALG_HASH } from './structures/algorithms.ts';
import { TPM_RH } from './structures/handles.ts';
import type { TPMA_NV, TPMS_NV_PUBLIC } from './structures/nv.ts';

/** An NV index as it is now. Its Name changes with its first write: read it again then. */
export interface NvIndex {
  readonly handle: number;
  /** Computed by us from `public`. */
  readonly name: Uint8Array;
  readonly public: TPMS_NV_PUBLIC;
  /** Its auth value: proven by HMAC, never sent. Absent: empty. */
  readonly auth?: Uint8Array | undefined;
}

/** The NV index at `handle`, or `undefined` when it is not defined. */
export async function nvReadPublic(
  tpm: Tpm,
  handle: number,
  auth?: Uint8Array | undefined,
): Promise<NvIndex | undefined> {
  try {
    const { nvPublic } = await run(tpm, TPM2_NV_ReadPublic, { nvIndex: handle });
    return { handle, name: nvNameOf(nvPublic), public: nvPublic, auth };
  } catch (error) {
    if (error instanceof TpmRefused && error.reason === 'HANDLE') return undefined;
    throw error;
  }
}

/** What a new NV index gets. */
export interface NewNvIndex {
  /** For example 0x01800010; owner's indices are 0x01800000 to 0x01BFFFFF. */
  readonly handle: number;
  /** Bytes; 8 for counters. */
  readonly size: number;
  readonly attributes: TPMA_NV;
  /** Hash of its Name and of its policy. Default: `sha256`. */
  readonly nameAlg?: TPMI_ALG_HASH | undefined;
  /** Its policy. Default: none. */
  readonly authPolicy?: Uint8Array | undefined;
  /** Its auth value. Default: empty. */
  readonly auth?: Uint8Array | undefined;
  /** A trusted key of this TPM to hide `auth` from whoever listens. Default: `tpm.saltKey`. */
  readonly saltedTo?: TpmObject | undefined;
  /** Who defines it. Default: `owner`. */
  readonly by?: 'owner' | 'platform' | undefined;
  /** The hierarchy's auth value. Default: empty. */
  readonly hierarchyAuth?: Uint8Array | undefined;
}

/** Defines an NV index. @throws {TpmRefused} NV_DEFINED when there is one already. */
export async function nvDefine(tpm: Tpm, index: NewNvIndex): Promise<NvIndex> {
  const publicInfo: TPMS_NV_PUBLIC = {
    nvIndex: index.handle,
    nameAlg: index.nameAlg ?? 'sha256',
    attributes: index.attributes,
    authPolicy: index.authPolicy ?? new Uint8Array(0),
    dataSize: index.size,
  };
  const auth = index.auth ?? new Uint8Array(0);
  const needs = [
    { by: 'auth', auth: index.hierarchyAuth } as const,
    ...(auth.length > 0 ? [{ by: 'salt', to: saltKeyFor(tpm, index.saltedTo), request: true } as const] : []),
  ];
  await withAuthorizations(tpm, needs, async (authorizations) => {
    await run(
      tpm,
      TPM2_NV_DefineSpace,
      { authHandle: TPM_RH[index.by ?? 'owner'], auth, publicInfo },
      { authorizations },
    );
  });
  return { handle: index.handle, name: nvNameOf(publicInfo), public: publicInfo, auth: index.auth };
}

/** Removes an NV index; false when there was none. */
export async function nvUndefine(
  tpm: Tpm,
  handle: number,
  options: { readonly by?: 'owner' | 'platform'; readonly hierarchyAuth?: Uint8Array | undefined } = {},
): Promise<boolean> {
  const index = await nvReadPublic(tpm, handle);
  if (index === undefined) return false;
  const needs = [{ by: 'auth', auth: options.hierarchyAuth } as const];
  await withAuthorizations(tpm, needs, async (authorizations) => {
    await run(
      tpm,
      TPM2_NV_UndefineSpace,
      { authHandle: TPM_RH[options.by ?? 'owner'], nvIndex: index },
      { authorizations },
    );
  });
  return true;
}

/** Writes `data` from `offset` (default 0), in pieces the TPM can take. Returns the index with its new Name. */
export async function nvWrite(
  tpm: Tpm,
  index: NvIndex,
  data: Uint8Array,
  options: NvAccess = {},
): Promise<NvIndex> {
  const start = options.offset ?? 0;
  let now = index;
  for (let at = 0; at < data.length || at === 0; at += tpm.nvBufferMax) {
    const piece = data.subarray(at, at + tpm.nvBufferMax);
    const current = now;
    await withAuthorizations(tpm, [accessNeed(current, options)], async (authorizations) => {
      await run(
        tpm,
        TPM2_NV_Write,
        { authHandle: accessHandle(current, options), nvIndex: current, data: piece, offset: start + at },
        { authorizations },
      );
    });
    now = written(now);
  }
  return now;
}

/** Reads `size` bytes (default: all) from `offset` (default 0). @throws {TpmRefused} NV_UNINITIALIZED before any write. */
export async function nvRead(
  tpm: Tpm,
  index: NvIndex,
  options: NvAccess & { readonly size?: number } = {},
): Promise<Uint8Array> {
  const offset = options.offset ?? 0;
  const size = options.size ?? index.public.dataSize - offset;
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < size; at += tpm.nvBufferMax) {
    const wanted = Math.min(size - at, tpm.nvBufferMax);
    const { data } = await withAuthorizations(tpm, [accessNeed(index, options)], (authorizations) =>
      run(
        tpm,
        TPM2_NV_Read,
        { authHandle: accessHandle(index, options), nvIndex: index, size: wanted, offset: offset + at },
        { authorizations },
      ),
    );
    if (data.length !== wanted)
      throw new TpmMalformed('the TPM read another number of bytes than was asked for');
    pieces.push(data);
  }
  return concat(...pieces);
}

/**
 * The DER object at the start of an NV index (a certificate); padding behind it is ignored. `undefined` when the index is
 * not defined or was never written.
 *
 * @throws {Malformed} when what is there is no DER sequence.
 */
export async function nvReadCertificate(tpm: Tpm, handle: number): Promise<Uint8Array | undefined> {
  const index = await nvReadPublic(tpm, handle);
  if (index === undefined || index.public.attributes.written !== true) return undefined;
  // A wrong auth value of an index that is not exempt counts as guessing; the owner's never does.
  const { authread, noDa } = index.public.attributes;
  const by = authread === true && noDa === true ? 'index' : 'owner';
  const content = await nvRead(tpm, index, { by });
  return content.slice(0, derLength(content));
}

/** Defines a monotonic counter (8 bytes) that its own auth value reads and the index's auth increments. */
export async function counterDefine(
  tpm: Tpm,
  counter: Pick<NewNvIndex, 'handle' | 'auth' | 'saltedTo' | 'hierarchyAuth'>,
): Promise<NvIndex> {
  return await nvDefine(tpm, {
    ...counter,
    size: 8,
    attributes: { nt: 'counter', authwrite: true, authread: true, ownerread: true, noDa: true },
  });
}

/** Increments a counter; the first time it is set to the largest value any counter of this TPM ever had, plus one. */
export async function counterIncrement(tpm: Tpm, counter: NvIndex): Promise<NvIndex> {
  await withAuthorizations(tpm, [accessNeed(counter, {})], async (authorizations) => {
    await run(tpm, TPM2_NV_Increment, { authHandle: counter, nvIndex: counter }, { authorizations });
  });
  return written(counter);
}

/** The value of a counter. @throws {TpmRefused} NV_UNINITIALIZED when it was never incremented. */
export async function counterRead(tpm: Tpm, counter: NvIndex): Promise<bigint> {
  const value = await nvRead(tpm, counter, { size: 8 });
  return new DataView(value.buffer, value.byteOffset, 8).getBigUint64(0);
}

/** By whose authorization an index is used. */
export interface NvAccess {
  /** Default: `index`, by its own auth value. */
  readonly by?: 'index' | 'owner' | 'platform' | undefined;
  /** The hierarchy's auth value, for `owner` and `platform`. Default: empty. */
  readonly hierarchyAuth?: Uint8Array | undefined;
  readonly offset?: number | undefined;
}

function accessHandle(index: NvIndex, access: NvAccess): number | NvIndex {
  return access.by === undefined || access.by === 'index' ? index : TPM_RH[access.by];
}

function accessNeed(
  index: NvIndex,
  access: NvAccess,
): { readonly by: 'auth'; readonly auth: Uint8Array | undefined } {
  return {
    by: 'auth',
    auth: access.by === undefined || access.by === 'index' ? index.auth : access.hierarchyAuth,
  };
}

/** The index after a write: with the attribute `written`, hence with another Name. */
function written(index: NvIndex): NvIndex {
  if (index.public.attributes.written === true) return index;
  const area = { ...index.public, attributes: { ...index.public.attributes, written: true } };
  return { ...index, public: area, name: nvNameOf(area) };
}

/** Bytes of the DER sequence that `bytes` begin with. */
function derLength(bytes: Uint8Array): number {
  const first = bytes[1] ?? 0;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  if (bytes[0] !== 0x30 || lengthBytes > 3 || first === 0x80)
    throw new Malformed('no DER sequence in the NV index');
  let length = lengthBytes === 0 ? first : 0;
  for (let i = 0; i < lengthBytes; i++) length = length * 256 + (bytes[2 + i] ?? 0);
  const end = 2 + lengthBytes + length;
  if (end > bytes.length) throw new Malformed('the DER sequence in the NV index is cut off');
  return end;
}
