import { base64url, concat, fromHex, u64 } from '../core/bytes.ts';
import type { JsonObject } from '../core/json.ts';
import { domainSeparated } from '../core/names.ts';
import type { Signer } from '../core/signer.ts';

/** The place in a log that a checkpoint proves. */
export interface LogHead {
  readonly index: number;
  /** SHA-256 (hex) of the record. */
  readonly hash: string;
}

/** Whoever can vouch for a log's head. */
export interface Checkpointer {
  readonly method: 'signature' | 'tpm';
  /** Evidence, as it stands in the log. */
  sign(head: LogHead): Promise<JsonObject>;
}

/** What a checkpoint signs: `domainSeparated('audit-checkpoint', u64(index) ‖ hash)`. */
export function checkpointInput(head: LogHead): Uint8Array {
  return domainSeparated('audit-checkpoint', concat(u64(head.index), fromHex(head.hash)));
}

/**
 * Checkpoints signed by a key: the authority's log key, or the LDevID where the TPM gives no counter.
 * They prove that nothing before them was changed; only a counter or a witness proves that nothing after was cut off.
 */
export function signedCheckpoints(signer: Signer): Checkpointer {
  return {
    method: 'signature',
    sign: async (head) => ({
      kid: signer.kid,
      signature: base64url(await signer.sign(checkpointInput(head))),
    }),
  };
}
