import { u32At } from '../../src/core/bytes.ts';
import { encodeRefusal } from '../../src/tpm/chip-framing.ts';
import type { SoftwareTpm } from './chip.ts';
import { RC } from './refusal.ts';
import {
  answerPrefixed,
  commandLength,
  largestCommand,
  prefixedLength,
  prefixSize,
  SEND_COMMAND,
} from './serve-command.ts';
import type { Dialect } from './serve-connection.ts';
import { CONTROL, Controller, controlLength, largestControl } from './serve-control.ts';
import type { ServeOptions, TpmServer } from './serve-sockets.ts';
import { servePair } from './serve-sockets.ts';

export type { ServeOptions, TpmServer };

/**
 * Offers `chip` over swtpm's protocol: TPM commands on one socket (one or more in each connection), raw or behind the
 * prefix of Microsoft's simulator, and swtpm's control commands on the other. Binds to loopback unless told otherwise:
 * whoever reaches the port is the TPM's owner.
 */
export function serveTpm(chip: SoftwareTpm, options: ServeOptions): Promise<TpmServer> {
  const controller = new Controller(chip);
  const commands: Dialect = {
    largest: prefixSize + largestCommand,
    lengthOf: (buffered) => (isPrefixed(buffered) ? prefixedLength(buffered) : commandLength(buffered)),
    answer: (request) => {
      if (isPrefixed(request)) return answerPrefixed(chip, request);
      // swtpm has ended its TPM then, and says so.
      return chip.powered ? chip.answer(request) : encodeRefusal(RC.FAILURE);
    },
  };
  const control: Dialect = {
    largest: largestControl,
    lengthOf: controlLength,
    answer: (request) => controller.obey(request),
    isLast: (request) => u32At(request, 0) === CONTROL.shutdown,
  };
  return servePair(options, (where) => `swtpm:${where}`, commands, control);
}

/** A command begins with its tag, 0x8001 or 0x8002: what begins with 8 is none. */
function isPrefixed(buffered: Uint8Array): boolean {
  return buffered.length >= 4 && u32At(buffered, 0) === SEND_COMMAND;
}
