import { base64url, concat, utf8 } from './bytes.ts';
import { sha256 } from './hash.ts';
import type { Random } from './platform.ts';

/**
 * The one prefix of every claim, type and label that is ours and not a standard's
 * (WIMSE workload-creds: closed environments use collision-resistant names).
 */
export const PREFIX = 'fealty/';

/** Private claim names and types, so that a typo is a compile error. */
export const CLAIM = {
  /** Identifier of the task a token, grant or assignment belongs to. */
  task: 'fealty/task',
  /** Generation numbers by revocation tag at issue: `{ "<tag>": n }`. */
  generations: 'fealty/gen',
  /** Family: identifier of the root grant from which all descendants were narrowed. */
  family: 'fealty/family',
  /** True on every token an automated agent holds (ID-07). */
  agent: 'fealty/agent',
} as const;

/**
 * What is really signed when a signature is neither JOSE nor X.509: `"fealty/<use>/v1" ‖ 0x00 ‖ data`,
 * so that a signature made for one use never verifies for another.
 *
 * @param use lower case with dashes, for example `enrol` or `domain-delegation`.
 */
export function domainSeparated(use: string, data: Uint8Array): Uint8Array {
  if (!/^[a-z][a-z0-9-]*$/.test(use))
    throw new TypeError(`use must be lower case with dashes, got \`${use}\``);
  return concat(utf8(`${PREFIX}${use}/v1`), Uint8Array.of(0), data);
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** The 13-character name of an agent in topics and in certificate CNs: base32 of SHA-256 of its identifier. */
export function slugOf(agentId: string): string {
  const digest = sha256(utf8(agentId));
  let bits = 0;
  let held = 0;
  let out = '';
  for (const byte of digest) {
    bits = (bits << 8) | byte;
    held += 8;
    while (held >= 5 && out.length < 13) {
      out += BASE32[(bits >>> (held - 5)) & 31];
      held -= 5;
    }
    bits &= (1 << held) - 1;
    if (out.length === 13) break;
  }
  return out;
}

/**
 * An identifier by chance: base64url of `bytes` random bytes, but with no dash in front, because people give it to
 * programs, which would take it for an option.
 */
export function randomId(random: Random, bytes: number): string {
  return base64url(random.bytes(bytes)).replace(/^-/, '_');
}
