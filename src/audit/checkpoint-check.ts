import { fromBase64url, hex } from '../core/bytes.ts';
import { BadSignature, FealtyError, Malformed, messageOf } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { Json, JsonObject } from '../core/json.ts';
import type { PublicJwk } from '../core/signer.ts';
import { verifySignature } from '../core/signer.ts';
import type { TPMT_PUBLIC } from '../tpm/index.ts';
import { verifyAttestation } from '../tpm/index.ts';
import type { LogHead } from './checkpoint.ts';
import { checkpointInput } from './checkpoint.ts';
import type { Line } from './record.ts';

/** Who may have signed a log's checkpoints. */
export interface CheckpointKeys {
  /** Keys of signed checkpoints: the LDevID, the authority's log key. */
  readonly signers?: readonly { readonly kid: string; readonly jwk: PublicJwk }[] | undefined;
  /** Attestation keys (LAK) of TPM checkpoints. Their attributes are checked; whose they are, the caller knows. */
  readonly attestationKeys?: readonly TPMT_PUBLIC[] | undefined;
  /** Name (hex) of the NV counter. Default: that of the log's first TPM checkpoint. */
  readonly counterName?: string | undefined;
}

/** A counter's value as a TPM certified it. */
export interface ProvenCounter {
  /** Name of the NV index, hex. */
  readonly name: string;
  readonly value: bigint;
}

/** Whether `evidence` proves `checkpoint`: nothing when it does by signature, the counter when it does by TPM, or why not. */
export function checkEvidence(
  checkpoint: Line,
  evidence: JsonObject,
  keys: CheckpointKeys,
): { readonly counter: ProvenCounter | undefined } | { readonly why: string } {
  const { record, hash } = checkpoint;
  const head: LogHead = { index: record.index, hash };
  try {
    switch (record.detail?.['method']) {
      case 'signature':
        return bySignature(head, evidence, keys);
      case 'tpm':
        return byTpm(head, evidence, keys);
      default:
        return { why: 'a checkpoint of a method nobody knows' };
    }
  } catch (error) {
    if (error instanceof FealtyError) return { why: `the checkpoint does not verify: ${messageOf(error)}` };
    throw error;
  }
}

function bySignature(
  head: LogHead,
  evidence: JsonObject,
  keys: CheckpointKeys,
): { counter: undefined } | { why: string } {
  const { kid, signature, ...more } = evidence;
  if (Object.keys(more).length > 0) return { why: 'the evidence has other members' };
  const key = keys.signers?.find((signer) => signer.kid === kid);
  if (key === undefined) return { why: 'the checkpoint is signed by a key that is not known here' };
  if (!verifySignature(key.jwk, checkpointInput(head), bytesOf(signature)))
    return { why: 'the signature of the checkpoint does not verify' };
  return { counter: undefined };
}

function byTpm(
  head: LogHead,
  evidence: JsonObject,
  keys: CheckpointKeys,
): { counter: ProvenCounter } | { why: string } {
  const { attest, signature, ...more } = evidence;
  if (Object.keys(more).length > 0) return { why: 'the evidence has other members' };
  const expected = {
    attest: bytesOf(attest),
    signature: bytesOf(signature),
    type: 'attestNv',
    qualifyingData: sha256(checkpointInput(head)),
  } as const;
  for (const key of keys.attestationKeys ?? []) {
    try {
      const { attested } = verifyAttestation({ ...expected, key });
      const { nvContents, offset, indexName } = attested;
      if (nvContents.length !== 8 || offset !== 0) return { why: 'the checkpoint certifies no counter' };
      const name = hex(indexName);
      if (keys.counterName !== undefined && name !== keys.counterName)
        return { why: 'the checkpoint certifies another counter' };
      return { counter: { name, value: BigInt(`0x${hex(nvContents)}`) } };
    } catch (error) {
      if (!(error instanceof BadSignature)) throw error; // perhaps another of the keys signed it
    }
  }
  return { why: 'the checkpoint is signed by no attestation key known here' };
}

function bytesOf(value: Json | undefined): Uint8Array {
  if (typeof value !== 'string') throw new Malformed('the evidence is not text');
  return fromBase64url(value);
}
