import { hex } from '../core/bytes.ts';
import { FealtyError } from '../core/errors.ts';
import type { Clock, Random } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import { AskFailed } from './errors.ts';
import { word } from './messages.ts';

const id = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/, 'an identifier'));
const askSchema = v.strictObject({
  id,
  epoch: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  body: v.unknown(),
});
const answerSchema = v.union([
  v.strictObject({ id, ok: v.literal(true), body: v.unknown() }),
  v.strictObject({ id, ok: v.literal(false), error: word }),
]);

/** How often an unanswered question is sent again, in milliseconds. */
const RESEND_MS = 500;
/** How long answers are remembered, so that a question that comes twice is answered once, in milliseconds. */
const REMEMBER_MS = 60_000;
/** Most questions remembered, and most of ours open. */
const OPEN_MAX = 1024;

/** What {@link Asks} needs. */
export interface AsksOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** The epoch we are in: a question of another one is refused, there is no grace for control. */
  readonly epoch: () => number;
  readonly send: (to: string, type: 'ask' | 'answer', body: unknown) => Promise<void>;
}

interface Open {
  readonly to: string;
  readonly settle: (answer: v.InferOutput<typeof answerSchema> | Error) => void;
}

/**
 * Questions and answers between two members. A question is sent again until it is answered or its time is over, because
 * a broker's acknowledgement means only that the broker heard it; the other end runs its handler once for each.
 */
export class Asks<Meta> {
  readonly #options: AsksOptions;
  readonly #open = new Map<string, Open>();
  readonly #answered = new Map<string, { readonly at: number; readonly answer: Promise<unknown> }>();
  #handler: ((body: unknown, from: string, meta: Meta) => unknown) | undefined;

  constructor(options: AsksOptions) {
    this.#options = options;
  }

  /** Sets who answers. */
  handle(handler: (body: unknown, from: string, meta: Meta) => unknown): void {
    this.#handler = handler;
  }

  /** Asks, and waits. @throws {AskFailed} */
  async ask(
    to: string,
    body: unknown,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<unknown> {
    const { clock, random } = this.#options;
    options.signal?.throwIfAborted();
    if (this.#open.size >= OPEN_MAX) throw new AskFailed('busy', 'too many questions are open');
    const asked = hex(random.bytes(8));
    const cancels: (() => void)[] = [];
    try {
      const answer = await new Promise<v.InferOutput<typeof answerSchema>>((resolve, reject) => {
        const settle = (value: v.InferOutput<typeof answerSchema> | Error) =>
          value instanceof Error ? reject(value) : resolve(value);
        this.#open.set(asked, { to, settle });
        const send = () => {
          this.#options
            .send(to, 'ask', { id: asked, epoch: this.#options.epoch(), body: body ?? null })
            .catch((cause: unknown) => settle(failed(cause)));
        };
        const again = () => {
          cancels.push(
            clock.schedule(RESEND_MS, () => {
              if (!this.#open.has(asked)) return;
              send();
              again();
            }),
          );
        };
        cancels.push(
          clock.schedule(options.timeoutMs, () =>
            settle(new AskFailed('silent', 'the member did not answer in time')),
          ),
        );
        const abort = () => settle(failed(options.signal?.reason));
        options.signal?.addEventListener('abort', abort, { once: true });
        cancels.push(() => options.signal?.removeEventListener('abort', abort));
        send();
        again();
      });
      if (!answer.ok) throw new AskFailed(answer.error, `the member refuses: \`${answer.error}\``);
      return answer.body;
    } finally {
      this.#open.delete(asked);
      for (const cancel of cancels) cancel();
    }
  }

  /** A question came. @returns the check it failed, or `undefined`. @throws {Malformed} */
  asked(value: unknown, from: string, meta: Meta): 'epoch' | undefined {
    const { clock, epoch, send } = this.#options;
    const question = check(askSchema, value, 'question');
    if (question.epoch !== epoch()) return 'epoch'; // it is asked again, in the epoch the other end has then
    const key = `${from} ${question.id}`;
    const now = clock.elapsed();
    for (const [old, { at }] of this.#answered) {
      if (at > now - REMEMBER_MS && this.#answered.size < OPEN_MAX) break;
      this.#answered.delete(old);
    }
    let known = this.#answered.get(key);
    if (known === undefined) {
      known = { at: now, answer: this.#answer(question, from, meta) };
      this.#answered.set(key, known);
    }
    known.answer
      .then((answer) => send(from, 'answer', answer))
      // An answer that cannot be written (CBOR has no functions) is a failure like any other; a lost one is asked again.
      .catch(() => send(from, 'answer', { id: question.id, ok: false, error: 'failed' }))
      .catch(() => {});
    return undefined;
  }

  /** An answer came. @returns the check it failed, or `undefined`. @throws {Malformed} */
  answered(value: unknown, from: string): 'unknown-answer' | undefined {
    const answer = check(answerSchema, value, 'answer');
    const open = this.#open.get(answer.id);
    if (open === undefined || open.to !== from) return 'unknown-answer';
    open.settle(answer);
    return undefined;
  }

  /** Fails every open question. */
  close(error: Error): void {
    for (const { settle } of this.#open.values()) settle(error);
    this.#answered.clear();
    this.#handler = undefined;
  }

  async #answer(question: v.InferOutput<typeof askSchema>, from: string, meta: Meta): Promise<unknown> {
    const { id: asked, body } = question;
    if (this.#handler === undefined) return { id: asked, ok: false, error: 'no-handler' };
    try {
      return { id: asked, ok: true, body: (await this.#handler(body, from, meta)) ?? null };
    } catch (cause) {
      // The code says what happened in words that are not secret; messages stay here.
      return { id: asked, ok: false, error: cause instanceof FealtyError ? cause.code : 'failed' };
    }
  }
}

function failed(cause: unknown): Error {
  if (cause instanceof Error) return cause;
  return new AskFailed('aborted', 'the question was given up', { cause });
}
