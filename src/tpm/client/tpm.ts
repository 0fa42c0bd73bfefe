import { u32At } from '../../core/bytes.ts';
import type { Clock, Random } from '../../core/platform.ts';
import { TPM2_Startup } from '../commands/startup.ts';
import { TpmBusy, TpmMalformed, TpmRefused, TpmSilent } from '../errors.ts';
import { HEADER_SIZE, MESSAGE_MAX } from '../framing.ts';
import type { TpmObject } from '../objects.ts';
import { TPM_RC_VER1, TPM_RC_WARN } from '../response-codes.ts';
import { TPM_PT } from '../structures/capabilities.ts';
import type { Transport } from '../transport/transport.ts';
import { capability } from './capability.ts';
import { Deadline } from './deadline.ts';
import { run } from './run.ts';
import { Slots } from './slots.ts';

/** How a TPM is opened. */
export interface TpmOptions {
  readonly transport: Transport;
  /** For nonces and salts. */
  readonly random: Random;
  /** For the deadline of a command and the pause before it is sent again. */
  readonly clock: Clock;
  /** Milliseconds a command may take. Default: 90,000 (an RSA key takes its time on hardware). */
  readonly timeoutMs?: number | undefined;
  /** Commands that may be under way: the one that runs, and those that wait for it. Default: 1,024. */
  readonly waitingMax?: number | undefined;
  /** Sessions that may be open at a time. Default: 3, the least that Part 1 lets a TPM have. */
  readonly sessionsMax?: number | undefined;
}

/** How often a command is sent again after RETRY, YIELDED or TESTING, and the first pause; each further one doubles. */
const RESUBMITTED_MAX = 12;
const PAUSE_MS_FIRST = 5;
const PAUSE_MS_MAX = 1000;

/** A TPM 2.0: one command at a time, in the order in which they were asked for. */
export class Tpm {
  readonly random: Random;
  readonly clock: Clock;
  /** Open sessions are a scarce resource: whoever needs some takes all of them at once. */
  readonly sessionSlots: Slots;
  /**
   * The key that hides auth values and secrets on their way to this TPM where the caller names none; `chooseSaltKey`
   * finds one.
   */
  saltKey: TpmObject | undefined;
  /** Names we computed ourselves from public areas, by handle. */
  readonly names = new Map<number, Uint8Array>();
  readonly #transport: Transport;
  readonly #timeoutMs: number;
  readonly #deadline: Deadline;
  readonly #waitingMax: number;
  #properties: ReadonlyMap<number, number> = new Map();
  /** A command runs, or the next one is about to. */
  #busy = false;
  /** The turns of those that wait, first come, first served. */
  readonly #waiting: (() => void)[] = [];
  #closed = false;
  /** Of all commands: a new one is needed only after it was used. */
  #abort = new AbortController();

  private constructor(options: TpmOptions) {
    this.random = options.random;
    this.clock = options.clock;
    this.sessionSlots = new Slots(options.sessionsMax ?? 3);
    this.#transport = options.transport;
    this.#timeoutMs = options.timeoutMs ?? 90_000;
    this.#deadline = new Deadline(options.clock, this.#timeoutMs);
    this.#waitingMax = options.waitingMax ?? 1024;
  }

  /**
   * Asks the TPM for its properties, and starts it up when nobody has.
   *
   * @throws {TpmSilent} when nothing answers.
   */
  static async open(options: TpmOptions): Promise<Tpm> {
    const tpm = new Tpm(options);
    try {
      tpm.#properties = await readProperties(tpm);
    } catch (error) {
      await tpm.close();
      throw error;
    }
    return tpm;
  }

  /** A fixed property (TPM_PT, Part 2 §6.13) as the TPM gave it when it was opened. */
  property(property: keyof typeof TPM_PT): number | undefined {
    return this.#properties.get(TPM_PT[property]);
  }

  /** Who made it: four characters of the TCG vendor registry, for example `IBM`; blanks and zeros cut off. */
  get manufacturer(): string {
    return printable([this.property('manufacturer')]);
  }

  /** The maker's own words, for example `SW   TPM`. */
  get vendor(): string {
    return printable(
      (['vendorString1', 'vendorString2', 'vendorString3', 'vendorString4'] as const).map((one) =>
        this.property(one),
      ),
    );
  }

  /** Bytes of NV data that one command reads or writes. */
  get nvBufferMax(): number {
    return Math.min(Math.max(this.property('nvBufferMax') ?? 512, 64), 1024);
  }

  /**
   * Takes the turn for one command: at once (`undefined`), or when every command asked for before has been answered.
   * Whoever has it passes it on with {@link Tpm.pass}.
   *
   * @throws {TpmBusy} when too many wait. @throws {TpmSilent} when it is closed.
   */
  take(): Promise<void> | undefined {
    this.checkOpen();
    if (this.#busy && this.#waiting.length + 1 >= this.#waitingMax)
      throw new TpmBusy('too many commands wait for the TPM');
    if (this.#busy) return this.#turn();
    this.#busy = true;
    return undefined;
  }

  /** The turn of the next who waits, if anybody does. */
  pass(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#busy = false;
    else next();
  }

  /** @throws {TpmSilent} when it is closed, or is about to be. */
  checkOpen(): void {
    if (this.#closed) throw new TpmSilent('the TPM is closed');
  }

  /** Resolves when all who came before have had their turn. */
  #turn(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /**
   * The TPM's answer to `command`, for who has the turn. The same bytes are sent again while the TPM says RETRY, YIELDED
   * or TESTING: it has then done nothing, and no nonce has moved.
   */
  exchange(command: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#send(command, (answer) => (asksForPatience(answer) ? this.#again(command, signal) : answer));
  }

  async #again(command: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    let pauseMs = PAUSE_MS_FIRST;
    for (let resubmitted = 1; ; resubmitted++) {
      await this.clock.sleep(pauseMs, signal);
      const answer = await this.#send(command, (one) => one);
      if (!asksForPatience(answer) || resubmitted === RESUBMITTED_MAX) return answer;
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    }
  }

  /** What `judge` makes of the answer. One promise less than a chain of them: short commands feel each. */
  #send(
    command: Uint8Array,
    judge: (answer: Uint8Array) => Uint8Array | Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const asked = this.#ask(command);
      // While the TPM works, not before it does.
      this.#deadline.start(() => reject(this.#giveUp()));
      asked.then(
        (answer) => {
          this.#deadline.done();
          if (answer.length >= HEADER_SIZE && answer.length <= MESSAGE_MAX) resolve(judge(answer));
          else reject(new TpmMalformed(`an answer of ${answer.length} bytes`));
        },
        (cause: unknown) => {
          this.#deadline.done();
          const known = cause instanceof TpmSilent || cause instanceof TpmMalformed;
          reject(known ? cause : new TpmSilent('the way to the TPM is broken', { cause }));
        },
      );
    });
  }

  /** A transport may fail at once or later. */
  #ask(command: Uint8Array): Promise<Uint8Array> {
    try {
      return this.#transport.exchange(command, this.#abort.signal);
    } catch (cause) {
      return Promise.reject(cause);
    }
  }

  /** The time is up for the command that runs. */
  #giveUp(): TpmSilent {
    const late = new TpmSilent(`the TPM did not answer within ${this.#timeoutMs} ms`);
    this.#abort.abort(late);
    this.#abort = new AbortController();
    return late;
  }

  /** Waits for the command that runs, refuses those that wait, and lets go of the TPM. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#busy) await this.#turn();
    this.#deadline.close();
    await this.#transport.close?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function asksForPatience(answer: Uint8Array): boolean {
  const code = u32At(answer, 6);
  return code === TPM_RC_WARN.RETRY || code === TPM_RC_WARN.YIELDED || code === TPM_RC_WARN.TESTING;
}

async function readProperties(tpm: Tpm): Promise<ReadonlyMap<number, number>> {
  const ask = () => capability(tpm, 'tpmProperties', TPM_PT.familyIndicator, 64);
  const { data } = await ask().catch(async (error: unknown) => {
    if (!(error instanceof TpmRefused) || error.responseCode !== TPM_RC_VER1.INITIALIZE) throw error;
    await run(tpm, TPM2_Startup, { startupType: 'clear' });
    return await ask();
  });
  return new Map(data.map(({ property, value }) => [property, value]));
}

function printable(words: readonly (number | undefined)[]): string {
  let out = '';
  for (const word of words)
    for (let shift = 24; shift >= 0; shift -= 8) {
      const code = ((word ?? 0) >>> shift) & 0xff;
      if (code >= 0x20 && code < 0x7f) out += String.fromCharCode(code);
    }
  return out.trim();
}
