import { TPM_RC_WARN } from '../response-codes.ts';
import type { Chip } from './chip.ts';

/** Something that has a place in the TPM, or a saved context from which it can come back. */
export interface Held {
  /** The handle it is known by outside. */
  readonly id: number;
  /** The handle it has in the TPM; undefined while it is out. */
  real: number | undefined;
  context: Uint8Array | undefined;
  /** Whether its state changes with its use, so that a context is good for one return only (sessions, sequences). */
  readonly changes: boolean;
  used: number;
}

/** The answer that the command in hand gets instead of being sent. */
export class Instead extends Error {
  readonly responseCode: number;

  constructor(responseCode: number) {
    super(`response code 0x${responseCode.toString(16)}`);
    this.responseCode = responseCode;
  }
}

/** What is taken out of the TPM when others need its few places: objects, or sessions. The longest unused goes first. */
export class Pool {
  readonly #chip: Chip;
  readonly #kind: 'objects' | 'sessions';
  readonly #placesMax: number;
  readonly #held = new Map<number, Held>();
  #tick = 0;

  constructor(chip: Chip, kind: 'objects' | 'sessions', placesMax: number) {
    this.#chip = chip;
    this.#kind = kind;
    this.#placesMax = placesMax;
  }

  get all(): readonly Held[] {
    return [...this.#held.values()];
  }

  find(id: number): Held | undefined {
    return this.#held.get(id);
  }

  add(id: number, real: number, changes: boolean): Held {
    const held = { id, real, context: undefined, changes, used: ++this.#tick };
    this.#held.set(id, held);
    return held;
  }

  remove(id: number): void {
    this.#held.delete(id);
  }

  clear(): void {
    this.#held.clear();
  }

  /** Corrects what we know by the handles that are in the TPM; what was lost is removed, and given back. */
  compare(present: ReadonlySet<number>): readonly Held[] {
    const lost: Held[] = [];
    for (const held of this.all) {
      if (this.#kind === 'sessions' && held.real === undefined && present.has(held.id)) {
        held.real = held.id;
        held.context = undefined;
      }
      if (held.real === undefined || present.has(held.real)) continue;
      held.real = undefined;
      if (held.context !== undefined) continue;
      this.remove(held.id);
      lost.push(held);
    }
    return lost;
  }

  /** Has it in the TPM. @throws {Instead} when the TPM has no place, or `gone` when it cannot come back. */
  async bring(held: Held, pinned: ReadonlySet<Held>, gone: number): Promise<void> {
    held.used = ++this.#tick;
    if (held.real !== undefined) return;
    await this.makeRoom(pinned);
    for (;;) {
      const loaded = await this.#chip.load(held.context ?? new Uint8Array(0));
      if (loaded >= 0) {
        held.real = loaded;
        if (held.changes) held.context = undefined;
        return;
      }
      if (await this.relieve(-loaded, pinned)) continue;
      if (isWarning(-loaded)) throw new Instead(-loaded);
      this.remove(held.id); // TPM2_Clear, a reset: it is no more
      throw new Instead(gone);
    }
  }

  /** Takes others out until there is a place. */
  async makeRoom(pinned: ReadonlySet<Held>): Promise<void> {
    while (this.all.filter(({ real }) => real !== undefined).length >= this.#placesMax)
      if (!(await this.#takeOut(pinned))) return;
  }

  /** Whether something could be done about a refusal for want of room, so that the command may be sent again. */
  async relieve(code: number, pinned: ReadonlySet<Held>): Promise<boolean> {
    if (this.#kind === 'objects') return code === TPM_RC_WARN.OBJECT_MEMORY && (await this.#takeOut(pinned));
    if (code === TPM_RC_WARN.SESSION_MEMORY) return await this.#takeOut(pinned);
    return code === TPM_RC_WARN.CONTEXT_GAP && (await this.#renewOldest());
  }

  async #takeOut(pinned: ReadonlySet<Held>): Promise<boolean> {
    const out = this.all
      .filter((held) => held.real !== undefined && !pinned.has(held))
      .sort((a, b) => a.used - b.used)[0];
    if (out?.real === undefined) return false;
    if (out.context === undefined) out.context = await this.#saved(out.real);
    if (this.#kind === 'objects') await this.#chip.flush(out.real);
    out.real = undefined;
    return true;
  }

  async #saved(handle: number): Promise<Uint8Array> {
    for (;;) {
      const context = await this.#chip.save(handle);
      if (typeof context !== 'number') return context;
      if (context !== TPM_RC_WARN.CONTEXT_GAP || !(await this.#renewOldest())) throw new Instead(context);
    }
  }

  /**
   * Numbers of session contexts may lie only so far apart (TPM_PT_CONTEXT_GAP_MAX). The TPM keeps a place for the oldest:
   * once that is in, the others have room again (Part 1 §30.5).
   */
  async #renewOldest(): Promise<boolean> {
    const oldest = this.all
      .filter(({ real, context }) => real === undefined && context !== undefined)
      .sort((a, b) => (sequenceOf(a) < sequenceOf(b) ? -1 : 1))[0];
    if (oldest?.context === undefined || (await this.#chip.load(oldest.context)) < 0) return false;
    oldest.context = undefined;
    oldest.real = oldest.id;
    return true;
  }
}

/** TPMS_CONTEXT.sequence. */
function sequenceOf({ context }: Held): bigint {
  return context === undefined ? 0n : new DataView(context.buffer, context.byteOffset).getBigUint64(0);
}

/** RC_WARN (Part 2 §6.6.3): the command did nothing, and may be sent again. */
function isWarning(code: number): boolean {
  return (code & 0x980) === 0x900;
}
