import {
  TPM2_FlushContext,
  TPM2_GetCapability,
  TPM2_PolicyCommandCode,
  TPM2_StartAuthSession,
} from '../../src/tpm/commands.ts';
import { TPM_RH } from '../../src/tpm/structures.ts';
import type { Answering, RawSession } from './raw.ts';
import { ask, filled, none, send } from './raw.ts';
import type { aes128 } from './raw-templates.ts';
import { nullCipher } from './raw-templates.ts';

/** A policy session without key, as authorization. */
export function withPolicy(sessionHandle: number): RawSession {
  return { sessionHandle };
}

/** What a session may be, beside its kind. */
interface SessionOptions {
  readonly authHash?: 'sha1' | 'sha256' | 'sha384' | 'sha512';
  readonly symmetric?: typeof nullCipher | typeof aes128;
}

/** What TPM2_StartAuthSession takes for a session without salt and bind, so without key. */
export function keyless(sessionType: 'hmac' | 'policy' | 'trial', options: SessionOptions = {}) {
  return {
    tpmKey: TPM_RH.null,
    bind: TPM_RH.null,
    nonceCaller: filled(16),
    encryptedSalt: none,
    sessionType,
    symmetric: options.symmetric ?? nullCipher,
    authHash: options.authHash ?? 'sha256',
  };
}

/** Starts a session without key: what is sent in it needs no HMAC. */
export async function startKeyless(
  tpm: Answering,
  sessionType: 'hmac' | 'policy' | 'trial',
  options?: SessionOptions,
): Promise<{ readonly handle: number; readonly nonceTPM: Uint8Array }> {
  const asked = keyless(sessionType, options);
  const { sessionHandle, nonceTPM } = await ask(tpm, TPM2_StartAuthSession, asked);
  return { handle: sessionHandle, nonceTPM };
}

/** A policy session that allows one command of this code. */
export async function startPolicyFor(tpm: Answering, code: number): Promise<number> {
  const { handle: policySession } = await startKeyless(tpm, 'policy');
  await ask(tpm, TPM2_PolicyCommandCode, { policySession, code });
  return policySession;
}

/** Flushes every object and session that is there. */
export async function flushAll(tpm: Answering): Promise<void> {
  for (const first of [0x80000000, 0x02000000, 0x03000000]) {
    const { capabilityData } = await ask(tpm, TPM2_GetCapability, {
      capability: 'handles',
      property: first,
      propertyCount: 64,
    });
    if (capabilityData.capability !== 'handles') continue;
    for (const flushHandle of capabilityData.data) await send(tpm, TPM2_FlushContext, { flushHandle });
  }
}
