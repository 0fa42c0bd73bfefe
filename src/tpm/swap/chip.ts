import { concat, u32, u32At } from '../../core/bytes.ts';
import { dataOf } from '../client/capability.ts';
import { decode } from '../codec.ts';
import { TPM2_ContextLoad, TPM2_ContextSave, TPM2_FlushContext } from '../commands/session.ts';
import { TPM2_GetCapability } from '../commands/startup.ts';
import { TpmMalformed } from '../errors.ts';
import { encodeCommand, HEADER_SIZE } from '../framing.ts';
import { listFrom } from '../handle-list.ts';
import { TPMS_CAPABILITY_DATA } from '../structures/capabilities.ts';
import type { Transport } from '../transport/transport.ts';

/** The TPM behind the swapping: the few commands that swapping itself needs, in plain bytes. */
export interface Chip {
  /** Any command as it is. */
  send(command: Uint8Array): Promise<Uint8Array>;
  /** TPM2_ContextSave. The context, marshalled, or a response code. */
  save(handle: number): Promise<Uint8Array | number>;
  /** TPM2_ContextLoad. The handle it has now, or a response code as a negative number. */
  load(context: Uint8Array): Promise<number>;
  /** TPM2_FlushContext; whether there was something to forget. */
  flush(handle: number): Promise<boolean>;
  /** Handles of one kind from `first` on; none while the TPM refuses to say (before TPM2_Startup). */
  handles(first: number): Promise<readonly number[]>;
}

/** Builds a {@link Chip} on a transport; `signal` is that of the command in hand. */
export function chipOn(transport: Transport, signal: () => AbortSignal | undefined): Chip {
  const send = (command: Uint8Array) => transport.exchange(command, signal());
  const ask = async (code: number, handles: readonly number[], parameters: Uint8Array) => {
    const answer = await send(encodeCommand(code, handles, [], parameters));
    const refusal = codeOf(answer);
    return refusal === 0 ? answer.subarray(HEADER_SIZE) : refusal;
  };
  return {
    send,
    save: (handle) => ask(TPM2_ContextSave.code, [handle], new Uint8Array(0)),
    async load(context) {
      const answer = await ask(TPM2_ContextLoad.code, [], context);
      if (typeof answer === 'number') return -answer;
      if (answer.length !== 4) throw new TpmMalformed('the answer to `TPM2_ContextLoad` is malformed');
      return u32At(answer, 0);
    },
    flush: async (handle) => typeof (await ask(TPM2_FlushContext.code, [], u32(handle))) !== 'number',
    handles: (first) =>
      listFrom(first, async (property) => {
        const answer = await ask(TPM2_GetCapability.code, [], concat(u32(1), u32(property), u32(254)));
        if (typeof answer === 'number') return { more: false, data: [] };
        const listed = decode(TPMS_CAPABILITY_DATA, answer.subarray(1));
        return { more: answer[0] !== 0, data: dataOf(listed, 'handles') };
      }),
  };
}

/** The code of a command, or the response code of an answer. @throws {TpmMalformed} when it is too short to have one. */
export function codeOf(message: Uint8Array): number {
  if (message.length < HEADER_SIZE) throw new TpmMalformed(`a message of ${message.length} bytes`);
  return u32At(message, 6);
}
