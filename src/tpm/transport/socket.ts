import type { Socket } from 'node:net';
import { u32At } from '../../core/bytes.ts';
import { TpmMalformed, TpmSilent } from '../errors.ts';
import { HEADER_SIZE, MESSAGE_MAX } from '../framing.ts';
import { connected } from './stream.ts';
import type { Transport } from './transport.ts';

/** Where swtpm listens for commands. */
export type SwtpmAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * swtpm's data socket: raw commands and answers over one lasting connection, which is made anew after a failure. The
 * control socket is not needed: swtpm starts in locality 0.
 */
export function swtpmTransport(address: SwtpmAddress): Transport {
  let line: Line | undefined;
  return {
    exchange(command, signal) {
      if (line?.open === true) return line.ask(command, signal);
      return Line.to(address, signal).then((made) => {
        line = made;
        return made.ask(command, signal);
      });
    },
    close() {
      line?.close();
    },
  };
}

/** One connection, one command at a time. What arrives is read into one buffer, and answers are copied out of it. */
class Line {
  readonly #socket: Socket;
  readonly #buffer: Uint8Array;
  #got = 0;
  #settled: ((answer: Uint8Array) => void) | undefined;
  #failed: ((error: Error) => void) | undefined;
  /** The signal that is listened to; the same one comes with many commands. */
  #signal: AbortSignal | undefined;

  private constructor(socket: Socket, buffer: Uint8Array) {
    this.#socket = socket;
    this.#buffer = buffer;
    socket.once('close', () => this.#fail(new TpmSilent('the TPM closed the connection')));
  }

  static async to(address: SwtpmAddress, signal: AbortSignal | undefined): Promise<Line> {
    // Room for more than an answer: what comes after one is an offence, not to be overlooked.
    const buffer = new Uint8Array(MESSAGE_MAX + 1);
    let take = (_: Uint8Array, _count: number) => {};
    const onread = {
      buffer: new Uint8Array(MESSAGE_MAX + 1),
      callback: (count: number, chunk: Uint8Array) => {
        take(chunk, count);
        return true;
      },
    };
    const line = new Line(await connected({ ...address, onread }, signal), buffer);
    take = (chunk, count) => line.#take(chunk, count);
    return line;
  }

  get open(): boolean {
    return !this.#socket.destroyed;
  }

  ask(command: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    if (signal !== this.#signal) {
      this.#signal?.removeEventListener('abort', this.#aborted);
      signal?.addEventListener('abort', this.#aborted, { once: true });
      this.#signal = signal;
    }
    return new Promise((resolve, reject) => {
      this.#settled = resolve;
      this.#failed = reject;
      if (signal?.aborted) this.#aborted();
      else if (this.#socket.destroyed) this.#fail(new TpmSilent('the TPM closed the connection'));
      else this.#socket.write(command);
    });
  }

  close(): void {
    this.#signal?.removeEventListener('abort', this.#aborted);
    this.#socket.destroy();
  }

  /** The first `count` bytes of `chunk` arrived; its room is used again for the next. */
  #take(chunk: Uint8Array, count: number): void {
    const settled = this.#settled;
    if (this.#got === 0 && settled !== undefined && isWhole(chunk, count)) {
      this.#answered(settled, chunk.slice(0, count));
      return;
    }
    const room = this.#buffer.length - this.#got;
    this.#buffer.set(chunk.subarray(0, Math.min(count, room)), this.#got);
    this.#got += count;
    if (this.#got < HEADER_SIZE && settled !== undefined) return;
    const size = u32At(this.#buffer, 2);
    if (settled === undefined || size < HEADER_SIZE || size > MESSAGE_MAX || this.#got > size) {
      this.#fail(new TpmMalformed('the answer has an impossible size'));
      return;
    }
    if (this.#got === size) this.#answered(settled, this.#buffer.slice(0, size));
  }

  #answered(settled: (answer: Uint8Array) => void, answer: Uint8Array): void {
    this.#got = 0;
    this.#settled = undefined;
    this.#failed = undefined;
    settled(answer);
  }

  readonly #aborted = () => this.#fail(new TpmSilent('the command was given up'));

  /** What comes later would be taken for the answer to the next command: the connection ends. */
  #fail(error: Error): void {
    const failed = this.#failed;
    this.#settled = undefined;
    this.#failed = undefined;
    this.close();
    failed?.(error);
  }
}

/** Whether what arrived is an answer, from its first to its last byte: nearly always it is. */
function isWhole(chunk: Uint8Array, count: number): boolean {
  return count >= HEADER_SIZE && count <= MESSAGE_MAX && u32At(chunk, 2) === count;
}
