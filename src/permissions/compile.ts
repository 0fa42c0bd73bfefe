import type { Condition, ConfirmCondition } from '../grants/index.ts';
import type { Dependency, Explanation, Moment, Truth } from './evaluation.ts';
import { FALSE, shown, TRUE, UNKNOWN } from './evaluation.ts';
import type { Cell } from './inputs.ts';
import { compileLeaf } from './leaves.ts';
import type { World } from './sources.ts';
import type { ZoneClock } from './zone.ts';

/** A condition (or part of one) as a function of the moment. */
export type Evaluate = (moment: Moment) => Truth;

/** A condition, ready to be asked. */
export interface Compiled {
  /** Everything but `confirm`, which is asked last, by the decision point. */
  readonly evaluate: Evaluate;
  /** What a person has to confirm; empty for most. */
  readonly confirm: readonly ConfirmCondition[];
  /** Whatever can change the result besides time passing. */
  readonly dependencies: readonly Dependency[];
  /** Inputs it looks at, to be released when it is gone. */
  readonly cells: readonly Cell[];
}

/** @internal What compiling needs and collects. */
export interface Compiling {
  readonly world: World;
  readonly zone: (name: string) => ZoneClock;
  readonly cells: Cell[];
  readonly dependencies: Set<Dependency>;
}

/** Compiles a condition that was read by `readCondition`; `undefined` is always true. */
export function compile(
  condition: Condition | undefined,
  world: World,
  zone: (name: string) => ZoneClock,
): Compiled {
  const compiling: Compiling = { world, zone, cells: [], dependencies: new Set() };
  const confirm: ConfirmCondition[] = [];
  const evaluate = condition === undefined ? always : node(condition, compiling, confirm);
  return { evaluate, confirm, dependencies: [...compiling.dependencies], cells: compiling.cells };
}

/** @internal No condition. */
export const always: Evaluate = () => TRUE;

function node(condition: Condition, compiling: Compiling, confirm: ConfirmCondition[]): Evaluate {
  switch (condition.op) {
    case 'and':
    case 'or': {
      const parts = condition.of.map((part) => node(part, compiling, confirm));
      return condition.op === 'and' ? and(parts) : or(parts);
    }
    case 'not':
      return not(node(condition.of, compiling, confirm));
    case 'confirm':
      // Stands only under `and` (readCondition sees to that), so true here changes nothing but the order of asking.
      confirm.push(condition);
      return always;
    case 'window':
    case 'sun':
    case 'event':
    case 'state':
    case 'geo':
    case 'posture':
    case 'domain':
    case 'expires':
      return compileLeaf(condition, compiling);
  }
}

function and(parts: readonly Evaluate[]): Evaluate {
  return (moment) => {
    if (moment.trace !== undefined) return traced('and', moment, parts, FALSE);
    let truth: Truth = TRUE;
    for (const part of parts) {
      const one = part(moment);
      if (one === FALSE) return FALSE;
      if (one === UNKNOWN) truth = UNKNOWN;
    }
    return truth;
  };
}

function or(parts: readonly Evaluate[]): Evaluate {
  return (moment) => {
    if (moment.trace !== undefined) return traced('or', moment, parts, TRUE);
    let truth: Truth = FALSE;
    for (const part of parts) {
      const one = part(moment);
      if (one === TRUE) return TRUE;
      if (one === UNKNOWN) truth = UNKNOWN;
    }
    return truth;
  };
}

/** `and` and `or` with nothing cut short: `decisive` is the value that settles it. */
function traced(op: 'and' | 'or', moment: Moment, parts: readonly Evaluate[], decisive: Truth): Truth {
  const outer = moment.trace;
  const of: Explanation[] = [];
  moment.trace = of;
  let truth: Truth = decisive === FALSE ? TRUE : FALSE;
  for (const part of parts) {
    const one = part(moment);
    if (one === decisive) truth = decisive;
    else if (one === UNKNOWN && truth !== decisive) truth = UNKNOWN;
  }
  moment.trace = outer;
  outer?.push({ op, value: shown(truth), of });
  return truth;
}

function not(part: Evaluate): Evaluate {
  return (moment) => {
    const outer = moment.trace;
    const of: Explanation[] | undefined = outer === undefined ? undefined : [];
    moment.trace = of;
    const one = part(moment);
    moment.trace = outer;
    const truth: Truth = one === UNKNOWN ? UNKNOWN : one === TRUE ? FALSE : TRUE;
    if (of !== undefined) outer?.push({ op: 'not', value: shown(truth), of });
    return truth;
  };
}
