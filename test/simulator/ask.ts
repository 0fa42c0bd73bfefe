import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import type { SoftwareTpmOptions } from '../../simulator/tpm/chip-options.ts';
import type { Fields } from '../../src/tpm/codec.ts';
import type { ArgumentsOf, Command, HandleFields, ResponseOf } from '../../src/tpm/command.ts';
import { rolesOf } from '../../src/tpm/command.ts';
import { decodeFields, decodeResponse, encodeCommand, encodeFields } from '../../src/tpm/framing.ts';

const none = new Uint8Array();
const password = {
  sessionHandle: 0x40000009,
  nonce: none,
  sessionAttributes: { continueSession: true },
  hmac: none,
} as const;

/** The bytes of a command, each authorization a password (default: an empty one). */
export function bytesOf<H extends HandleFields, P extends Fields, RH extends HandleFields, RP extends Fields>(
  command: Command<H, P, RH, RP>,
  request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
  passwords: readonly Uint8Array[] = [],
): Uint8Array {
  const values = request as Readonly<Record<string, unknown>>;
  const handles = Object.keys(command.handles).map((key) => Number(values[key]));
  const sessions = rolesOf(command as unknown as Command).map((_, i) => ({
    ...password,
    hmac: passwords[i] ?? none,
  }));
  return encodeCommand(command.code, handles, sessions, encodeFields(command.parameters, values));
}

/** A TPM that is asked command by command. */
export interface Chip {
  /** The answer to the bytes of a command. */
  raw(command: Uint8Array): Promise<Uint8Array>;
  /** The answer to a command. @throws Error with the response code when it is refused. */
  ask<H extends HandleFields, P extends Fields, RH extends HandleFields, RP extends Fields>(
    command: Command<H, P, RH, RP>,
    request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
    passwords?: readonly Uint8Array[],
  ): Promise<ResponseOf<Command<H, P, RH, RP>>>;
  close(): Promise<void>;
}

/** The response code in an answer, hexadecimal; `0` for success. */
export function codeOf(answer: Uint8Array): string {
  return new DataView(answer.buffer, answer.byteOffset).getUint32(6).toString(16);
}

/** A fresh software TPM. */
export async function softwareChip(made: SoftwareTpmOptions): Promise<Chip> {
  const chip = await SoftwareTpm.create(made);
  return chipOf(
    (command) => chip.exchange(command),
    () => chip.close(),
  );
}

/** A TPM that answers by `raw`. */
export function chipOf(raw: Chip['raw'], close: Chip['close']): Chip {
  return {
    raw,
    close,
    async ask(command, request, passwords) {
      const answer = await raw(bytesOf(command, request, passwords));
      const plain = command as unknown as Command;
      if (codeOf(answer) !== '0') throw new Error(`${command.name}: ${codeOf(answer)}`);
      const { handles, parameters } = decodeResponse(plain, rolesOf(plain).length, answer);
      const named = Object.keys(command.responseHandles).map((key, i) => [key, handles[i]]);
      const values = decodeFields(command.name, command.responseParameters, parameters);
      return { ...Object.fromEntries(named), ...values } as never;
    },
  };
}
