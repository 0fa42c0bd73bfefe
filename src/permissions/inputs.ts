import type { Clock } from '../core/platform.ts';
import type { Position, Source } from '../grants/index.ts';
import type { Dependency } from './evaluation.ts';

/** What a source last said of one property or event. Conditions hold on to the cell, not to a copy. */
export interface Cell {
  readonly key: Dependency;
  readonly source: Watched;
  /** As reported, unchecked: a comparison finds out whether it has the right type. */
  value: unknown;
  /** When it was so, on the elapsed clock; `-Infinity` when never. */
  at: number;
  /** Older than this it says nothing, whatever the condition tolerates. */
  greatestAgeMs: number;
  /** How many compiled conditions look at it. */
  users: number;
}

/** Since when a source's events are seen without a gap, on the elapsed clock; `Infinity` when they are not. */
export interface Watched {
  since: number;
}

/** How old a report already is when it arrives, and how long it is worth anything. */
export interface ReportOptions {
  /** Milliseconds since it was measured. Default: 0. */
  readonly ageMs?: number | undefined;
  /** Greatest useful age in milliseconds, as the adapter knows it. Default: none. */
  readonly greatestAgeMs?: number | undefined;
}

/** Most cells kept for properties that no grant looks at. */
const CELLS_MAX = 16_384;

/**
 * The only source of what conditions see (design.md section 6): device adapters and, where a grant names the peer and
 * the stream, the domain's member call the setters. Nothing a caller of an action says ever gets here.
 */
export class Inputs {
  readonly #clock: Clock;
  readonly #cells = new Map<Dependency, Cell>();
  readonly #sources = new Map<string, Watched>();
  readonly #listeners = new Set<(key: Dependency) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * A property of a source has this value. `null`, `NaN` and wrong types are kept as such: they make conditions unknown
   * instead of leaving the older value standing.
   *
   * @returns false when nobody may look at it (a peer's stream that no held grant names) or the bounds are reached.
   */
  report(
    source: Source,
    property: string,
    value: string | number | boolean | Position | null,
    options: ReportOptions = {},
  ): boolean {
    return this.#set(cellKey(source, 'property', property), source, value, options);
  }

  /** An event of a source happened. Same rules as {@link report}. */
  happened(source: Source, event: string, options: ReportOptions = {}): boolean {
    return this.#set(cellKey(source, 'event', event), source, true, options);
  }

  /**
   * From now on every event of the source is seen (true): an event that does not come is known not to have happened.
   * False: events may be missed, and their absence is unknown again, as it is at first.
   */
  watching(source: Source, all: boolean): void {
    const watched = this.#watched(source);
    if (!all) watched.since = Number.POSITIVE_INFINITY;
    else if (watched.since === Number.POSITIVE_INFINITY) watched.since = this.#clock.elapsed();
    const prefix = `${sourceKey(source)}/event/`;
    for (const key of [...this.#cells.keys()]) if (key.startsWith(prefix)) this.#tell(key);
  }

  /** The source is lost (unplugged, peer gone): all it said is unknown from now on. */
  forget(source: Source): void {
    this.#watched(source).since = Number.POSITIVE_INFINITY;
    const prefix = `${sourceKey(source)}/`;
    for (const cell of this.#cells.values())
      if (cell.key.startsWith(prefix)) {
        cell.value = undefined;
        cell.at = Number.NEGATIVE_INFINITY;
        this.#tell(cell.key);
      }
  }

  /** Calls `listener` with the key of every input that is reported, also when its value is the same. */
  onChange(listener: (key: Dependency) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What is known, for display: key, value and age in milliseconds. */
  snapshot(): readonly { readonly key: Dependency; readonly value: unknown; readonly ageMs: number }[] {
    const now = this.#clock.elapsed();
    return [...this.#cells.values()]
      .filter((cell) => cell.at !== Number.NEGATIVE_INFINITY)
      .map((cell) => ({ key: cell.key, value: cell.value, ageMs: now - cell.at }));
  }

  /** @internal Now, on the clock by which ages are measured. */
  elapsed(): number {
    return this.#clock.elapsed();
  }

  /** @internal The cell a condition looks at; made when there is none, and kept until {@link release}. */
  hold(source: Source, kind: 'property' | 'event', name: string): Cell {
    const key = cellKey(source, kind, name);
    const cell = this.#cells.get(key) ?? this.#create(key, source);
    cell.users++;
    return cell;
  }

  /** @internal A condition is gone. A peer's stream that nobody looks at any more is forgotten. */
  release(cell: Cell): void {
    if (--cell.users <= 0 && cell.key.startsWith('peer:')) this.#cells.delete(cell.key);
  }

  #set(key: Dependency, source: Source, value: unknown, options: ReportOptions): boolean {
    const { ageMs = 0, greatestAgeMs = Number.POSITIVE_INFINITY } = options;
    if (!(ageMs >= 0)) throw new TypeError('`ageMs` must not be negative');
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      if ('peer' in source || this.#cells.size >= CELLS_MAX) return false;
      cell = this.#create(key, source);
    }
    const at = this.#clock.elapsed() - ageMs;
    // What arrives late does not replace what is newer.
    if (at < cell.at) return true;
    cell.value = value;
    cell.at = at;
    cell.greatestAgeMs = greatestAgeMs;
    this.#tell(key);
    return true;
  }

  #create(key: Dependency, source: Source): Cell {
    const cell: Cell = {
      key,
      source: this.#watched(source),
      value: undefined,
      at: Number.NEGATIVE_INFINITY,
      greatestAgeMs: Number.POSITIVE_INFINITY,
      users: 0,
    };
    this.#cells.set(key, cell);
    return cell;
  }

  #watched(source: Source): Watched {
    const key = sourceKey(source);
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const made = { since: Number.POSITIVE_INFINITY };
    this.#sources.set(key, made);
    return made;
  }

  #tell(key: Dependency): void {
    for (const listener of this.#listeners) listener(key);
  }
}

/** The key of a property or event of a source, as leases wait for it. */
export function cellKey(source: Source, kind: 'property' | 'event', name: string): Dependency {
  return `${sourceKey(source)}/${kind}/${name}`;
}

/** JSON keeps a peer's identifier and its stream apart whatever characters they have. */
function sourceKey(source: Source): string {
  return 'device' in source
    ? `device:${source.device}`
    : `peer:${JSON.stringify([source.peer, source.stream])}`;
}
