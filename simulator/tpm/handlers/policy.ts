import { concat, equal, u32 } from '../../../src/core/bytes.ts';
import { encode } from '../../../src/tpm/codec.ts';
import { commandByCode } from '../../../src/tpm/command-table.ts';
import {
  TPM2_PolicyAuthValue,
  TPM2_PolicyCommandCode,
  TPM2_PolicyGetDigest,
  TPM2_PolicyOR,
  TPM2_PolicyPassword,
  TPM2_PolicyPCR,
  TPM2_PolicyRestart,
  TPM2_PolicySecret,
} from '../../../src/tpm/commands.ts';
import { TPML_PCR_SELECTION } from '../../../src/tpm/structures.ts';
import { digest, digestSize } from '../crypto/hash.ts';
import { entityOf, policySessionOf } from '../entity.ts';
import { handler } from '../handler.ts';
import { allocated, pcrDigest } from '../pcr.ts';
import { parameterRefused, RC, Refusal } from '../refusal.ts';
import type { Session } from '../session.ts';
import { freshPolicy } from '../session.ts';
import { emptyTicket } from '../tickets.ts';

/** Part 3 §23 and §11.2: assertions that a policy session collects. */
export const policyHandlers = [
  handler(TPM2_PolicyRestart, (chip, { sessionHandle }) => {
    const session = policySessionOf(chip, sessionHandle, 1);
    session.policy = freshPolicy(session.hash);
    return {};
  }),

  handler(TPM2_PolicySecret, (chip, request) => {
    const { authHandle, policySession, nonceTPM, cpHashA, policyRef, expiration } = request;
    const { name } = entityOf(chip, authHandle, 1);
    const session = policySessionOf(chip, policySession, 2);
    const { policy } = session;
    if (session.type === 'policy') {
      if (nonceTPM.length > 0 && !equal(nonceTPM, session.nonceTpm)) throw parameterRefused(RC.NONCE, 1);
      if (cpHashA.length > 0) {
        if (cpHashA.length !== digestSize(session.hash)) throw parameterRefused(RC.SIZE, 2);
        if (policy.cpHash !== undefined && !equal(policy.cpHash, cpHashA)) throw new Refusal(RC.CPHASH);
      }
      if (expiration !== 0) {
        // With the session's nonce it counts from the session's start, without from the TPM's (Part 3 §23.2.4).
        const from = nonceTPM.length > 0 ? session.startedAt : 0;
        const until = from + Math.abs(expiration) * 1000;
        if (until < chip.time) throw parameterRefused(RC.EXPIRED, 4);
        policy.expiresAt = Math.min(until, policy.expiresAt ?? until);
      }
      if (cpHashA.length > 0) policy.cpHash = cpHashA;
    }
    update(session, TPM2_PolicySecret.code, name);
    policy.digest = digest(session.hash, policy.digest, policyRef);
    return { timeout: new Uint8Array(), policyTicket: emptyTicket('authSecret') };
  }),

  handler(TPM2_PolicyOR, (chip, { policySession, pHashList }) => {
    const session = policySessionOf(chip, policySession, 1);
    if (pHashList.length < 2) throw parameterRefused(RC.VALUE, 1);
    const met = pHashList.some((branch) => equal(branch, session.policy.digest));
    if (session.type === 'policy' && !met) throw parameterRefused(RC.VALUE, 1);
    session.policy.digest = new Uint8Array(digestSize(session.hash));
    update(session, TPM2_PolicyOR.code, ...pHashList);
    return {};
  }),

  handler(TPM2_PolicyPCR, (chip, { policySession, pcrDigest: expected, pcrs }) => {
    const session = policySessionOf(chip, policySession, 1);
    const actual = pcrDigest(chip.banks, session.hash, pcrs);
    let used = actual;
    if (session.type === 'trial') {
      if (expected.length > 0) used = expected;
    } else {
      if (expected.length > 0 && !equal(expected, actual)) throw parameterRefused(RC.VALUE, 1);
      if (session.policy.pcrCounter !== undefined && session.policy.pcrCounter !== chip.pcrUpdateCounter)
        throw new Refusal(RC.PCR_CHANGED);
      session.policy.pcrCounter = chip.pcrUpdateCounter;
    }
    update(session, TPM2_PolicyPCR.code, encode(TPML_PCR_SELECTION, allocated(chip.banks, pcrs)), used);
    return {};
  }),

  handler(TPM2_PolicyCommandCode, (chip, { policySession, code }) => {
    const session = policySessionOf(chip, policySession, 1);
    const { policy } = session;
    if (policy.commandCode !== undefined && policy.commandCode !== code) throw parameterRefused(RC.VALUE, 1);
    if (commandByCode(code) === undefined) throw parameterRefused(RC.POLICY_CC, 1);
    update(session, TPM2_PolicyCommandCode.code, u32(code));
    policy.commandCode = code;
    return {};
  }),

  handler(TPM2_PolicyAuthValue, (chip, { policySession }) => {
    const session = policySessionOf(chip, policySession, 1);
    update(session, TPM2_PolicyAuthValue.code);
    session.policy.authValueNeeded = true;
    session.policy.passwordNeeded = false;
    return {};
  }),

  // The digest is that of PolicyAuthValue: whether the value comes in clear or in an HMAC is the caller's choice.
  handler(TPM2_PolicyPassword, (chip, { policySession }) => {
    const session = policySessionOf(chip, policySession, 1);
    update(session, TPM2_PolicyAuthValue.code);
    session.policy.authValueNeeded = false;
    session.policy.passwordNeeded = true;
    return {};
  }),

  handler(TPM2_PolicyGetDigest, (chip, { policySession }) => ({
    policyDigest: policySessionOf(chip, policySession, 1).policy.digest,
  })),
];

/** policyDigest = H(policyDigest ‖ commandCode ‖ arguments). */
function update({ hash, policy }: Session, code: number, ...parts: readonly Uint8Array[]): void {
  policy.digest = digest(hash, policy.digest, u32(code), concat(...parts));
}
