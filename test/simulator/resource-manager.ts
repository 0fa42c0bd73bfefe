import { commandByCode } from '../../src/tpm/command-table.ts';
import {
  TPM2_ContextLoad,
  TPM2_ContextSave,
  TPM2_FlushContext,
  TPM2_GetCapability,
} from '../../src/tpm/commands.ts';
import type { TPMS_CONTEXT as Context } from '../../src/tpm/structures.ts';
import type { Answering } from '../tpm/raw.ts';
import { ask, codeOf } from '../tpm/raw.ts';
import { rewriting } from '../tpm/tamper.ts';

const headerSize = 10;
const transient = 0x80;
const isSession = (handle: number) => handle >>> 24 === 0x02 || handle >>> 24 === 0x03;

/**
 * What Linux does behind /dev/tpmrm0 (drivers/char/tpm/tpm2-space.c): after each command everything is saved and
 * flushed, before each command what this space has is loaded again. Handles of objects are made up; those of sessions
 * are the TPM's own. In a list of handles the TPM's own of objects become the made-up ones, where they stand: the later
 * an object came, the lower its handle, so that such a list is not ascending.
 */
export class ResourceManager implements Answering {
  readonly #tpm: Answering;
  #next = 0x80ffffff;
  /** Contexts of objects by made-up handle. */
  readonly #objects = new Map<number, Context>();
  /** Contexts of sessions; `undefined` while a session has not been saved yet. */
  readonly #sessions = new Map<number, Context | undefined>();

  constructor(tpm: Answering) {
    this.#tpm = tpm;
  }

  /** Handles of the objects and sessions this space has. */
  get held(): { readonly objects: readonly number[]; readonly sessions: readonly number[] } {
    return { objects: [...this.#objects.keys()], sessions: [...this.#sessions.keys()] };
  }

  async exchange(sent: Uint8Array): Promise<Uint8Array> {
    const real = new Map<number, number>();
    for (const [made, context] of this.#objects)
      real.set(made, (await ask(this.#tpm, TPM2_ContextLoad, { context })).loadedHandle);
    for (const context of this.#sessions.values())
      if (context !== undefined) await ask(this.#tpm, TPM2_ContextLoad, { context });
    const command = sent.slice();
    const view = new DataView(command.buffer);
    const declared = commandByCode(view.getUint32(6));
    const flushes = declared?.name === 'TPM2_FlushContext';
    const count = flushes ? 1 : Object.keys(declared?.handles ?? {}).length;
    for (let i = 0, at = headerSize; i < count; i++, at += 4)
      view.setUint32(at, real.get(view.getUint32(at)) ?? view.getUint32(at));
    const answer = (await this.#tpm.exchange(command)).slice();
    const done = codeOf(answer) === 0;
    if (flushes && done) this.#forget(new DataView(sent.buffer, sent.byteOffset).getUint32(headerSize), real);
    if (done && Object.keys(declared?.responseHandles ?? {}).length > 0) this.#adopt(answer, real);
    await this.#saveAll(real);
    return rewriting(TPM2_GetCapability, 0, (values) => this.#listed(values, real))(answer, sent);
  }

  /** A handle in an answer becomes one of this space. */
  #adopt(answer: Uint8Array, real: Map<number, number>): void {
    const view = new DataView(answer.buffer);
    const handle = view.getUint32(headerSize);
    if (handle >>> 24 === transient) {
      const made = this.#next--;
      real.set(made, handle);
      view.setUint32(headerSize, made);
    } else if (isSession(handle)) {
      this.#sessions.set(handle, undefined);
    }
  }

  /** Of objects, a list of handles has only those of this space. */
  #listed(values: Record<string, unknown>, real: ReadonlyMap<number, number>): Record<string, unknown> {
    const { capability, data } = values['capabilityData'] as { capability: string; data: readonly number[] };
    if (capability !== 'handles') return values;
    const made = new Map([...real].map(([ours, handle]) => [handle, ours]));
    const ours = data.map((handle) => (handle >>> 24 === transient ? made.get(handle) : handle));
    const known = ours.filter((handle) => handle !== undefined);
    return { ...values, capabilityData: { capability, data: known } };
  }

  #forget(handle: number, real: Map<number, number>): void {
    this.#objects.delete(handle);
    this.#sessions.delete(handle);
    real.delete(handle);
  }

  async #saveAll(real: ReadonlyMap<number, number>): Promise<void> {
    for (const [made, handle] of real) {
      this.#objects.set(made, (await ask(this.#tpm, TPM2_ContextSave, { saveHandle: handle })).context);
      await ask(this.#tpm, TPM2_FlushContext, { flushHandle: handle });
    }
    for (const saveHandle of this.#sessions.keys()) {
      // A session that a command has used up is no longer there.
      try {
        this.#sessions.set(saveHandle, (await ask(this.#tpm, TPM2_ContextSave, { saveHandle })).context);
      } catch {
        this.#sessions.delete(saveHandle);
      }
    }
  }
}
