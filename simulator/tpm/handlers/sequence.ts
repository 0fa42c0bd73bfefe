import {
  TPM2_EventSequenceComplete,
  TPM2_HashSequenceStart,
  TPM2_HMAC,
  TPM2_HMAC_Start,
  TPM2_SequenceComplete,
  TPM2_SequenceUpdate,
} from '../../../src/tpm/commands.ts';
import type { TPMI_ALG_HASH_NULL } from '../../../src/tpm/structures.ts';
import { withoutTrailingZeros } from '../create.ts';
import type { HashAlgorithm } from '../crypto/hash.ts';
import { hmac } from '../crypto/hash.ts';
import { objectOf, sequenceOf } from '../entity.ts';
import { handler } from '../handler.ts';
import { needInputBuffer } from '../limits.ts';
import type { Machine } from '../machine.ts';
import type { LoadedObject } from '../object.ts';
import { algorithmId, hierarchyOf } from '../object.ts';
import { handleRefused, parameterRefused, RC } from '../refusal.ts';
import type { Sequence } from '../sequence.ts';
import { eventSequence, finishSequence, hashSequence, hmacSequence, updateSequence } from '../sequence.ts';
import { takeSequenceSlot } from '../slots.ts';
import { emptyTicket, makeTicket } from '../tickets.ts';
import { recordEvent } from './pcr.ts';

/** Part 3 §15.5 and §17: HMAC, and data that comes in pieces. */
export const sequenceHandlers = [
  handler(TPM2_HMAC, (chip, { handle, buffer, hashAlg }) => {
    needInputBuffer(buffer, 1);
    const { hash, key } = hmacKeyOf(objectOf(chip, handle, 1), hashAlg, 2);
    return { outHMAC: hmac(hash, key, buffer) };
  }),

  handler(TPM2_HMAC_Start, (chip, { handle, auth, hashAlg }) => {
    const { hash, key } = hmacKeyOf(objectOf(chip, handle, 1), hashAlg, 2);
    return started(chip, hmacSequence(hash, key, withoutTrailingZeros(auth)));
  }),

  handler(TPM2_HashSequenceStart, (chip, { auth, hashAlg }) => {
    const secret = withoutTrailingZeros(auth);
    return started(chip, hashAlg === 'null' ? eventSequence(secret) : hashSequence(hashAlg, secret));
  }),

  handler(TPM2_SequenceUpdate, (chip, { sequenceHandle, buffer }) => {
    needInputBuffer(buffer, 1);
    const sequence = sequenceOf(chip, sequenceHandle);
    if (sequence === undefined) throw handleRefused(RC.MODE, 1);
    updateSequence(sequence, buffer);
    return {};
  }),

  handler(TPM2_SequenceComplete, (chip, { sequenceHandle, buffer, hierarchy }) => {
    needInputBuffer(buffer, 1);
    const under = hierarchyOf(hierarchy);
    if (under === undefined) throw parameterRefused(RC.VALUE, 2);
    const sequence = sequenceOf(chip, sequenceHandle);
    if (sequence === undefined || sequence.kind === 'event') throw handleRefused(RC.MODE, 1);
    updateSequence(sequence, buffer);
    const [last] = finishSequence(sequence);
    if (last === undefined) throw handleRefused(RC.MODE, 1);
    chip.sequences.delete(sequenceHandle);
    const { hashAlg, digest: result } = last;
    // Of an HMAC there is nothing to sign, and of what might be an attestation nothing may be signed.
    const signable = sequence.kind === 'hash' && sequence.safe === true && under !== 'null';
    return {
      result,
      validation: signable
        ? makeTicket(chip, 'hashcheck', under, algorithmId(hashAlg), result)
        : emptyTicket('hashcheck'),
    };
  }),

  handler(TPM2_EventSequenceComplete, (chip, { pcrHandle, sequenceHandle, buffer }) => {
    needInputBuffer(buffer, 1);
    const sequence = sequenceOf(chip, sequenceHandle);
    if (sequence?.kind !== 'event') throw handleRefused(RC.MODE, 2);
    const results = recordEvent(chip, pcrHandle, () => {
      updateSequence(sequence, buffer);
      return finishSequence(sequence);
    });
    chip.sequences.delete(sequenceHandle);
    return { results };
  }),
];

function started(chip: Machine, sequence: Sequence) {
  return { sequenceHandle: takeSequenceSlot(chip, sequence) };
}

/** The key and hash of an HMAC: the hash the key is for, else the caller's, which is parameter `parameter`. */
function hmacKeyOf(
  { publicArea, sensitive }: LoadedObject,
  asked: TPMI_ALG_HASH_NULL,
  parameter: number,
): { readonly hash: HashAlgorithm; readonly key: Uint8Array } {
  if (publicArea.type !== 'keyedhash' || sensitive === undefined) throw handleRefused(RC.TYPE, 1);
  const { scheme } = publicArea.parameters;
  const own = scheme.scheme === 'null' ? 'null' : scheme.hashAlg;
  const hash = own === 'null' ? asked : own;
  if (hash === 'null' || (asked !== 'null' && asked !== hash)) throw parameterRefused(RC.VALUE, parameter);
  if (publicArea.objectAttributes.restricted) throw handleRefused(RC.ATTRIBUTES, 1);
  if (!publicArea.objectAttributes.sign) throw handleRefused(RC.KEY, 1);
  return { hash, key: sensitive.sensitive };
}
