import { u32 } from '../../src/core/bytes.ts';
import type { Command } from '../../src/tpm/command.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digest } from './crypto/hash.ts';
import type { Entity } from './entity.ts';

/** A command on its way in. */
export interface Invocation {
  readonly command: Command;
  /** What its handles stand for, in order. */
  readonly entities: readonly Entity[];
  /** Its parameters as they came, the first one possibly encrypted. */
  readonly sent: Uint8Array;
  /** The hash of command audit when it came. */
  readonly auditHash: HashAlgorithm;
}

/** What a command answers: its parameters as they leave, the first one possibly encrypted. */
export interface Answered {
  readonly command: Command;
  readonly leaving: Uint8Array;
}

/** cpHash (Part 1 §16.7): the command, the Names of its handles, its parameters. */
export function cpHash({ command, entities, sent }: Invocation, hash: HashAlgorithm): Uint8Array {
  return digest(hash, u32(command.code), ...entities.map(({ name }) => name), sent);
}

/** rpHash (Part 1 §16.8): success, the command, its response's parameters. */
export function rpHash({ command, leaving }: Answered, hash: HashAlgorithm): Uint8Array {
  return digest(hash, u32(0), u32(command.code), leaving);
}
