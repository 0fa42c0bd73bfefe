import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { hex } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import type { Fields } from '../../src/tpm/codec.ts';
import type { ArgumentsOf, Command, HandleFields, ResponseOf } from '../../src/tpm/command.ts';
import { rolesOf } from '../../src/tpm/command.ts';
import { decodeFields, decodeResponse, encodeCommand, encodeFields } from '../../src/tpm/framing.ts';
import { openTransport } from '../../src/tpm/index.ts';
import { startSwtpm } from './swtpm.ts';

const none = new Uint8Array();
const password = {
  sessionHandle: 0x40000009,
  nonce: none,
  sessionAttributes: { continueSession: true },
  hmac: none,
} as const;

/** The bytes of a command, each authorization an empty password. */
export function bytesOf<H extends HandleFields, P extends Fields, RH extends HandleFields, RP extends Fields>(
  command: Command<H, P, RH, RP>,
  request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
): Uint8Array {
  const values = request as Readonly<Record<string, unknown>>;
  const handles = Object.keys(command.handles).map((key) => Number(values[key]));
  const sessions = rolesOf(command as unknown as Command).map(() => password);
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
  ): Promise<ResponseOf<Command<H, P, RH, RP>>>;
  close(): Promise<void>;
}

/** The response code in an answer, hexadecimal; `0` for success. */
export function codeOf(answer: Uint8Array): string {
  return new DataView(answer.buffer, answer.byteOffset).getUint32(6).toString(16);
}

/** A fresh software TPM. */
export async function ourChip(): Promise<Chip> {
  const { clock, random } = nodePlatform({ directory: '.' });
  const chip = await SoftwareTpm.create({ clock, random });
  return chipOf(
    (command) => chip.exchange(command),
    () => chip.close(),
  );
}

/** A fresh swtpm. It is asked again when it wants to (TPM_RC_RETRY). */
export async function theirChip(): Promise<Chip> {
  const swtpm = await startSwtpm();
  const transport = openTransport(swtpm.spec);
  const raw = async (command: Uint8Array): Promise<Uint8Array> => {
    const answer = await transport.exchange(command);
    return codeOf(answer) === '922' ? raw(command) : answer;
  };
  return chipOf(raw, async () => {
    await transport.close?.();
    await swtpm.close();
  });
}

function chipOf(raw: Chip['raw'], close: Chip['close']): Chip {
  return {
    raw,
    close,
    async ask(command, request) {
      const answer = await raw(bytesOf(command, request));
      const plain = command as unknown as Command;
      if (codeOf(answer) !== '0') throw new Error(`${command.name}: ${codeOf(answer)} ${hex(answer)}`);
      const { handles, parameters } = decodeResponse(plain, rolesOf(plain).length, answer);
      const named = Object.keys(command.responseHandles).map((key, i) => [key, handles[i]]);
      const values = decodeFields(command.name, command.responseParameters, parameters);
      return { ...Object.fromEntries(named), ...values } as never;
    },
  };
}
