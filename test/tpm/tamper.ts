import { encodeResponse, encodeResponseParameters } from '../../src/tpm/chip-framing.ts';
import type { Command } from '../../src/tpm/command.ts';
import { decodeFields, decodeResponse } from '../../src/tpm/framing.ts';

/** Rewrites the parameters of answers to `command`, its sizes right, as somebody between us and the TPM could. */
export function rewriting(
  command: Command,
  sessions: number,
  change: (values: Record<string, unknown>) => Record<string, unknown>,
) {
  return (answer: Uint8Array, asked: Uint8Array): Uint8Array => {
    if (new DataView(asked.buffer, asked.byteOffset).getUint32(6) !== command.code) return answer;
    const parts = decodeResponse(command, sessions, answer);
    if (parts.code !== 0) return answer;
    const values = decodeFields(command.name, command.responseParameters, parts.parameters);
    const parameters = encodeResponseParameters(command, change(values));
    return encodeResponse(parts.handles, parameters, sessions === 0 ? undefined : parts.sessions);
  };
}

/** Only answers to commands with this code. */
export function only(code: number, change: (answer: Uint8Array) => Uint8Array) {
  return (answer: Uint8Array, asked: Uint8Array): Uint8Array =>
    new DataView(asked.buffer, asked.byteOffset).getUint32(6) === code ? change(answer) : answer;
}
