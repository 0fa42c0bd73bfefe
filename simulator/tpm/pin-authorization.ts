import { concat, u32 } from '../../src/core/bytes.ts';
import type { Machine } from './machine.ts';
import type { NvIndex } from './nv.ts';

/**
 * Indices whose auth value can be used only so often (TPM_NT_PIN_FAIL and TPM_NT_PIN_PASS, Part 1 §37.2.8): they hold
 * pinCount and pinLimit, four bytes each.
 */
export function isPin({ publicArea }: NvIndex): boolean {
  return publicArea.attributes.nt === 'pinFail' || publicArea.attributes.nt === 'pinPass';
}

/** Whether the auth value of a PIN index may be used once more; never before limits were written. */
export function isPinOpen(index: NvIndex): boolean {
  if (index.publicArea.attributes.written !== true) return false;
  const { count, limit } = countsOf(index);
  return count < limit;
}

/** The auth value was used, rightly or wrongly: PIN_FAIL counts what failed in a row, PIN_PASS what succeeded. */
export function countPin(chip: Machine, index: NvIndex, succeeded: boolean): void {
  const { nt, written } = index.publicArea.attributes;
  if (written !== true) return;
  const { count, limit } = countsOf(index);
  const next = nt === 'pinFail' ? (succeeded ? 0 : count + 1) : succeeded ? count + 1 : count;
  if (next === count) return;
  index.data = concat(u32(next), u32(limit));
  chip.dirty = true;
}

function countsOf({ data }: NvIndex): { readonly count: number; readonly limit: number } {
  const view = new DataView(data.buffer, data.byteOffset, 8);
  return { count: view.getUint32(0), limit: view.getUint32(4) };
}
