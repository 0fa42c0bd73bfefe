import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { messageOf } from '../../src/core/errors.ts';
import type { Clock } from '../../src/core/platform.ts';

/** What an actor's process can be asked to do: methods from plain data to plain data. */
export type Methods = Readonly<Record<string, (params: never) => Promise<unknown>>>;

type Params<M, K extends keyof M> = M[K] extends (params: infer P) => Promise<unknown> ? P : never;
type Result<M, K extends keyof M> = M[K] extends (params: never) => Promise<infer R> ? R : never;

/** An error that happened in an actor's process, with the names of the checks that refused. */
export class ActorFailed extends Error {
  readonly code: string | undefined;
  readonly check: string | undefined;

  constructor(
    message: string,
    facts: { code?: string | undefined; check?: string | undefined; cause?: unknown },
  ) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause });
    this.name = 'ActorFailed';
    this.code = facts.code;
    this.check = facts.check;
  }
}

interface SentError {
  readonly message: string;
  readonly code?: string | undefined;
  readonly check?: string | undefined;
  readonly cause?: SentError | undefined;
}

type FromParent = { readonly id: number; readonly method: string; readonly params: unknown };
type FromChild =
  | { readonly ready: true }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: SentError }
  | { readonly event: string; readonly data: unknown };

/** A party of a story in an operating system process of its own. */
export class Actor<M extends Methods> {
  readonly name: string;
  #child: ChildProcess;
  #clock: Clock;
  #serial = 0;
  #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #listeners = new Map<string, Set<(data: unknown) => void>>();
  #said = '';
  #exited: Promise<void>;
  #gone = false;

  private constructor(name: string, child: ChildProcess, clock: Clock) {
    this.name = name;
    this.#child = child;
    this.#clock = clock;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString()).slice(-4096);
    });
    child.on('message', (message) => this.#hear(message as FromChild));
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#gone = true;
        const error = new ActorFailed(
          `${name} is gone (${signal ?? `exit code ${code}`})${this.#lastWords()}`,
          {},
        );
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
        resolve();
      });
    });
  }

  /** Starts the process and waits until it listens. */
  static async start<M extends Methods>(options: {
    readonly name: string;
    /** Module that calls {@link serveActor}. */
    readonly module: URL;
    readonly clock: Clock;
  }): Promise<Actor<M>> {
    const child = fork(fileURLToPath(options.module), [], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
      execArgv: loaderFor(options.module),
    });
    const actor = new Actor<M>(options.name, child, options.clock);
    await new Promise<void>((resolve, reject) => {
      const first = (message: FromChild) => {
        if (!('ready' in message)) return;
        child.off('message', first);
        resolve();
      };
      child.on('message', first);
      child.once('error', reject);
      child.once('exit', (code) =>
        reject(new ActorFailed(`${options.name} did not start (${code})${actor.#lastWords()}`, {})),
      );
    });
    return actor;
  }

  /** Asks the actor to do something; its refusal is thrown here with the same code and check. */
  call<K extends keyof M & string>(method: K, params: Params<M, K>): Promise<Result<M, K>> {
    if (this.#gone) return Promise.reject(new ActorFailed(`${this.name} is gone${this.#lastWords()}`, {}));
    const id = ++this.#serial;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child.send({ id, method, params } satisfies FromParent);
    return answer as Promise<Result<M, K>>;
  }

  /** Hears what the actor tells of its own accord. */
  on(event: string, listener: (data: unknown) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Resolves with the data of the next event that `matches`; rejects after `withinMs`. */
  next(event: string, withinMs: number, matches: (data: never) => boolean = () => true): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        cancel();
        off();
      };
      const cancel = this.#clock.schedule(withinMs, () => {
        finish();
        reject(new ActorFailed(`${this.name} did not tell of \`${event}\` within ${withinMs} ms`, {}));
      });
      const off = this.on(event, (data) => {
        if (!matches(data as never)) return;
        finish();
        resolve(data);
      });
    });
  }

  /** Ends the process: politely, and after three seconds not. Idempotent. */
  async stop(): Promise<void> {
    if (this.#gone) return;
    const cancel = this.#clock.schedule(3_000, () => this.#child.kill('SIGKILL'));
    this.#child.disconnect();
    await this.#exited;
    cancel();
  }

  #hear(message: FromChild): void {
    if ('event' in message)
      for (const listener of this.#listeners.get(message.event) ?? []) listener(message.data);
    if (!('id' in message)) return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('error' in message) waiting?.reject(received(message.error));
    else waiting?.resolve(message.result);
  }

  #lastWords(): string {
    const words = this.#said.trim();
    return words === '' ? '' : `, and said: ${words.slice(-1_000)}`;
  }
}

/**
 * The other side of {@link Actor}: serves `methods` to the parent process until it goes away.
 *
 * @param close what to do then, for example stop motors and close files.
 */
export function serveActor(
  methods: Methods,
  close: () => Promise<void>,
): { tell(event: string, data: unknown): void } {
  const send = (message: FromChild) => {
    if (process.connected) process.send?.(message);
  };
  // Ctrl-C in a terminal reaches the whole group; the parent decides when a party leaves.
  process.on('SIGINT', () => {});
  process.on('message', (message) => {
    const { id, method, params } = message as FromParent;
    const work = methods[method];
    Promise.resolve()
      .then(() => {
        if (work === undefined) throw new TypeError(`no method \`${method}\``);
        return work(params as never);
      })
      .then(
        (result) => send({ id, result }),
        (error: unknown) => send({ id, error: sent(error) }),
      );
  });
  process.once('disconnect', () => {
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${messageOf(error)}\n`);
        process.exit(1);
      },
    );
  });
  send({ ready: true });
  return { tell: (event, data) => send({ event, data }) };
}

/** From source, a child needs the loader that its parent has by some other way (tsx, vitest). */
function loaderFor(module: URL): string[] {
  if (!module.pathname.endsWith('.ts')) return [];
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return ['--conditions=source', '--import', tsx];
}

function sent(error: unknown, depth = 0): SentError {
  const { code, check, cause } = (error ?? {}) as { code?: unknown; check?: unknown; cause?: unknown };
  return {
    message: messageOf(error),
    code: typeof code === 'string' ? code : undefined,
    check: typeof check === 'string' ? check : undefined,
    cause: cause === undefined || depth > 4 ? undefined : sent(cause, depth + 1),
  };
}

function received(error: SentError): ActorFailed {
  return new ActorFailed(error.message, {
    code: error.code,
    check: error.check,
    cause: error.cause ? received(error.cause) : undefined,
  });
}
