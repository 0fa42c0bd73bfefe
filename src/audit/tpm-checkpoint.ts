import { base64url } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { NvIndex, Tpm, TpmObject } from '../tpm/index.ts';
import { counterDefine, counterIncrement, nvCertify, nvReadPublic } from '../tpm/index.ts';
import type { Checkpointer } from './checkpoint.ts';
import { checkpointInput } from './checkpoint.ts';
import { AuditCounterMissing } from './errors.ts';

/** NV index of the audit log's own counter, in the owner's range. */
export const AUDIT_COUNTER = 0x01800201;

/** What the counter is found or made with. */
export interface AuditCounterOptions {
  /** Its auth value, a secret: without it nobody can make checkpoints seem missing. */
  readonly auth: Uint8Array;
  /** A trusted key of this TPM (EK or SRK), to hide `auth` when the counter is made. */
  readonly saltedTo: TpmObject;
  /** Default: {@link AUDIT_COUNTER}. */
  readonly handle?: number | undefined;
}

/**
 * The audit log's counter; made when there is none. That it was made is for the caller to record: on a device that had
 * one before it is an event, never a fresh start (the TPM lets no new counter begin below an old one).
 */
export async function auditCounter(
  tpm: Tpm,
  options: AuditCounterOptions,
): Promise<{ readonly counter: NvIndex; readonly made: boolean }> {
  const { handle = AUDIT_COUNTER, auth, saltedTo } = options;
  const found = await nvReadPublic(tpm, handle, auth);
  if (found !== undefined) return { counter: found, made: false };
  return { counter: await counterDefine(tpm, { handle, auth, saltedTo }), made: true };
}

/**
 * Checkpoints by the TPM: the counter goes up by one, and the LAK certifies its value with SHA-256 of
 * {@link checkpointInput} as qualifying data (TPM2_NV_Certify). The counter belongs to this log alone: whoever knows what
 * it reads now knows whether the log's end was cut off.
 */
export function tpmCheckpoints(tpm: Tpm, lak: TpmObject, counter: NvIndex): Checkpointer {
  return {
    method: 'tpm',
    sign: async (head) => {
      // Read each time: its Name changes with its first increment, whoever made that.
      const now = await nvReadPublic(tpm, counter.handle, counter.auth);
      if (now === undefined)
        throw new AuditCounterMissing('the counter of the audit log is no longer in the TPM');
      const { attest, signature } = await nvCertify(tpm, {
        index: await counterIncrement(tpm, now),
        signer: lak,
        qualifyingData: sha256(checkpointInput(head)),
      });
      return { attest: base64url(attest), signature: base64url(signature) };
    },
  };
}
