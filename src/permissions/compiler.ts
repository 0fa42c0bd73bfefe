import { canonicalJson } from '../core/json.ts';
import type { Condition } from '../grants/index.ts';
import type { Compiled } from './compile.ts';
import { always, compile } from './compile.ts';
import type { World } from './sources.ts';
import type { ZoneClock } from './zone.ts';
import { zoneClock } from './zone.ts';

interface Shared {
  readonly compiled: Compiled;
  users: number;
}

const nothing: Compiled = { evaluate: always, confirm: [], dependencies: [], cells: [] };

/**
 * Compiles each different condition once, however many grants carry it (a token for twenty devices says the same
 * twenty times), and asks `Intl` once per zone.
 *
 * @internal
 */
export class Compiler {
  readonly #world: World;
  readonly #shared = new Map<string, Shared>();
  readonly #keys = new WeakMap<Compiled, string>();
  readonly #zones = new Map<string, ZoneClock>();

  constructor(world: World) {
    this.#world = world;
  }

  /** To be given back with {@link release}. */
  compile(condition: Condition | undefined): Compiled {
    if (condition === undefined) return nothing;
    const key = canonicalJson(condition);
    const known = this.#shared.get(key);
    if (known !== undefined) {
      known.users++;
      return known.compiled;
    }
    const compiled = compile(condition, this.#world, this.#zone);
    this.#shared.set(key, { compiled, users: 1 });
    this.#keys.set(compiled, key);
    return compiled;
  }

  release(compiled: Compiled): void {
    const key = this.#keys.get(compiled);
    const shared = key === undefined ? undefined : this.#shared.get(key);
    if (key === undefined || shared === undefined || --shared.users > 0) return;
    this.#shared.delete(key);
    for (const cell of compiled.cells) this.#world.inputs.release(cell);
  }

  /** Gives back everything a chain of grants held. */
  releaseAll(chain: { readonly hops: readonly { readonly compiled: Compiled }[] }): void {
    for (const { compiled } of chain.hops) this.release(compiled);
  }

  readonly #zone = (name: string): ZoneClock => {
    const known = this.#zones.get(name);
    if (known !== undefined) return known;
    const made = zoneClock(name);
    this.#zones.set(name, made);
    return made;
  };
}
