import type { Arguments, DeviceDescription, Driver, Position, Running, Twin } from './device.ts';

type Value = string | number | boolean | Position;

/** The body, as the behaviour of its actions sees it. */
export interface TwinBody {
  get(property: string): Value | undefined;
  set(property: string, value: Value): void;
}

/** How a simulated body behaves. */
export interface TwinBehaviour {
  readonly description: DeviceDescription;
  /** What it senses at first. */
  readonly initial: Readonly<Record<string, Value>>;
  /** How often its sensors report, in milliseconds. Default: 200. */
  readonly reportMs?: number;
  /**
   * One-shot actions do it and return nothing. Continuous ones return a step, called each control period, that says
   * whether the action is over by itself.
   */
  readonly actions: Readonly<
    Record<string, (body: TwinBody, input: Arguments) => (() => boolean) | undefined>
  >;
}

/** Control periods without a feed after which a twin's dead man stops it. */
const deadManPeriods = 3;

/**
 * A simulated body: reports what it senses, moves while it is fed, and stops by itself when it is not (dead man).
 */
export function defineTwin(behaviour: TwinBehaviour): Twin {
  const { description, actions } = behaviour;
  const period = description.controlPeriodMs ?? 100;
  const values = new Map<string, Value>(Object.entries(behaviour.initial));
  const journal: { at: 'start' | 'stop' | 'done'; action: string }[] = [];
  let silent = false;
  let tell: ((property: string, value: Value) => void) | undefined;
  let announce: ((event: string, data?: Arguments) => void) | undefined;
  let watching: ((all: boolean) => void) | undefined;
  const set = (property: string, value: Value) => {
    if (!(property in description.properties))
      throw new TypeError(`\`${description.name}\` has no \`${property}\``);
    values.set(property, value);
    if (!silent) tell?.(property, value);
  };
  const body: TwinBody = { get: (property) => values.get(property), set };

  return {
    description,
    journal,
    sense: set,
    happen: (event, data) => {
      if (!(event in description.events))
        throw new TypeError(`\`${description.name}\` has no event \`${event}\``);
      if (!silent) announce?.(event, data);
    },
    mute: (value) => {
      silent = value;
      watching?.(!value);
    },
    open: async (context): Promise<Driver> => {
      tell = (property, value) => context.reports.property(property, value);
      announce = (event, data) => context.reports.event(event, data);
      watching = (all) => context.reports.watching?.(all);
      watching(!silent);
      const report = () => {
        if (!silent) for (const [property, value] of values) tell?.(property, value);
      };
      report();
      const endReports = context.every(behaviour.reportMs ?? 200, report);
      const running = new Set<Running>();
      return {
        perform: async (action, input) => {
          const act = actions[action];
          if (act === undefined) throw new TypeError(`\`${description.name}\` cannot \`${action}\``);
          if (description.actions[action]?.safe) await Promise.all([...running].map((one) => one.stop()));
          const step = act(body, input);
          if (step === undefined) {
            journal.push({ at: 'done', action });
            return undefined;
          }
          journal.push({ at: 'start', action });
          let unfed = 0;
          let finish = () => {};
          const done = new Promise<void>((resolve) => {
            finish = resolve;
          });
          const end = (how: 'stop' | 'done') => {
            if (!running.delete(one)) return;
            cancel();
            journal.push({ at: how, action });
            finish();
          };
          const one: Running = {
            feed: () => {
              unfed = 0;
            },
            stop: async () => end('stop'),
            done,
          };
          running.add(one);
          const cancel = context.every(period, () => {
            if (++unfed > deadManPeriods) end('stop');
            else if (step()) end('done');
          });
          return one;
        },
        close: async () => {
          await Promise.all([...running].map((one) => one.stop()));
          endReports();
          tell = undefined;
          announce = undefined;
          watching = undefined;
        },
      };
    },
  };
}
