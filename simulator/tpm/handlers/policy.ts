import { equal, u32 } from '../../../src/core/bytes.ts';
import { encode } from '../../../src/tpm/codec.ts';
import {
  TPM2_PolicyAuthorize,
  TPM2_PolicyAuthorizeNV,
  TPM2_PolicyAuthValue,
  TPM2_PolicyCommandCode,
  TPM2_PolicyGetDigest,
  TPM2_PolicyOR,
  TPM2_PolicyPassword,
  TPM2_PolicyPCR,
  TPM2_PolicyRestart,
} from '../../../src/tpm/commands.ts';
import { TPM_ALG_ID, TPML_PCR_SELECTION } from '../../../src/tpm/structures.ts';
import type { HashAlgorithm } from '../crypto/hash.ts';
import { digest, digestSize, hashAlgorithms } from '../crypto/hash.ts';
import { nvOf, policySessionOf } from '../entity.ts';
import { handler } from '../handler.ts';
import { checkReadAccess, nvName } from '../nv.ts';
import { allocated, pcrDigest } from '../pcr.ts';
import { clearPolicyDigest, extendPolicy, extendPolicyBy, freshPolicy } from '../policy-state.ts';
import { parameterRefused, RC, Refusal } from '../refusal.ts';
import { checkTicket } from '../tickets.ts';

/** Part 3 §23 and §11.2: policies themselves, one of several, and those that somebody else approves. */
export const policyHandlers = [
  handler(TPM2_PolicyRestart, (chip, { sessionHandle }) => {
    const session = policySessionOf(chip, sessionHandle, 1);
    session.policy = freshPolicy(session.hash);
    return {};
  }),

  handler(TPM2_PolicyOR, (chip, { policySession, pHashList }) => {
    const session = policySessionOf(chip, policySession, 1);
    if (pHashList.length < 2) throw parameterRefused(RC.SIZE, 1);
    const met = pHashList.some((branch) => equal(branch, session.policy.digest));
    if (session.type === 'policy' && !met) throw parameterRefused(RC.VALUE, 1);
    clearPolicyDigest(session);
    extendPolicy(session, TPM2_PolicyOR.code, ...pHashList);
    return {};
  }),

  handler(TPM2_PolicyPCR, (chip, { policySession, pcrDigest: expected, pcrs }) => {
    const session = policySessionOf(chip, policySession, 1);
    const actual = pcrDigest(chip.banks, session.hash, pcrs);
    let used = actual;
    if (session.type === 'trial') {
      if (expected.length > 0) used = expected;
    } else {
      if (session.policy.pcrCounter !== undefined && session.policy.pcrCounter !== chip.pcrUpdateCounter)
        throw new Refusal(RC.PCR_CHANGED);
      if (expected.length > 0 && !equal(expected, actual)) throw parameterRefused(RC.VALUE, 1);
      session.policy.pcrCounter = chip.pcrUpdateCounter;
    }
    extendPolicy(session, TPM2_PolicyPCR.code, encode(TPML_PCR_SELECTION, allocated(chip.banks, pcrs)), used);
    return {};
  }),

  handler(TPM2_PolicyCommandCode, (chip, { policySession, code }) => {
    const session = policySessionOf(chip, policySession, 1);
    const { policy } = session;
    if (policy.commandCode !== undefined && policy.commandCode !== code) throw parameterRefused(RC.VALUE, 1);
    if (!chip.implemented.has(code)) throw parameterRefused(RC.POLICY_CC, 1);
    extendPolicy(session, TPM2_PolicyCommandCode.code, u32(code));
    policy.commandCode = code;
    return {};
  }),

  handler(TPM2_PolicyAuthValue, (chip, { policySession }) => {
    const session = policySessionOf(chip, policySession, 1);
    extendPolicy(session, TPM2_PolicyAuthValue.code);
    session.policy.authValueNeeded = true;
    session.policy.passwordNeeded = false;
    return {};
  }),

  // The digest is that of PolicyAuthValue: whether the value comes in clear or in an HMAC is the caller's choice.
  handler(TPM2_PolicyPassword, (chip, { policySession }) => {
    const session = policySessionOf(chip, policySession, 1);
    extendPolicy(session, TPM2_PolicyAuthValue.code);
    session.policy.authValueNeeded = false;
    session.policy.passwordNeeded = true;
    return {};
  }),

  handler(TPM2_PolicyAuthorize, (chip, request) => {
    const { policySession, approvedPolicy, policyRef, keySign, checkTicket: ticket } = request;
    const session = policySessionOf(chip, policySession, 1);
    const hash = hashOfName(keySign);
    if (hash === undefined) throw parameterRefused(RC.HASH, 3);
    if (keySign.length !== 2 + digestSize(hash)) throw parameterRefused(RC.SIZE, 3);
    if (session.type === 'policy') {
      if (!equal(session.policy.digest, approvedPolicy)) throw parameterRefused(RC.VALUE, 1);
      const signed = digest(hash, approvedPolicy, policyRef);
      if (!checkTicket(chip, ticket, 'verified', signed, keySign)) throw parameterRefused(RC.VALUE, 4);
    }
    clearPolicyDigest(session);
    extendPolicyBy(session, TPM2_PolicyAuthorize.code, keySign, policyRef);
    return {};
  }),

  handler(TPM2_PolicyAuthorizeNV, (chip, { authHandle, nvIndex, policySession }) => {
    const index = nvOf(chip, nvIndex, 2);
    const session = policySessionOf(chip, policySession, 3);
    if (session.type === 'policy') {
      checkReadAccess(index, authHandle);
      checkApproved(index.data, session.hash, session.policy.digest);
    }
    clearPolicyDigest(session);
    extendPolicy(session, TPM2_PolicyAuthorizeNV.code, nvName(index));
    return {};
  }),

  handler(TPM2_PolicyGetDigest, (chip, { policySession }) => ({
    policyDigest: policySessionOf(chip, policySession, 1).policy.digest,
  })),
];

/** The hash that a Name begins with. */
function hashOfName(name: Uint8Array): HashAlgorithm | undefined {
  const id = ((name[0] ?? 0) << 8) | (name[1] ?? 0);
  return hashAlgorithms.find((hash) => TPM_ALG_ID.values[hash] === id);
}

/** Whether an index holds, as TPMT_HA, the policy that the session has now. None of the codes names an operand. */
function checkApproved(data: Uint8Array, hash: HashAlgorithm, policyDigest: Uint8Array): void {
  if (data.length < 2) throw new Refusal(RC.INSUFFICIENT);
  const stored = hashOfName(data);
  if (stored === undefined) throw new Refusal(RC.HASH);
  const size = digestSize(stored);
  if (data.length < 2 + size) throw new Refusal(RC.INSUFFICIENT);
  if (stored !== hash) throw new Refusal(RC.HASH);
  if (!equal(data.subarray(2, 2 + size), policyDigest)) throw new Refusal(RC.VALUE);
}
