import { concat } from '../../core/bytes.ts';
import { CodecError } from '../codec.ts';
import type { Authorization } from './authorization.ts';

const none = /* @__PURE__ */ new Uint8Array(0);

/** An authorization by a session, not by a password. */
export type InSession = Extract<Authorization, { kind: 'session' }>;

/** The session that encrypts, of which there is at most one (Part 1 §21). @throws {TypeError} when there are more. */
export function only(
  all: readonly Authorization[],
  what: 'encryptRequest' | 'encryptResponse',
): InSession | undefined {
  if (all.length === 0) return undefined;
  const found = all.filter((one): one is InSession => one.kind === 'session' && one.use[what] === true);
  if (found.length > 1) throw new TypeError(`only one session can have \`${what}\``);
  return found[0];
}

/** A session's auth value counts only where it authorizes a handle. */
export function authOf(all: readonly Authorization[], one: InSession, roles: number): Uint8Array {
  return all.indexOf(one) < roles ? (one.use.auth ?? none) : none;
}

/** The nonces that the first session vouches for: those of others that encrypt (Part 1 §19.6.5). */
export function foreignNonces(
  one: InSession,
  encrypting: InSession | undefined,
  decrypting: InSession | undefined,
): Uint8Array {
  const nonces: Uint8Array[] = [];
  if (encrypting !== undefined && encrypting !== one) nonces.push(encrypting.session.nonceTpm);
  if (decrypting !== undefined && decrypting !== one && decrypting !== encrypting)
    nonces.push(decrypting.session.nonceTpm);
  return concat(...nonces);
}

/** Replaces the bytes of a TPM2B at the front, without touching its size. */
export function first(parameters: Uint8Array, change: (data: Uint8Array) => Uint8Array): Uint8Array {
  if (parameters.length < 2) throw new CodecError('TPM2B', 'short', 'the bytes end too early');
  const size = ((parameters[0] ?? 0) << 8) | (parameters[1] ?? 0);
  if (parameters.length < 2 + size) throw new CodecError('TPM2B', 'short', 'the bytes end too early');
  return concat(
    parameters.subarray(0, 2),
    change(parameters.subarray(2, 2 + size)),
    parameters.subarray(2 + size),
  );
}
