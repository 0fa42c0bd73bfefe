import { concat, fromHex, hex } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { PublicJwk } from '../core/signer.ts';
import { jwkOfPoint, pointOfJwk, readPublicJwk } from '../core/signer.ts';
import type { Tpm } from '../tpm/index.ts';
import { nvRead, nvReadPublic, nvWrite } from '../tpm/index.ts';
import { NotManufactured } from './errors.ts';
import type { Ownership } from './voucher.ts';

/** NV indices of ours, in the range the TCG leaves to makers of platforms. The maker defines both. */
export const deviceIndices = {
  /** The maker's voucher keys, x ‖ y each, at most {@link VOUCHER_KEYS_MAX}. Written by the maker alone. */
  voucherKeys: 0x01400f01,
  /** Ownership sequence (8 bytes) ‖ SHA-256 of the owner's pinned certificate. Survives TPM2_Clear. */
  ownership: 0x01400f02,
} as const;

/** Most voucher keys a TPM holds: a maker can roll over. */
export const VOUCHER_KEYS_MAX = 4;
/** Bytes of the ownership index. */
export const OWNERSHIP_SIZE = 40;

/** Contents of the voucher key index. */
export function encodeVoucherKeys(keys: readonly PublicJwk[]): Uint8Array {
  if (keys.length === 0 || keys.length > VOUCHER_KEYS_MAX)
    throw new TypeError(`\`keys\` must be 1 to ${VOUCHER_KEYS_MAX}`);
  return concat(...keys.map((key) => pointOfJwk(key).subarray(1)));
}

/** The maker's voucher keys. @throws {NotManufactured} when the maker put none into this TPM. */
export async function readVoucherKeys(tpm: Tpm): Promise<readonly PublicJwk[]> {
  const index = await nvReadPublic(tpm, deviceIndices.voucherKeys);
  if (index?.public.attributes.written !== true)
    throw new NotManufactured('this TPM holds no voucher keys of a maker');
  const bytes = await nvRead(tpm, index);
  if (bytes.length === 0 || bytes.length % 64 !== 0 || bytes.length > 64 * VOUCHER_KEYS_MAX)
    throw new Malformed('the voucher keys in the TPM have another form');
  return Array.from({ length: bytes.length / 64 }, (_, i) =>
    readPublicJwk(jwkOfPoint(concat(Uint8Array.of(4), bytes.subarray(64 * i, 64 * i + 64)))),
  );
}

/** Who owns the device, as far as its TPM remembers. */
export async function readOwnership(tpm: Tpm): Promise<Ownership> {
  const index = await nvReadPublic(tpm, deviceIndices.ownership);
  if (index === undefined) throw new NotManufactured('this TPM has no place for its owner');
  if (index.public.attributes.written !== true) return { sequence: 0, pinned: '' };
  const bytes = await nvRead(tpm, index, { size: OWNERSHIP_SIZE });
  const sequence = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0));
  return { sequence, pinned: sequence === 0 ? '' : hex(bytes.subarray(8)) };
}

/** Makes the TPM remember its owner. */
export async function writeOwnership(tpm: Tpm, ownership: Ownership): Promise<void> {
  const index = await nvReadPublic(tpm, deviceIndices.ownership);
  if (index === undefined) throw new NotManufactured('this TPM has no place for its owner');
  const sequence = new Uint8Array(8);
  new DataView(sequence.buffer).setBigUint64(0, BigInt(ownership.sequence));
  await nvWrite(tpm, index, concat(sequence, fromHex(ownership.pinned)));
}

/** How a pinned certificate is remembered: SHA-256, hex. */
export function pinOf(certificate: Uint8Array): string {
  return hex(sha256(certificate));
}
