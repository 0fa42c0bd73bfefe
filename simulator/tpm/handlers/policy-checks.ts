import { equal } from '../../../src/core/bytes.ts';
import { encode } from '../../../src/tpm/codec.ts';
import {
  TPM2_Duplicate,
  TPM2_PolicyCounterTimer,
  TPM2_PolicyCpHash,
  TPM2_PolicyDuplicationSelect,
  TPM2_PolicyLocality,
  TPM2_PolicyNameHash,
  TPM2_PolicyNV,
  TPM2_PolicyNvWritten,
  TPM2_PolicyPhysicalPresence,
  TPM2_PolicyTemplate,
} from '../../../src/tpm/commands.ts';
import type { TPM_EO as Operation } from '../../../src/tpm/structures.ts';
import { TPM_EO, TPMI_YES_NO, TPMS_TIME_INFO } from '../../../src/tpm/structures.ts';
import { clockInfo } from '../attest.ts';
import { holds } from '../compare.ts';
import { digest, digestSize } from '../crypto/hash.ts';
import { nvOf, policySessionOf } from '../entity.ts';
import { handler } from '../handler.ts';
import type { Machine } from '../machine.ts';
import { checkReadAccess, nvContents, nvName } from '../nv.ts';
import { extendPolicy } from '../policy-state.ts';
import { parameterRefused, RC, Refusal } from '../refusal.ts';
import type { Session } from '../session.ts';

/** TPMA_LOCALITY with all of the localities 0 to 4; greater values are one extended locality each. */
const allLocalities = 0x1f;

/** Part 3 §23.8 to §23.21: policies that look at the command, the NV, the clock, the locality, the person in front. */
export const policyChecksHandlers = [
  handler(TPM2_PolicyLocality, (chip, { policySession, locality }) => {
    const session = policySessionOf(chip, policySession, 1);
    const left = localityLeft(session.policy.locality, locality);
    if (left === 0) throw parameterRefused(RC.RANGE, 1);
    extendPolicy(session, TPM2_PolicyLocality.code, new Uint8Array([locality]));
    session.policy.locality = left;
    return {};
  }),

  handler(TPM2_PolicyNV, (chip, request) => {
    const { authHandle, nvIndex, policySession, operandB, offset, operation } = request;
    const index = nvOf(chip, nvIndex, 2);
    const session = policySessionOf(chip, policySession, 3);
    if (session.type === 'policy') {
      const { dataSize } = index.publicArea;
      checkReadAccess(index, authHandle);
      if (offset > dataSize) throw parameterRefused(RC.VALUE, 2);
      if (operandB.length > dataSize - offset) throw parameterRefused(RC.SIZE, 1);
      if (!holds(operation, nvContents(index, operandB.length, offset), operandB))
        throw new Refusal(RC.POLICY);
    }
    extendCompared(session, TPM2_PolicyNV.code, request, nvName(index));
    return {};
  }),

  handler(TPM2_PolicyCounterTimer, (chip, request) => {
    const { policySession, operandB, offset, operation } = request;
    const session = policySessionOf(chip, policySession, 1);
    const info = timeInfo(chip);
    // Also in a trial: beyond the structure nothing can ever be compared.
    if (offset > info.length) throw parameterRefused(RC.VALUE, 2);
    if (operandB.length > info.length - offset) throw new Refusal(RC.RANGE);
    if (session.type === 'policy') {
      const now = info.subarray(offset, offset + operandB.length);
      if (!holds(operation, now, operandB)) throw new Refusal(RC.POLICY);
    }
    extendCompared(session, TPM2_PolicyCounterTimer.code, request);
    return {};
  }),

  handler(TPM2_PolicyPhysicalPresence, (chip, { policySession }) => {
    const session = policySessionOf(chip, policySession, 1);
    extendPolicy(session, TPM2_PolicyPhysicalPresence.code);
    session.policy.physicalPresence = true;
    return {};
  }),

  handler(TPM2_PolicyCpHash, (chip, { policySession, cpHashA }) => {
    const session = policySessionOf(chip, policySession, 1);
    const { limit } = session.policy;
    if (cpHashA.length !== digestSize(session.hash)) throw parameterRefused(RC.SIZE, 1);
    if (limit !== undefined && (limit.kind !== 'cpHash' || !equal(limit.digest, cpHashA)))
      throw new Refusal(RC.CPHASH);
    extendPolicy(session, TPM2_PolicyCpHash.code, cpHashA);
    session.policy.limit = { kind: 'cpHash', digest: cpHashA };
    return {};
  }),

  handler(TPM2_PolicyNameHash, (chip, { policySession, nameHash }) => {
    const session = policySessionOf(chip, policySession, 1);
    if (nameHash.length !== digestSize(session.hash)) throw parameterRefused(RC.SIZE, 1);
    if (session.policy.limit !== undefined) throw new Refusal(RC.CPHASH);
    extendPolicy(session, TPM2_PolicyNameHash.code, nameHash);
    session.policy.limit = { kind: 'nameHash', digest: nameHash };
    return {};
  }),

  handler(TPM2_PolicyTemplate, (chip, { policySession, templateHash }) => {
    const session = policySessionOf(chip, policySession, 1);
    const { limit } = session.policy;
    if (limit !== undefined && limit.kind !== 'templateHash') throw new Refusal(RC.CPHASH);
    if (limit !== undefined && !equal(limit.digest, templateHash)) throw parameterRefused(RC.VALUE, 1);
    if (templateHash.length !== digestSize(session.hash)) throw parameterRefused(RC.SIZE, 1);
    extendPolicy(session, TPM2_PolicyTemplate.code, templateHash);
    session.policy.limit = { kind: 'templateHash', digest: templateHash };
    return {};
  }),

  handler(TPM2_PolicyDuplicationSelect, (chip, request) => {
    const { policySession, objectName, newParentName, includeObject } = request;
    const session = policySessionOf(chip, policySession, 1);
    const { policy, hash } = session;
    if (policy.limit !== undefined) throw new Refusal(RC.CPHASH);
    if (policy.commandCode !== undefined) throw new Refusal(RC.COMMAND_CODE);
    const object = includeObject === 'yes' ? objectName : new Uint8Array();
    extendPolicy(
      session,
      TPM2_PolicyDuplicationSelect.code,
      object,
      newParentName,
      encode(TPMI_YES_NO, includeObject),
    );
    // Those are the handles of TPM2_Duplicate, whether or not the policy itself is about the object.
    policy.limit = { kind: 'nameHash', digest: digest(hash, objectName, newParentName) };
    policy.commandCode = TPM2_Duplicate.code;
    return {};
  }),

  handler(TPM2_PolicyNvWritten, (chip, { policySession, writtenSet }) => {
    const session = policySessionOf(chip, policySession, 1);
    const { policy } = session;
    const written = writtenSet === 'yes';
    if (policy.nvWritten !== undefined && policy.nvWritten !== written) throw parameterRefused(RC.VALUE, 1);
    extendPolicy(session, TPM2_PolicyNvWritten.code, encode(TPMI_YES_NO, writtenSet));
    policy.nvWritten = written;
    return {};
  }),
];

/** What is left of the localities when one more assertion limits them; 0 when nothing is, or when both kinds meet. */
function localityLeft(before: number | undefined, asked: number): number {
  if (asked <= allLocalities) {
    const left = before ?? allLocalities;
    return left <= allLocalities ? left & asked : 0;
  }
  return before === undefined || before === asked ? asked : 0;
}

/** policyDigest of a comparison: its arguments are hashed by themselves first. */
function extendCompared(
  session: Session,
  code: number,
  compared: { readonly operandB: Uint8Array; readonly offset: number; readonly operation: Operation },
  name: Uint8Array = new Uint8Array(),
): void {
  const { operandB, offset, operation } = compared;
  const at = new Uint8Array([offset >> 8, offset & 0xff]);
  extendPolicy(session, code, digest(session.hash, operandB, at, encode(TPM_EO, operation)), name);
}

/** TPMS_TIME_INFO, marshalled: 25 bytes. */
function timeInfo(chip: Machine): Uint8Array {
  return encode(TPMS_TIME_INFO, { time: BigInt(chip.time), clockInfo: clockInfo(chip) });
}
