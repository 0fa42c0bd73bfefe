import { u32, u32At } from '../../core/bytes.ts';
import { encodeRefusal, encodeResponse, OperandError, splitCommand } from '../chip-framing.ts';
import { encode } from '../codec.ts';
import type { Command } from '../command.ts';
import { commandByCode } from '../command-table.ts';
import { TPM2_ChangeEPS, TPM2_ChangePPS, TPM2_Clear, TPM2_HierarchyControl } from '../commands/hierarchy.ts';
import { TPM2_EventSequenceComplete, TPM2_SequenceComplete } from '../commands/sequence.ts';
import { TPM2_ContextSave, TPM2_FlushContext } from '../commands/session.ts';
import { TPM2_GetCapability, TPM2_Startup } from '../commands/startup.ts';
import { HEADER_SIZE } from '../framing.ts';
import { TPM_RC_FMT1, TPM_RC_WARN } from '../response-codes.ts';
import { TPM_CAP, TPMS_CAPABILITY_DATA } from '../structures/capabilities.ts';
import { handleType, TPM_HR } from '../structures/handles.ts';
import type { Chip } from './chip.ts';
import { codeOf } from './chip.ts';
import type { Held } from './pool.ts';
import { Instead, Pool } from './pool.ts';

/** How many things are in the TPM at a time. */
export interface SwappingOptions {
  /** Objects. Default: 3, the least that the PC Client profile has, and the most the kernel gives one program. */
  readonly objectsMax?: number | undefined;
  /** Sessions. Default: 3. */
  readonly sessionsMax?: number | undefined;
}

/** Sees to it that what a command needs is in the TPM, and keeps account of what it leaves. */
export class Swapper {
  readonly #chip: Chip;
  readonly #objects: Pool;
  readonly #sessions: Pool;
  /** What was in the TPM before us: other programs'. */
  #foreign: ReadonlySet<number> | undefined;
  /** What the TPM holds may differ from what we know: an answer was lost, or a hierarchy was cleared. */
  #unsure = false;
  #nextId: number = TPM_HR.transient;

  constructor(chip: Chip, options: SwappingOptions) {
    this.#chip = chip;
    this.#objects = new Pool(chip, 'objects', options.objectsMax ?? 3);
    this.#sessions = new Pool(chip, 'sessions', options.sessionsMax ?? 3);
  }

  async exchange(bytes: Uint8Array): Promise<Uint8Array> {
    this.#foreign ??= new Set(await this.#present());
    if (this.#unsure) await this.#lookAround();
    this.#unsure = true; // until an answer has come
    let answer: Uint8Array;
    try {
      answer = await this.#answer(bytes);
    } catch (error) {
      if (!(error instanceof Instead)) throw error;
      answer = encodeRefusal(error.responseCode);
    }
    this.#unsure = false;
    const code = bytes.length < HEADER_SIZE ? 0 : codeOf(bytes);
    if (codeOf(answer) === 0 && emptying.includes(code)) this.#unsure = true;
    return answer;
  }

  /** Forgets everything of ours that is in the TPM, loaded or saved. */
  async flushAll(): Promise<void> {
    for (const { real } of this.#objects.all) if (real !== undefined) await this.#chip.flush(real);
    for (const { id } of this.#sessions.all) await this.#chip.flush(id);
    this.#objects.clear();
    this.#sessions.clear();
  }

  async #answer(bytes: Uint8Array): Promise<Uint8Array> {
    const command = bytes.length < HEADER_SIZE ? undefined : commandByCode(codeOf(bytes));
    if (command === undefined) return await this.#chip.send(bytes);
    let parts: ReturnType<typeof splitCommand>;
    try {
      parts = splitCommand(command, bytes);
    } catch (error) {
      if (error instanceof OperandError) return await this.#chip.send(bytes); // for the TPM to refuse
      throw error;
    }
    if (command.code === TPM2_FlushContext.code) return await this.#flush(bytes, parts.parameters);
    if (command.code === TPM2_GetCapability.code && parts.sessions.length === 0)
      return await this.#capability(bytes, parts.parameters);

    const sessions = parts.sessions.map(({ sessionHandle }) => sessionHandle);
    const pinned = this.#neededBy(parts.handles, sessions);
    for (const [i, handle] of parts.handles.entries())
      await this.#bring(handle, pinned, TPM_RC_WARN.REFERENCE_H0 + i);
    for (const [i, handle] of sessions.entries())
      await this.#bring(handle, pinned, TPM_RC_WARN.REFERENCE_S0 + i);
    for (const key of Object.keys(command.responseHandles))
      await (key === 'sessionHandle' ? this.#sessions : this.#objects).makeRoom(pinned);

    const sent = new Uint8Array(bytes);
    const view = new DataView(sent.buffer);
    for (const [i, handle] of parts.handles.entries())
      view.setUint32(HEADER_SIZE + 4 * i, this.#objects.find(handle)?.real ?? handle);
    for (;;) {
      const answer = await this.#chip.send(sent);
      const code = codeOf(answer);
      if (code === 0) return this.#settle(command, parts, answer);
      if (await this.#objects.relieve(code, pinned)) continue;
      if (await this.#sessions.relieve(code, pinned)) continue;
      return answer;
    }
  }

  #neededBy(handles: readonly number[], sessions: readonly number[]): ReadonlySet<Held> {
    const needed = new Set<Held>();
    for (const handle of [...handles, ...sessions]) {
      const held = this.#objects.find(handle) ?? this.#sessions.find(handle);
      if (held !== undefined) needed.add(held);
    }
    return needed;
  }

  async #bring(handle: number, pinned: ReadonlySet<Held>, gone: number): Promise<void> {
    const object = this.#objects.find(handle);
    if (object !== undefined) await this.#objects.bring(object, pinned, gone);
    else if (handleType(handle) === 'transient') throw new Instead(gone); // its number may be another's in the TPM
    const session = this.#sessions.find(handle);
    if (session !== undefined) await this.#sessions.bring(session, pinned, gone);
  }

  /** Keeps account of what a successful command made, ended or took away. */
  #settle(command: Command, parts: ReturnType<typeof splitCommand>, answer: Uint8Array): Uint8Array {
    for (const { sessionHandle, sessionAttributes } of parts.sessions)
      if (sessionAttributes.continueSession !== true) this.#sessions.remove(sessionHandle);
    const [first = 0] = parts.handles;
    if (command.code === TPM2_ContextSave.code) this.#sessions.remove(first); // it is its owner's to load again
    if (command.code === TPM2_SequenceComplete.code) this.#objects.remove(first);
    if (command.code === TPM2_EventSequenceComplete.code) this.#objects.remove(parts.handles[1] ?? 0);
    if (command.code === TPM2_Startup.code) {
      this.#objects.clear();
      this.#sessions.clear();
    }
    const [key] = Object.keys(command.responseHandles);
    if (key === undefined || answer.length < HEADER_SIZE + 4) return answer;
    const changed = new Uint8Array(answer);
    const made = u32At(changed, HEADER_SIZE);
    if (handleType(made) === 'transient') {
      const { id } = this.#objects.add(this.#freeId(), made, key !== 'objectHandle');
      changed.set(u32(id), HEADER_SIZE);
    } else this.#sessions.add(made, made, true);
    return changed;
  }

  async #flush(bytes: Uint8Array, parameters: Uint8Array): Promise<Uint8Array> {
    if (parameters.length !== 4) return await this.#chip.send(bytes);
    const handle = u32At(parameters, 0);
    const object = this.#objects.find(handle);
    if (object === undefined) {
      if (handleType(handle) === 'transient') return encodeRefusal(TPM_RC_FMT1.HANDLE | 0x140); // of parameter 1
      const answer = await this.#chip.send(bytes);
      if (codeOf(answer) === 0) this.#sessions.remove(handle);
      return answer;
    }
    if (object.real !== undefined) await this.#chip.flush(object.real);
    this.#objects.remove(handle);
    return encodeResponse([], new Uint8Array(0), undefined);
  }

  /** A list of transient handles is of ours, by their numbers outside; all else is as the TPM says. */
  async #capability(bytes: Uint8Array, parameters: Uint8Array): Promise<Uint8Array> {
    if (parameters.length !== 12 || u32At(parameters, 0) !== TPM_CAP.values.handles)
      return await this.#chip.send(bytes);
    const property = u32At(parameters, 4);
    const count = u32At(parameters, 8);
    if (handleType(property) !== 'transient') return await this.#chip.send(bytes);
    const ids = this.#objects.all.map(({ id }) => id).filter((id) => id >= property);
    const data = ids.sort((a, b) => a - b).slice(0, Math.min(count, 254));
    const listed = encode(TPMS_CAPABILITY_DATA, { capability: 'handles', data });
    const body = new Uint8Array(1 + listed.length);
    body[0] = data.length < ids.length ? 1 : 0;
    body.set(listed, 1);
    return encodeResponse([], body, undefined);
  }

  async #present(): Promise<readonly number[]> {
    return [
      ...(await this.#chip.handles(TPM_HR.transient)),
      ...(await this.#chip.handles(TPM_HR.loadedSession)),
    ];
  }

  /** Forgets what an answer that was lost may have made, and what is no longer there. */
  async #lookAround(): Promise<void> {
    const present = new Set(await this.#present());
    this.#objects.compare(present);
    // a session that is not loaded may be saved, its context lost on the way
    for (const { id } of this.#sessions.compare(present)) await this.#chip.flush(id);
    const known = new Set([...this.#objects.all, ...this.#sessions.all].map(({ real }) => real));
    for (const handle of present)
      if (!known.has(handle) && this.#foreign?.has(handle) !== true) await this.#chip.flush(handle);
    this.#unsure = false;
  }

  #freeId(): number {
    do this.#nextId = this.#nextId === 0x80ffffff ? TPM_HR.transient : this.#nextId + 1;
    while (this.#objects.find(this.#nextId) !== undefined);
    return this.#nextId;
  }
}

/** Commands that take whole hierarchies of objects away. */
const emptying: readonly number[] = [
  TPM2_Clear.code,
  TPM2_ChangeEPS.code,
  TPM2_ChangePPS.code,
  TPM2_HierarchyControl.code,
];
