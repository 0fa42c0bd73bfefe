import { chmod, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { createServer, request } from 'node:http';
import { text } from '../core/bytes.ts';
import { FealtyError, Malformed, messageOf, Unreachable } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import { parseJson } from '../core/json.ts';

/** What can be asked of a running agent on its own machine, by name. Arguments and answers are JSON. */
export type ControlHandlers = Readonly<Record<string, (argument: Json) => Promise<Json | undefined>>>;

/** The control socket of a running agent. */
export interface ControlServer {
  readonly path: string;
  close(): Promise<void>;
}

const bodyMax = 256 * 1024;

/**
 * Serves `handlers` on a Unix socket of mode 0600: `POST /<name>` with a JSON argument. Who may open the socket is the
 * agent's user, and nobody else; there is no other authentication, because that user holds the agent's state anyway.
 */
export async function serveControl(path: string, handlers: ControlHandlers): Promise<ControlServer> {
  const server = createServer((asked, answer) => {
    // Whoever asked may be gone before the answer.
    answer.on('error', () => {});
    const send = (status: number, body: unknown) => {
      answer.writeHead(status, { 'content-type': 'application/json' });
      answer.end(JSON.stringify(body ?? null));
    };
    const name = (asked.url ?? '/').slice(1);
    const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
    if (asked.method !== 'POST' || handler === undefined) {
      send(404, { message: `there is no \`${name.slice(0, 64)}\`` });
      return;
    }
    bodyOf(asked)
      .then((body) => handler(parseJson(body, { maxBytes: bodyMax })))
      .then(
        (result) => send(200, result),
        (error: unknown) =>
          send(error instanceof FealtyError ? 409 : 500, {
            message: messageOf(error),
            ...(error instanceof FealtyError ? { code: error.code } : {}),
            ...('check' in Object(error) ? { check: (error as { check: unknown }).check } : {}),
          }),
      );
  });
  // A socket that a killed process left behind would make listening fail.
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
  let closing: Promise<void> | undefined;
  return {
    path,
    close: () => {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closing;
    },
  };
}

/** The agent answered, and refused. */
export class ControlRefused extends FealtyError {
  override readonly code = 'agent.control-refused';
  override readonly remedy = 'give-up';
  /** The refusal's own code and check, when it has them. */
  readonly reason: string | undefined;
  readonly check: string | undefined;

  constructor(message: string, reason: string | undefined, check: string | undefined) {
    super(message);
    this.reason = reason;
    this.check = check;
  }
}

/** Asks a running agent. @throws {Unreachable} when none listens at `path`. @throws {ControlRefused} */
export async function askControl(path: string, name: string, argument: Json = null): Promise<Json> {
  const { status, body } = await new Promise<{ status: number; body: Uint8Array }>((resolve, reject) => {
    const asked = request({ socketPath: path, method: 'POST', path: `/${name}` }, (answer) => {
      bodyOf(answer, 16 * bodyMax).then(
        (read) => resolve({ status: answer.statusCode ?? 0, body: read }),
        reject,
      );
    });
    // Also after the answer: the socket may break when the other end has seen enough.
    asked.on('socket', (socket) => socket.on('error', reject));
    asked.on('error', (cause) => reject(new Unreachable(`no agent listens at \`${path}\``, { cause })));
    asked.end(JSON.stringify(argument));
  });
  const value = parseJson(text(body), { maxBytes: 16 * bodyMax });
  if (status === 200) return value;
  const { message, code, check } = value as { message?: string; code?: string; check?: string };
  throw new ControlRefused(message ?? `the agent answered ${status}`, code, check);
}

/** Reads to the end also what is too much, so that there is still somebody to tell. */
function bodyOf(from: IncomingMessage, max: number = bodyMax): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    from.on('data', (part: Buffer) => {
      size += part.length;
      if (size <= max) parts.push(part);
      else parts.length = 0;
    });
    from.once('end', () =>
      size <= max
        ? resolve(new Uint8Array(Buffer.concat(parts)))
        : reject(new Malformed(`more than ${max} bytes`)),
    );
    from.once('error', reject);
    from.once('close', () => reject(new Malformed('it ended in the middle')));
  });
}
