import type { Prohibition } from '../grants/index.ts';
import type { Compiled } from './compile.ts';
import type { Compiler } from './compiler.ts';
import type { ActionRequest } from './decision.ts';
import type { Dependency, Explanation, Moment } from './evaluation.ts';
import { dependency, FALSE, shown } from './evaluation.ts';

interface Rule {
  readonly prohibition: Prohibition;
  readonly compiled: Compiled;
}

/** House rules in force: what no grant can widen. @internal */
export class HouseRules {
  readonly #compiler: Compiler;
  readonly #rules = new Map<string, Rule>();

  constructor(compiler: Compiler) {
    this.#compiler = compiler;
  }

  all(): readonly Prohibition[] {
    return [...this.#rules.values()].map(({ prohibition }) => prohibition);
  }

  /** Replaces one with the same id. */
  put(prohibition: Prohibition): void {
    const compiled = this.#compiler.compile(prohibition.condition);
    this.remove(prohibition.id);
    this.#rules.set(prohibition.id, { prohibition, compiled });
  }

  remove(id: string): boolean {
    const rule = this.#rules.get(id);
    if (rule === undefined) return false;
    this.#rules.delete(id);
    this.#compiler.release(rule.compiled);
    return true;
  }

  /** The first that fires: its condition is not surely false. With a trace, all are explained. */
  firing(request: ActionRequest, moment: Moment): Prohibition | undefined {
    let fired: Prohibition | undefined;
    for (const { prohibition, compiled } of this.#rules.values()) {
      if (!concerns(prohibition, request)) continue;
      const outer = moment.trace;
      const of: Explanation[] | undefined = outer === undefined ? undefined : [];
      moment.trace = of;
      const truth = compiled.evaluate(moment);
      moment.trace = outer;
      if (of !== undefined)
        outer?.push({
          op: 'prohibition',
          value: shown(truth),
          detail: `\`${prohibition.id}\`: ${prohibition.reason}`,
          of,
        });
      if (truth === FALSE) continue;
      fired ??= prohibition;
      if (outer === undefined) return fired;
    }
    return fired;
  }

  /** Whatever can make a rule fire for the request, besides time passing. */
  dependencies(request: ActionRequest): readonly Dependency[] {
    return [
      dependency.prohibitions,
      ...[...this.#rules.values()]
        .filter(({ prohibition }) => concerns(prohibition, request))
        .flatMap(({ compiled }) => compiled.dependencies),
    ];
  }
}

function concerns(prohibition: Prohibition, request: ActionRequest): boolean {
  return (
    (prohibition.device === '*' || prohibition.device === request.device) &&
    (prohibition.actions === '*' || prohibition.actions.includes(request.action))
  );
}
