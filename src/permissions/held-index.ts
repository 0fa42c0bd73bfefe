import type { Entry } from './held.ts';

/** Most keys have one entry; a set is made only for more. */
type Few = Entry | Set<Entry>;

const none: readonly Entry[] = [];

/** How many removed entries are cleared away at a time. */
const SWEEP = 64;

/**
 * Held grants by device → action → subject, by id, by ancestor and by revocation tag.
 * Removing is marking: a removed entry is dead at once for everybody, and is cleared away in passing later, so that
 * thousands are gone in a millisecond.
 *
 * @internal
 */
export class GrantIndex {
  readonly #byId = new Map<string, Entry>();
  readonly #byTag = new Map<string, Few>();
  readonly #byAncestor = new Map<string, Few>();
  readonly #byDevice = new Map<string, Map<string, Map<string, Few>>>();
  readonly #swept: (entry: Entry) => void;
  #dead: Entry[] = [];

  /** @param swept called when an entry is cleared away and nobody will ask it again. */
  constructor(swept: (entry: Entry) => void) {
    this.#swept = swept;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Entry | undefined {
    return this.#byId.get(id);
  }

  all(): readonly Entry[] {
    return [...this.#byId.values()];
  }

  /** May contain dead ones. */
  find(device: string, action: string, subject: string): Few | undefined {
    return this.#byDevice.get(device)?.get(action)?.get(subject);
  }

  tagged(tag: string): readonly Entry[] {
    return alive(this.#byTag.get(tag));
  }

  /** The grant with this id and every one narrowed from it, whether or not it is held itself. */
  family(id: string): readonly Entry[] {
    const own = this.#byId.get(id);
    const narrowed = alive(this.#byAncestor.get(id));
    return own === undefined ? narrowed : [own, ...narrowed];
  }

  add(entry: Entry): void {
    this.sweep();
    const { held } = entry;
    this.#byId.set(held.id, entry);
    for (const tag of Object.keys(entry.tags)) put(this.#byTag, tag, entry);
    for (const { id } of held.ancestors) put(this.#byAncestor, id, entry);
    for (const action of held.grant.actions) {
      const actions = getOrMake(this.#byDevice, held.grant.device);
      put(getOrMake<string, Few>(actions, action), held.subject, entry);
    }
  }

  /** Dead from here on. */
  remove(entries: readonly Entry[]): void {
    for (const entry of entries) {
      entry.alive = false;
      if (this.#byId.get(entry.held.id) === entry) this.#byId.delete(entry.held.id);
      this.#dead.push(entry);
    }
  }

  /** Clears away some of what is dead. */
  sweep(): void {
    for (let n = 0; n < SWEEP; n++) {
      const entry = this.#dead.pop();
      if (entry === undefined) return;
      const { held } = entry;
      for (const tag of Object.keys(entry.tags)) take(this.#byTag, tag, entry);
      for (const { id } of held.ancestors) take(this.#byAncestor, id, entry);
      const actions = this.#byDevice.get(held.grant.device);
      for (const action of held.grant.actions) {
        const subjects = actions?.get(action);
        if (subjects === undefined) continue;
        take(subjects, held.subject, entry);
        if (subjects.size === 0) actions?.delete(action);
      }
      if (actions?.size === 0) this.#byDevice.delete(held.grant.device);
      this.#swept(entry);
    }
  }
}

function alive(few: Few | undefined): readonly Entry[] {
  if (few === undefined) return none;
  return few instanceof Set ? [...few].filter((entry) => entry.alive) : few.alive ? [few] : none;
}

function put(map: Map<string, Few>, key: string, entry: Entry): void {
  const few = map.get(key);
  if (few === undefined) map.set(key, entry);
  else if (few instanceof Set) few.add(entry);
  else if (few !== entry) map.set(key, new Set([few, entry]));
}

function take(map: Map<string, Few>, key: string, entry: Entry): void {
  const few = map.get(key);
  if (few === entry) map.delete(key);
  else if (few instanceof Set && few.delete(entry) && few.size === 0) map.delete(key);
}

function getOrMake<K, V>(map: Map<K, Map<string, V>>, key: K): Map<string, V> {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = new Map<string, V>();
  map.set(key, made);
  return made;
}
