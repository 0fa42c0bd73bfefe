import type { Entry } from './held.ts';

const none: ReadonlySet<Entry> = new Set();

/** @internal Held grants by device → action → subject, by id, and by revocation tag. */
export class GrantIndex {
  readonly #byId = new Map<string, Entry>();
  readonly #byTag = new Map<string, Set<Entry>>();
  readonly #byAncestor = new Map<string, Set<Entry>>();
  readonly #byDevice = new Map<string, Map<string, Map<string, Set<Entry>>>>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Entry | undefined {
    return this.#byId.get(id);
  }

  all(): readonly Entry[] {
    return [...this.#byId.values()];
  }

  find(device: string, action: string, subject: string): ReadonlySet<Entry> {
    return this.#byDevice.get(device)?.get(action)?.get(subject) ?? none;
  }

  tagged(tag: string): readonly Entry[] {
    return [...(this.#byTag.get(tag) ?? none)];
  }

  /** The grant with this id and every one narrowed from it, whether or not it is held itself. */
  family(id: string): readonly Entry[] {
    const own = this.#byId.get(id);
    const narrowed = [...(this.#byAncestor.get(id) ?? none)];
    return own === undefined ? narrowed : [own, ...narrowed];
  }

  add(entry: Entry): void {
    const { held } = entry;
    this.#byId.set(held.id, entry);
    for (const { id } of held.ancestors) getOrMake(this.#byAncestor, id, () => new Set<Entry>()).add(entry);
    for (const tag of Object.keys(entry.tags)) getOrMake(this.#byTag, tag, () => new Set<Entry>()).add(entry);
    const actions = getOrMake(
      this.#byDevice,
      held.grant.device,
      () => new Map<string, Map<string, Set<Entry>>>(),
    );
    for (const action of held.grant.actions) {
      const subjects = getOrMake(actions, action, () => new Map<string, Set<Entry>>());
      getOrMake(subjects, held.subject, () => new Set<Entry>()).add(entry);
    }
  }

  remove(entry: Entry): void {
    const { held } = entry;
    this.#byId.delete(held.id);
    for (const { id } of held.ancestors) {
      const narrowed = this.#byAncestor.get(id);
      narrowed?.delete(entry);
      if (narrowed?.size === 0) this.#byAncestor.delete(id);
    }
    for (const tag of Object.keys(entry.tags)) {
      const tagged = this.#byTag.get(tag);
      tagged?.delete(entry);
      if (tagged?.size === 0) this.#byTag.delete(tag);
    }
    const actions = this.#byDevice.get(held.grant.device);
    for (const action of held.grant.actions) {
      const subjects = actions?.get(action);
      const entries = subjects?.get(held.subject);
      entries?.delete(entry);
      if (entries?.size === 0) subjects?.delete(held.subject);
      if (subjects?.size === 0) actions?.delete(action);
    }
    if (actions?.size === 0) this.#byDevice.delete(held.grant.device);
  }
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
