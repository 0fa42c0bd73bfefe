import type { Remedy } from '../core/errors.ts';
import { FealtyError } from '../core/errors.ts';

/** Something was asked of an agent that has not got so far, for example a token before it enrolled. */
export class NotReady extends FealtyError {
  override readonly code = 'agent.not-ready';
  override readonly remedy: Remedy = 'retry';
  /** What is missing: `credentials`, `link`, `domain` … */
  readonly missing: string;

  constructor(missing: string, message: string) {
    super(message);
    this.missing = missing;
  }
}

/** The configuration does not fit together, for example a stream of a device that is not there. */
export class BadConfiguration extends FealtyError {
  override readonly code = 'agent.bad-configuration';
  override readonly remedy: Remedy = 'ask-owner';
}
