import type { TPMA_NV as Attributes } from '../../src/tpm/structures.ts';
import type { Machine } from './machine.ts';
import type { NvIndex } from './nv.ts';
import { numberOf, writeNumber } from './nv.ts';

const writes: ReadonlySet<string> = new Set([
  'TPM2_NV_Write',
  'TPM2_NV_Increment',
  'TPM2_NV_SetBits',
  'TPM2_NV_Extend',
  'TPM2_NV_WriteLock',
]);

/** Whether the command needs the authorization to write an index; all others read (Part 1 §37.2.6). */
export function isWriting(command: string): boolean {
  return writes.has(command);
}

/**
 * Whether the auth value of an index can authorise the command (Part 1 §19.2 and §37.2.8): that of a PIN index while its
 * count is below its limit.
 */
export function hasIndexAuth(index: NvIndex, command: string): boolean {
  const { nt, written, authread, authwrite } = index.publicArea.attributes;
  if (isWriting(command)) return authwrite === true;
  if (!isPin(nt)) return authread === true;
  const { count, limit } = pinOf(index);
  return written === true && count < limit;
}

/** Counts what became of an auth value of a PIN index: PIN FAIL counts failures in a row, PIN PASS uses. */
export function countPin(chip: Machine, index: NvIndex, right: boolean): void {
  const { nt, written } = index.publicArea.attributes;
  if (!written || !isPin(nt) || (nt === 'pinPass' && !right)) return;
  const pin = pinOf(index);
  const count = nt === 'pinFail' && right ? 0 : pin.count + 1;
  writeNumber(index, (BigInt(count >>> 0) << 32n) | BigInt(pin.limit));
  // A count that a start would bring back as TPM2_Shutdown found it is a count of nothing.
  if (index.kept !== undefined) chip.shutdown = null;
  chip.dirty = true;
}

/** Whether what is proven by an index of this type is counted in it. */
export function isPin(nt: Attributes['nt']): boolean {
  return nt === 'pinFail' || nt === 'pinPass';
}

/** TPMS_NV_PIN_COUNTER_PARAMETERS, Part 2 §13.3. */
function pinOf(index: NvIndex): { readonly count: number; readonly limit: number } {
  const value = numberOf(index);
  return { count: Number(value >> 32n), limit: Number(value & 0xffff_ffffn) };
}
