import type { Socket } from 'node:net';
import { concat } from '../../src/core/bytes.ts';

/** What comes back for a request: bytes in one piece, or `undefined`: none, and the connection ends. */
export type Reply = Uint8Array | undefined;

/** How the requests of one socket are told apart and answered. */
export interface Dialect {
  /** Bytes of the request at the head; `undefined` while too few have come to tell. */
  lengthOf(buffered: Uint8Array): number | undefined;
  /** No request is longer: the connection of one that claims to be is ended. */
  readonly largest: number;
  /** The reply; at once where nothing has to be waited for: tools make a connection for each command. */
  answer(request: Uint8Array): Reply | Promise<Reply>;
  /** Whether the whole server ends with this request. */
  isLast?(request: Uint8Array): boolean;
}

const nothing = new Uint8Array();

/** One client: its stream is cut into requests, and each reply is written before the next request is looked at. */
export class Connection {
  readonly #socket: Socket;
  readonly #dialect: Dialect;
  readonly #stop: () => void;
  #buffered: Uint8Array = nothing;
  /** While a reply is being made, or is not taken by the other end. */
  #busy = false;
  #ended = false;

  /** @param stop ends the whole server. */
  constructor(socket: Socket, dialect: Dialect, stop: () => void) {
    this.#socket = socket;
    this.#dialect = dialect;
    this.#stop = stop;
  }

  /** Bytes from the other end. */
  take(chunk: Uint8Array): void {
    // A Buffer's `slice` would not copy: what is kept of a request must not be a window into what came with it.
    const plain = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#buffered = this.#buffered.length === 0 ? plain : concat(this.#buffered, plain);
    // Who sends faster than it is answered, or does not read, waits: nothing piles up here.
    if (this.#busy) this.#socket.pause();
    else this.#work();
  }

  /** The other end has closed: what was asked is answered, then this one closes too. */
  end(): void {
    this.#ended = true;
    if (!this.#busy) this.#letGo();
  }

  /** Answers what has come, until something has to be waited for. */
  #work(): void {
    try {
      while (!this.#busy) {
        const request = this.#next();
        if (request === undefined) break;
        const reply = this.#dialect.answer(request);
        if (reply instanceof Promise) this.#later(request, reply);
        else this.#send(request, reply);
      }
    } catch {
      this.#socket.destroy();
    }
    if (this.#busy) return;
    if (this.#socket.isPaused()) this.#socket.resume();
    if (this.#ended) this.#letGo();
  }

  /** The request at the head, once all of it has come and while it can be answered. */
  #next(): Uint8Array | undefined {
    const buffered = this.#buffered;
    const length = this.#dialect.lengthOf(buffered);
    if (length !== undefined && length > this.#dialect.largest) this.#socket.destroy();
    if (!this.#socket.writable) this.#buffered = nothing;
    else if (length !== undefined && length <= buffered.length) {
      this.#buffered = length === buffered.length ? nothing : buffered.subarray(length);
      return buffered.subarray(0, length);
    }
    return undefined;
  }

  #later(request: Uint8Array, reply: Promise<Reply>): void {
    this.#busy = true;
    reply
      .then((bytes) => {
        this.#busy = false;
        this.#send(request, bytes);
        this.#work();
      })
      .catch(() => this.#socket.destroy());
  }

  #send(request: Uint8Array, reply: Reply): void {
    const socket = this.#socket;
    if (reply === undefined) socket.end();
    else if (socket.writable && !socket.write(reply)) {
      this.#busy = true;
      socket.once('drain', () => {
        this.#busy = false;
        this.#work();
      });
    }
    if (this.#dialect.isLast?.(request)) this.#stop();
  }

  /** Closes, when what was written is on its way. */
  #letGo(): void {
    if (this.#socket.writableLength === 0) this.#socket.destroy();
    else this.#socket.destroySoon();
  }
}
