/** What a caller can usefully do next. */
export type Remedy = 'retry' | 'renew' | 'ask-owner' | 'give-up';

/** The root of every error fealty throws on purpose; `code` narrows the union `AnyFealtyError`. */
export abstract class FealtyError extends Error {
  /** Stable across releases (`folder.fact`); the message is not. */
  abstract readonly code: string;
  /** What the program that caught it can do. */
  abstract readonly remedy: Remedy;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Bytes or text from outside do not have the form the standard (or our own format) gives them. */
export class Malformed extends FealtyError {
  override readonly code = 'core.malformed';
  override readonly remedy = 'give-up';
}

/** A signature, MAC or digest does not verify. `what` names the thing signed. */
export class BadSignature extends FealtyError {
  override readonly code = 'core.bad-signature';
  override readonly remedy = 'give-up';
  readonly what: string;

  constructor(what: string, options?: ErrorOptions) {
    super(`the signature of the ${what} does not verify`, options);
    this.what = what;
  }
}

/** Stored state could not be read or written. */
export class StoreFailed extends FealtyError {
  override readonly code = 'core.store-failed';
  override readonly remedy = 'retry';
}

/** The other end cannot be reached, or did not answer in time. */
export class Unreachable extends FealtyError {
  override readonly code = 'core.unreachable';
  override readonly remedy = 'retry';
}

/** Something real was asked to accept a simulated platform (seeded chance, virtual time). */
export class SimulatedPlatform extends FealtyError {
  override readonly code = 'core.simulated-platform';
  override readonly remedy = 'give-up';
}

/** The text of whatever was thrown, for a log or a `cause`. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
