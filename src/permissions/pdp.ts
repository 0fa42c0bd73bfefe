import { randomId } from '../core/names.ts';
import type { Random } from '../core/platform.ts';
import type { DeviceDescription, Grant, HeldGrant, Prohibition } from '../grants/index.ts';
import { checkAgainst } from '../grants/index.ts';
import { Compiler } from './compiler.ts';
import type { ActionRequest, Decision, Reason } from './decision.ts';
import { messages } from './decision.ts';
import { GrantElsewhere, GrantRevoked, TooMany } from './errors.ts';
import type { Dependency } from './evaluation.ts';
import { dependency } from './evaluation.ts';
import type { Generations } from './generations.ts';
import type { Entry } from './held.ts';
import { entryOf } from './held.ts';
import { GrantIndex } from './held-index.ts';
import type { DecideOptions, JudgeOptions } from './judge.ts';
import { Judge } from './judge.ts';
import { HouseRules } from './rules.ts';

/** What a decision point is made of. */
export interface PdpOptions extends JudgeOptions {
  /** Identifier of this agent: grants that do not name it in `locations` are not for it. */
  readonly self: string;
  readonly random: Random;
  readonly generations: Generations;
  readonly devices: readonly DeviceDescription[];
  /** Most grants held. Default: 100,000. */
  readonly maxGrants?: number | undefined;
}

/**
 * Decides, and nothing else: no I/O, no waiting, no input that an adapter did not report.
 * Deny overrides; unknown never permits and makes a house rule fire (design.md section 6).
 */
export class Pdp {
  readonly #options: PdpOptions;
  readonly #devices = new Map<string, DeviceDescription>();
  readonly #compiler: Compiler;
  readonly #index: GrantIndex;
  readonly #rules: HouseRules;
  readonly #judge: Judge;
  readonly #listeners = new Set<(key: Dependency) => void>();
  constructor(options: PdpOptions) {
    this.#options = options;
    const compiler = new Compiler(options.world);
    this.#compiler = compiler;
    this.#rules = new HouseRules(compiler);
    this.#index = new GrantIndex((entry) => compiler.releaseAll(entry));
    this.#judge = new Judge(options, this.#devices, this.#index, this.#rules);
    for (const device of options.devices) this.#devices.set(device.name, device);
  }

  /** How many grants are held. */
  get size(): number {
    return this.#index.size;
  }

  /** A device joined. Its grants may already be held. */
  describe(device: DeviceDescription): void {
    this.#devices.set(device.name, device);
  }

  /**
   * Checks that everything a grant names exists here with the right type, before it is accepted.
   *
   * @throws {GrantMismatch} naming the member.
   */
  check(grant: Grant): void {
    checkAgainst(grant, [...this.#devices.values()]);
  }

  /**
   * Holds a grant from now on. The tokens or domains step has verified it; held again under the same id it is replaced.
   *
   * @throws {GrantElsewhere} for another enforcement point. @throws {GrantRevoked} when a tag has a newer generation.
   * @throws {TooMany}
   */
  add(held: HeldGrant): void {
    for (const { grant } of [held, ...held.ancestors])
      if (!grant.locations.includes(this.#options.self))
        throw new GrantElsewhere(`grant \`${held.id}\` is not for this agent`);
    if (this.#index.size >= (this.#options.maxGrants ?? 100_000))
      throw new TooMany('more grants than this agent holds');
    const entry = entryOf(held, this.#compiler);
    for (const [tag, generation] of Object.entries(entry.tags))
      if (!(generation >= this.#options.generations.of(tag))) {
        this.#compiler.releaseAll(entry);
        throw new GrantRevoked(tag);
      }
    const before = this.#index.get(held.id);
    if (before !== undefined) this.#index.remove([before]);
    this.#index.add(entry);
    // Renewed under the same id, what runs goes on if the new one permits it too.
    if (before !== undefined) this.#tell(dependency.grant(held.id));
  }

  /** Holds a grant no longer, nor what was narrowed from it. @returns how many are gone. */
  remove(id: string): number {
    const gone = this.#index.family(id);
    this.#drop(gone);
    return gone.length;
  }

  /** Everything held, for display. */
  held(): readonly HeldGrant[] {
    return this.#index.all().map((entry) => entry.held);
  }

  /**
   * Raises the generation of a tag: every grant with a lower one, and all that was narrowed from it, is gone before this
   * returns. O(number of grants with the tag).
   *
   * @returns how many grants are gone.
   */
  raise(tag: string, generation: number): number {
    this.#options.generations.raise(tag, generation);
    const newest = this.#options.generations.of(tag);
    const gone = this.#index.tagged(tag).filter((entry) => !((entry.tags[tag] ?? 0) >= newest));
    this.#drop(gone);
    return gone.length;
  }

  /** Puts a house rule in force, replacing one with the same id. */
  prohibit(prohibition: Prohibition): void {
    this.#rules.put(prohibition);
    this.#tell(dependency.prohibitions);
  }

  /** Takes a house rule out of force: policy administration only. @returns whether there was one. */
  allow(id: string): boolean {
    const was = this.#rules.remove(id);
    if (was) this.#tell(dependency.prohibitions);
    return was;
  }

  /** House rules in force, for display. */
  prohibitions(): readonly Prohibition[] {
    return this.#rules.all();
  }

  /** Calls `listener` with the key of each grant that is gone, and when house rules change. */
  onChange(listener: (key: Dependency) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The bare answer, without an explanation: the same path as {@link decide}, with nothing written down. */
  verdict(request: ActionRequest): Reason {
    return this.#judge.judge(request, this.#judge.now(false, undefined), {}).reason;
  }

  /** Decides and explains. It changes nothing: limits are booked by whoever acts. */
  decide(request: ActionRequest, options: DecideOptions = {}): Decision {
    this.#index.sweep();
    const moment = this.#judge.now(true, options.suppose);
    const of = moment.trace ?? [];
    const judged = this.#judge.judge(request, moment, options);
    const device = this.#devices.get(request.device);
    const action = this.#judge.actionOf(request);
    const verdict = judged.reason === 'permitted' ? 'permit' : 'deny';
    return {
      id: options.held ?? randomId(this.#options.random, 12),
      verdict,
      reason: judged.reason,
      message: judged.message ?? messages[judged.reason],
      rule: judged.rule,
      grants: judged.grants,
      request,
      risk: action?.risk ?? device?.risk ?? 'motion',
      safe: action?.safe === true,
      at: moment.lo,
      explanation: { op: 'decision', value: verdict === 'permit', detail: judged.reason, of },
      leaseUntil: moment.until,
      dependencies: judged.dependencies,
      charges: judged.charges,
      confirmations: judged.confirmations,
    };
  }

  /** Gone at once for every decision; only then are those told who wait for it. */
  #drop(entries: readonly Entry[]): void {
    this.#index.remove(entries);
    for (const entry of entries) this.#tell(dependency.grant(entry.held.id));
  }

  #tell(key: Dependency): void {
    for (const listener of this.#listeners) listener(key);
  }
}
