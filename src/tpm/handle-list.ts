import { TpmMalformed } from './errors.ts';
import { HANDLES_MAX } from './structures/handles.ts';

/** A part of a list of handles, and whether there is more (TPM2_GetCapability, Part 3, 30.2). */
export interface HandlePage {
  readonly more: boolean;
  readonly data: readonly number[];
}

/**
 * All handles of the kind of `first`, ascending, asked for page by page. Within a page they may come in any order: a TPM
 * lists sessions by their places, those of policies (03…) among the others (02…), and Linux puts the handles it made up
 * for objects, from the top, in place of the TPM's (drivers/char/tpm/tpm2-space.c).
 *
 * @param first lowest handle of the kind that is asked for.
 * @param page asks for what there is from `property` on.
 * @throws {TpmMalformed} when a page has a handle below what was asked for, one twice, or the pages do not end.
 */
export async function listFrom(
  first: number,
  page: (property: number) => Promise<HandlePage>,
): Promise<readonly number[]> {
  const found = new Set<number>();
  for (let property = first; property >>> 24 === first >>> 24; ) {
    const { more, data } = await page(property);
    const before = found.size;
    for (const handle of data) {
      if (handle < property) throw new TpmMalformed('the TPM lists a handle that was not asked for');
      found.add(handle);
    }
    if (found.size !== before + data.length) throw new TpmMalformed('the TPM lists a handle twice');
    if (!more || data.length === 0) break;
    if (found.size > HANDLES_MAX) throw new TpmMalformed('the TPM lists handles without end');
    property = Math.max(...data) + 1;
  }
  return [...found].sort((a, b) => a - b);
}
