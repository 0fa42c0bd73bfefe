import { concat, u32, u32At } from '../../src/core/bytes.ts';
import { encodeRefusal } from '../../src/tpm/chip-framing.ts';
import type { SoftwareTpm } from './chip.ts';
import { RC } from './refusal.ts';

/** TPM_SEND_COMMAND of Microsoft's simulator: before a command stand this code, a locality and the command's size. */
export const SEND_COMMAND = 8;
/** Code, locality, size. */
export const prefixSize = 9;
/** No command is longer. */
export const largestCommand = 4096;

/** Length of the command at the head, from its own header; a size below the header is taken as the header alone. */
export function commandLength(buffered: Uint8Array): number | undefined {
  return buffered.length < 10 ? undefined : Math.max(10, u32At(buffered, 2));
}

/** Length of a command behind {@link SEND_COMMAND}, with all that stands before it. */
export function prefixedLength(buffered: Uint8Array): number | undefined {
  return buffered.length < prefixSize ? undefined : prefixSize + u32At(buffered, 5);
}

/** The answer to a command that came behind {@link SEND_COMMAND}: its size, itself, and a zero. */
export async function answerPrefixed(chip: SoftwareTpm, request: Uint8Array): Promise<Uint8Array> {
  const locality = request[4] ?? 0;
  const response =
    locality > 4 ? encodeRefusal(RC.LOCALITY) : await chip.exchangeAt(locality, request.subarray(prefixSize));
  return framedResponse(response);
}

/** A response as Microsoft's simulator sends it. */
export function framedResponse(response: Uint8Array): Uint8Array {
  return concat(u32(response.length), response, u32(0));
}
