import { readCondition } from './check.ts';
import type { Condition, Source, StateCondition } from './condition.ts';
import { GrantText } from './errors.ts';
import type { Token } from './tokens-of-text.ts';
import { tokensOf } from './tokens-of-text.ts';

/** Deepest nesting of brackets and `!`; the condition itself is bounded again when it is read. */
const DEPTH_MAX = 64;

/**
 * A condition as people write it: a subset of CEL's syntax, without variables, macros or regular expressions.
 *
 * ```
 * window("Europe/Berlin", ["mon", "tue"], "07:00", "08:00")
 *   && event("alarm", "off", duration("5m"))
 *   && !(state("bedroom", "occupied", duration("30s")) == true)
 * ```
 * `writeCondition` is its inverse: reading what it wrote gives the same condition, to the byte of its canonical JSON.
 *
 * @throws {GrantText} with the position of what cannot be read. @throws {GrantMalformed} when it says something no
 *   condition may say.
 */
export function parseCondition(text: string): Condition {
  return readCondition(new Parser(tokensOf(text)).whole());
}

/** A condition in the text form, on one line. */
export function writeCondition(condition: Condition): string {
  switch (condition.op) {
    case 'and':
    case 'or': {
      const sign = condition.op === 'and' ? ' && ' : ' || ';
      const [only, ...more] = condition.of;
      if (only !== undefined && more.length === 0)
        return `${condition.op === 'and' ? 'all' : 'any'}(${writeCondition(only)})`;
      return condition.of
        .map((part) => {
          const bracketed =
            (part.op === 'or' || (part.op === 'and' && condition.op === 'and')) && part.of.length > 1;
          return bracketed ? `(${writeCondition(part)})` : writeCondition(part);
        })
        .join(sign);
    }
    case 'not': {
      const { of } = condition;
      const bare =
        ((of.op === 'and' || of.op === 'or') && of.of.length === 1) ||
        !['and', 'or', 'state', 'expires'].includes(of.op);
      return bare ? `!${writeCondition(of)}` : `!(${writeCondition(of)})`;
    }
    case 'window':
      return call('window', condition.zone, condition.days, condition.from, condition.to);
    case 'sun': {
      const { latitude, longitude, from, to, fromOffsetMin, toOffsetMin } = condition;
      const offsets =
        fromOffsetMin === undefined && toOffsetMin === undefined
          ? []
          : [fromOffsetMin ?? null, toOffsetMin ?? null];
      return call('sun', latitude, longitude, from, to, ...offsets);
    }
    case 'event':
      return sourced('event', condition.source, condition.event, lasting(condition.withinMs));
    case 'state':
      return `${sourced('state', condition.source, condition.property, lasting(condition.maxAgeMs))} ${comparison(condition)}`;
    case 'geo': {
      const { source, latitude, longitude, radiusM, maxAgeMs } = condition;
      return sourced('near', source, latitude, longitude, radiusM, lasting(maxAgeMs));
    }
    case 'posture':
      return call('posture', condition.atLeast, lasting(condition.maxAgeMs));
    case 'domain':
      return condition.mode === undefined
        ? call('domain', condition.task)
        : call('domain', condition.task, condition.mode);
    case 'expires':
      return `now < timestamp(${timestamp(condition.at)})`;
    case 'confirm':
      return call('confirm', condition.by);
  }
}

/** Already in the text form. */
interface Written {
  readonly text: string;
}

type Argument = string | number | null | readonly string[] | Written;

function call(name: string, ...given: readonly Argument[]): string {
  return `${name}(${given.map(argument).join(', ')})`;
}

/** `state("lamp", …)` for a device, `peerState("spiffe://…", "stream", …)` for a peer. */
function sourced(name: string, source: Source, ...given: readonly Argument[]): string {
  return 'device' in source
    ? call(name, source.device, ...given)
    : call(`peer${name.charAt(0).toUpperCase()}${name.slice(1)}`, source.peer, source.stream, ...given);
}

function argument(given: Argument): string {
  if (typeof given === 'object' && given !== null) {
    if ('text' in given) return given.text;
    return `[${given.map((one) => JSON.stringify(one)).join(', ')}]`;
  }
  return JSON.stringify(given);
}

function lasting(ms: number): Written {
  const [unit = 'ms', size = 1] = Object.entries(units).find(([, one]) => ms % one === 0) ?? [];
  return { text: `duration("${ms / size}${unit}")` };
}

/** Largest first. */
const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** RFC 3339 as far as it has four-digit years, otherwise the bare seconds. */
function timestamp(at: number): string {
  return at <= 253_402_300_799
    ? JSON.stringify(new Date(at * 1_000).toISOString().replace('.000Z', 'Z'))
    : String(at);
}

const signs = { is: '==', lt: '<', le: '<=', gt: '>', ge: '>=' } as const;

function comparison(condition: StateCondition): string {
  for (const [member, sign] of Object.entries(signs)) {
    const value = condition[member as keyof typeof signs];
    if (value !== undefined) return `${sign} ${JSON.stringify(value)}`;
  }
  return `in [${(condition.in ?? []).map((one) => JSON.stringify(one)).join(', ')}]`;
}

type Scalar = string | number | boolean | null;
type Value = Scalar | readonly Scalar[];

/** Recursive descent; what it gives is JSON that `readCondition` still has to accept. */
class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): unknown {
    const condition = this.#or();
    if (this.#peek().kind !== 'end') throw this.#expected('`&&`, `||` or the end');
    return condition;
  }

  #or(): unknown {
    return this.#chain('||', 'or', () => this.#chain('&&', 'and', () => this.#part(true)));
  }

  /** `a || b || c` is one `or` of three; brackets make another. */
  #chain(sign: string, op: string, part: () => unknown): unknown {
    const of = [part()];
    while (this.#skip(sign)) of.push(part());
    return of.length === 1 ? of[0] : { op, of };
  }

  #part(mayCompare: boolean): unknown {
    if (++this.#depth > DEPTH_MAX) throw new GrantText(this.#peek().at, `is nested deeper than ${DEPTH_MAX}`);
    const condition = this.#unguarded(mayCompare);
    this.#depth--;
    return condition;
  }

  #unguarded(mayCompare: boolean): unknown {
    if (this.#skip('!')) return { op: 'not', of: this.#part(false) };
    if (this.#skip('(')) {
      const inner = this.#or();
      this.#expect(')');
      return inner;
    }
    const token = this.#peek();
    if (token.kind !== 'name') throw this.#expected('a condition');
    const compares = token.text === 'state' || token.text === 'peerState' || token.text === 'now';
    // In CEL `!` binds tighter than `==`, so this would negate the value and not the comparison.
    if (compares && !mayCompare) throw new GrantText(token.at, 'a comparison after `!` needs brackets');
    this.#next++;
    if (token.text === 'now') {
      this.#expect('<');
      return { op: 'expires', at: this.#timestamp() };
    }
    this.#expect('(');
    if (token.text === 'all' || token.text === 'any') {
      const inner = this.#or();
      this.#expect(')');
      return { op: token.text === 'all' ? 'and' : 'or', of: [inner] };
    }
    const made = this.#leaf(token.text, token.at);
    return compares ? { ...made, ...this.#comparison() } : made;
  }

  #leaf(name: string, at: number): Record<string, unknown> {
    const given = this.#list(')', () =>
      this.#skip('[') ? this.#list(']', () => this.#scalar()) : this.#scalar(),
    );
    const peer = name.startsWith('peer');
    const kind = peer ? name.charAt(4).toLowerCase() + name.slice(5) : name;
    const source = () => (peer ? { peer: given.shift(), stream: given.shift() } : { device: given.shift() });
    const made = leafOf(kind, source, given);
    if (made === undefined || (peer && !['state', 'event', 'near'].includes(kind)))
      throw new GrantText(at, `\`${name.slice(0, 32)}\` is not a condition`);
    const missing = Object.values(made).includes(undefined);
    if (missing || given.length > 0)
      throw new GrantText(at, `\`${name}\` has too ${missing ? 'few' : 'many'} arguments`);
    return Object.fromEntries(Object.entries(made).filter(([, value]) => value !== null));
  }

  #comparison(): Record<string, unknown> {
    const token = this.#peek();
    this.#next++;
    if (token.text === 'in') {
      this.#expect('[');
      return { in: this.#list(']', () => this.#scalar()) };
    }
    const member = Object.entries(signs).find(([, sign]) => sign === token.text)?.[0];
    if (token.kind !== 'sign' || member === undefined)
      throw new GrantText(token.at, 'a state is compared with `==`, `<`, `<=`, `>`, `>=` or `in`');
    return { [member]: this.#scalar() };
  }

  /** Items up to `close`, which is consumed. */
  #list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    if (this.#skip(close)) return items;
    do items.push(item());
    while (this.#skip(','));
    this.#expect(close);
    return items;
  }

  #scalar(): Scalar {
    const token = this.#peek();
    this.#next++;
    if (token.kind === 'string' || token.kind === 'number') return token.value;
    if (token.text === 'true') return true;
    if (token.text === 'false') return false;
    if (token.text === 'null') return null;
    if (token.text === 'duration') return this.#duration();
    this.#next--;
    throw this.#expected('a value');
  }

  #duration(): number {
    this.#expect('(');
    const token = this.#peek();
    this.#next++;
    const found = token.kind === 'string' ? /^(\d{1,12})(ms|s|m|h)$/.exec(token.value) : null;
    if (found === null) throw new GrantText(token.at, 'a duration is like "5m", "30s", "250ms" or "2h"');
    this.#expect(')');
    return Number(found[1]) * (units[found[2] ?? ''] ?? Number.NaN);
  }

  #timestamp(): number {
    const name = this.#peek();
    this.#next++;
    if (name.text !== 'timestamp') throw new GrantText(name.at, 'expects `timestamp("…")`');
    this.#expect('(');
    const token = this.#peek();
    this.#next++;
    const at =
      token.kind === 'number'
        ? token.value
        : token.kind === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(token.value)
          ? Date.parse(token.value) / 1_000
          : Number.NaN;
    if (Number.isNaN(at)) throw new GrantText(token.at, 'a time is like "2026-11-24T10:00:00Z"');
    this.#expect(')');
    return at;
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { kind: 'end', text: 'the end', at: 0 };
  }

  #skip(sign: string): boolean {
    const token = this.#peek();
    const found = token.kind === 'sign' && token.text === sign;
    if (found) this.#next++;
    return found;
  }

  #expect(sign: string): void {
    if (!this.#skip(sign)) throw this.#expected(`\`${sign}\``);
  }

  #expected(what: string): GrantText {
    const token = this.#peek();
    return new GrantText(token.at, `expects ${what}, not \`${token.text.slice(0, 32)}\``);
  }
}

/** Takes its arguments off the front of `given`; `undefined` when there is no such leaf. `null` is an absent member. */
function leafOf(kind: string, source: () => object, given: Value[]): Record<string, unknown> | undefined {
  const next = () => given.shift();
  switch (kind) {
    case 'window':
      return { op: 'window', zone: next(), days: next(), from: next(), to: next() };
    case 'sun': {
      const sun = { op: 'sun', latitude: next(), longitude: next(), from: next(), to: next() };
      return given.length === 0 ? sun : { ...sun, fromOffsetMin: next(), toOffsetMin: next() };
    }
    case 'state':
      return { op: 'state', source: source(), property: next(), maxAgeMs: next() };
    case 'event':
      return { op: 'event', source: source(), event: next(), withinMs: next() };
    case 'near':
      return {
        op: 'geo',
        source: source(),
        latitude: next(),
        longitude: next(),
        radiusM: next(),
        maxAgeMs: next(),
      };
    case 'posture':
      return { op: 'posture', atLeast: next(), maxAgeMs: next() };
    case 'domain': {
      const task = next();
      return given.length === 0 ? { op: 'domain', task } : { op: 'domain', task, mode: next() };
    }
    case 'confirm':
      return { op: 'confirm', by: next() };
    default:
      return undefined;
  }
}
