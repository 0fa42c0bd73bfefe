import { concat, wipe } from '../../core/bytes.ts';
import type { Named } from '../command.ts';
import { TPM2_FlushContext, TPM2_StartAuthSession } from '../commands/session.ts';
import { TpmRefused, TpmUntrusted } from '../errors.ts';
import { digestSize, kdfa } from '../kdf.ts';
import { seedTo } from '../seed.ts';
import type { TPMI_ALG_HASH } from '../structures/algorithms.ts';
import { TPM_RH } from '../structures/handles.ts';
import type { TPMT_PUBLIC, TPMT_SYM_DEF } from '../structures/keys.ts';
import { run } from './run.ts';
import type { SessionCipher } from './session.ts';
import { Session, trimmedAuth } from './session.ts';
import type { Tpm } from './tpm.ts';

/** A decryption key in the TPM whose public area the caller trusts (EK, SRK). */
export type SaltKey = Named & { readonly public: TPMT_PUBLIC };

/** What kind of session to start. */
export interface SessionOptions {
  readonly kind: 'hmac' | 'policy';
  /** Default: `sha256`. */
  readonly hash?: TPMI_ALG_HASH | undefined;
  /** How it encrypts parameters where asked to. Default: `none`. */
  readonly cipher?: SessionCipher | undefined;
  /** Only the TPM that holds this key can then read or answer what the session protects. */
  readonly saltedTo?: SaltKey | undefined;
  /** An entity whose auth value enters the session key (Part 1 §19.6.8). */
  readonly boundTo?: (Named & { readonly auth: Uint8Array }) | undefined;
}

/**
 * Starts a session. Prefer `withAuthorizations`, which ends what it starts.
 *
 * @throws {TpmRefused} for example SESSION_MEMORY, when too many are open.
 */
export async function startSession(tpm: Tpm, options: SessionOptions): Promise<Session> {
  const hash = options.hash ?? 'sha256';
  const cipher = options.cipher ?? 'none';
  const { saltedTo, boundTo } = options;
  const nonceCaller = tpm.random.bytes(digestSize(hash));
  const salt = saltedTo === undefined ? undefined : seedTo(saltedTo.public, 'SECRET', tpm.random);
  const { sessionHandle, nonceTPM } = await run(tpm, TPM2_StartAuthSession, {
    tpmKey: saltedTo ?? TPM_RH.null,
    bind: boundTo ?? TPM_RH.null,
    nonceCaller,
    encryptedSalt: salt?.secret ?? new Uint8Array(0),
    sessionType: options.kind,
    symmetric: symmetricOf(cipher, hash),
    authHash: hash,
  });
  if (nonceTPM.length < 16)
    throw new TpmUntrusted('session-nonce', 'the nonce of the new session is too short');
  const secret = concat(trimmedAuth(boundTo?.auth ?? new Uint8Array(0)), salt?.seed ?? new Uint8Array(0));
  const keyed = saltedTo !== undefined || boundTo !== undefined;
  const sessionKey = keyed
    ? kdfa(hash, secret, 'ATH', nonceTPM, nonceCaller, digestSize(hash) * 8)
    : new Uint8Array(0);
  wipe(secret);
  return new Session({
    handle: sessionHandle,
    kind: options.kind,
    hash,
    cipher,
    sessionKey,
    boundTo,
    nonceTpm: nonceTPM,
  });
}

/** Ends a session here and in the TPM; nothing when it has ended already. */
export async function endSession(tpm: Tpm, session: Session): Promise<void> {
  if (session.ended) return;
  session.end();
  try {
    await run(tpm, TPM2_FlushContext, { flushHandle: session.handle });
  } catch (error) {
    if (!(error instanceof TpmRefused)) throw error; // the TPM has forgotten it by itself
  }
}

function symmetricOf(cipher: SessionCipher, hash: TPMI_ALG_HASH): TPMT_SYM_DEF {
  switch (cipher) {
    case 'none':
      return { algorithm: 'null' };
    case 'xor':
      return { algorithm: 'xor', keyBits: hash };
    case 'aes-128-cfb':
      return { algorithm: 'aes', keyBits: 128, mode: 'cfb' };
    case 'aes-256-cfb':
      return { algorithm: 'aes', keyBits: 256, mode: 'cfb' };
  }
}
