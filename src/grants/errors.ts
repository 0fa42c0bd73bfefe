import { FealtyError } from '../core/errors.ts';

/** A condition, limit, grant, prohibition or device description does not have the form of the language. */
export class GrantMalformed extends FealtyError {
  override readonly code = 'grants.malformed';
  override readonly remedy = 'give-up';
  /** The member that is wrong, for example `condition.of.0.zone`; empty for the whole. */
  readonly path: string;

  constructor(path: string, what: string, options?: ErrorOptions) {
    super(path === '' ? what : `\`${path}\`: ${what}`, options);
    this.path = path;
  }
}

/** A grant speaks of something the device does not have, or compares it with something of another type. */
export class GrantMismatch extends FealtyError {
  override readonly code = 'grants.mismatch';
  override readonly remedy = 'ask-owner';
  /** The member that is wrong, for example `arguments.set-brightness.levle`. */
  readonly path: string;

  constructor(path: string, what: string, options?: ErrorOptions) {
    super(`\`${path}\`: ${what}`, options);
    this.path = path;
  }
}

/** A grant that should be narrower than another is not, or cannot be compared with it. */
export class GrantWider extends FealtyError {
  override readonly code = 'grants.wider';
  override readonly remedy = 'ask-owner';
  /** The member that is wider, for example `until` or `arguments.drive.speed`. */
  readonly member: string;

  constructor(member: string, why: string, options?: ErrorOptions) {
    super(`\`${member}\` is wider than its parent: ${why}`, options);
    this.member = member;
  }
}

/** The text form of a condition cannot be read. */
export class GrantText extends FealtyError {
  override readonly code = 'grants.text';
  override readonly remedy = 'give-up';
  /** Index of the character at which it cannot be read, from 0. */
  readonly position: number;

  constructor(position: number, what: string, options?: ErrorOptions) {
    super(`the condition, at character ${position + 1}: ${what}`, options);
    this.position = position;
  }
}
