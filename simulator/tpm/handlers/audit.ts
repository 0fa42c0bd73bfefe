import {
  TPM2_GetCommandAuditDigest,
  TPM2_GetSessionAuditDigest,
  TPM2_SetCommandCodeAuditStatus,
  TPM2_Shutdown,
} from '../../../src/tpm/commands.ts';
import { attest, attesterOf } from '../attest.ts';
import { auditedCommandsDigest } from '../audit.ts';
import { entityOf } from '../entity.ts';
import { handler } from '../handler.ts';
import { handleRefused, parameterRefused, RC } from '../refusal.ts';

const none = new Uint8Array();

/** Part 3 §18.5, §18.6 and §21.2: what was done in a session, and what was done to the TPM, under a signature. */
export const auditHandlers = [
  handler(TPM2_GetSessionAuditDigest, (chip, request) => {
    const { signHandle, sessionHandle, qualifyingData, inScheme } = request;
    entityOf(chip, sessionHandle, 3);
    const sessionDigest = chip.sessions.get(sessionHandle)?.auditDigest;
    const attester = attesterOf(chip, signHandle, 2, inScheme, 2);
    if (sessionDigest === undefined) throw handleRefused(RC.TYPE, 3);
    const exclusiveSession = chip.exclusiveAudit === sessionHandle ? 'yes' : 'no';
    const { attested, signature } = attest(chip, attester, qualifyingData, {
      type: 'attestSessionAudit',
      attested: { exclusiveSession, sessionDigest },
    });
    return { auditInfo: attested, signature };
  }),

  handler(TPM2_GetCommandAuditDigest, (chip, { signHandle, qualifyingData, inScheme }) => {
    const { audit } = chip;
    const attester = attesterOf(chip, signHandle, 2, inScheme, 2);
    const { attested, signature } = attest(chip, attester, qualifyingData, {
      type: 'attestCommandAudit',
      attested: {
        auditCounter: BigInt(audit.counter),
        digestAlg: audit.hash,
        auditDigest: audit.digest,
        commandDigest: auditedCommandsDigest(chip),
      },
    });
    // A log that was told under a signature is closed; the next audited command begins another.
    if (attester !== undefined) {
      audit.digest = none;
      chip.dirty = true;
    }
    return { auditInfo: attested, signature };
  }),

  handler(TPM2_SetCommandCodeAuditStatus, (chip, { auditAlg, setList, clearList }) => {
    if (auditAlg !== 'null' && auditAlg !== chip.audit.hash) {
      if (setList.length > 0 || clearList.length > 0) throw parameterRefused(RC.VALUE, 1);
      chip.audit = { ...chip.audit, hash: auditAlg, digest: none };
    } else {
      // Its own code needs no place in the list, and nobody is there any more to audit the last command.
      const never = new Set([TPM2_SetCommandCodeAuditStatus.code, TPM2_Shutdown.code]);
      const commands = new Set(chip.audit.commands);
      for (const code of setList) if (chip.implemented.has(code) && !never.has(code)) commands.add(code);
      for (const code of clearList) commands.delete(code);
      chip.audit = { ...chip.audit, commands: [...commands] };
    }
    chip.dirty = true;
    return {};
  }),
];
