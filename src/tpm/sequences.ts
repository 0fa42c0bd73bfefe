import { equal } from '../core/bytes.ts';
import { inputBufferMax } from './basics.ts';
import { withAuthorizations } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { Tpm } from './client/tpm.ts';
import {
  TPM2_HashSequenceStart,
  TPM2_HMAC_Start,
  TPM2_SequenceComplete,
  TPM2_SequenceUpdate,
} from './commands/sequence.ts';
import { TPM2_Sign } from './commands/signing.ts';
import { TpmUntrusted } from './errors.ts';
import { digest as hashed } from './kdf.ts';
import type { Hierarchy, TpmObject } from './objects.ts';
import { flush } from './objects.ts';
import type { TPMI_ALG_HASH } from './structures/algorithms.ts';
import { TPM_RH } from './structures/handles.ts';
import type { TPMT_TK } from './structures/sessions.ts';
import type { TPMT_SIGNATURE } from './structures/signatures.ts';
import { verifyTpmSignature } from './verify.ts';

const none = new Uint8Array(0);

/** A digest, and the TPM's word that it made it itself: what a restricted key needs to sign it. */
export interface TpmDigest {
  readonly digest: Uint8Array;
  /** Of no use (hierarchy `null`) when the data begins, or might begin, as what the TPM itself says does. */
  readonly ticket: TPMT_TK;
}

/**
 * Hashes data of any length in the TPM (TPM2_HashSequenceStart and on), piece by piece, for the ticket.
 *
 * @throws {TpmUntrusted} `digest`: the TPM gives a digest that the data does not have.
 */
export async function hashInTpm(
  tpm: Tpm,
  data: Uint8Array,
  options: { readonly hash?: TPMI_ALG_HASH | undefined; readonly hierarchy?: Hierarchy | undefined } = {},
): Promise<TpmDigest> {
  const hash = options.hash ?? 'sha256';
  const start = async () =>
    (await run(tpm, TPM2_HashSequenceStart, { auth: none, hashAlg: hash })).sequenceHandle;
  const { result, validation } = await sequence(tpm, start, data, options.hierarchy ?? 'owner');
  if (!equal(result, hashed(hash, data)))
    throw new TpmUntrusted('digest', 'the TPM gives a digest that the data does not have');
  return { digest: result, ticket: validation };
}

/** The HMAC of data of any length under a key in the TPM (TPM2_HMAC_Start and on), by the key's own hash. */
export async function hmacInTpm(tpm: Tpm, key: TpmObject, data: Uint8Array): Promise<Uint8Array> {
  const needs = [{ by: 'auth', auth: key.auth } as const];
  const start = async () => {
    const begun = await withAuthorizations(tpm, needs, (authorizations) =>
      run(tpm, TPM2_HMAC_Start, { handle: key, auth: none, hashAlg: 'null' }, { authorizations }),
    );
    return begun.sequenceHandle;
  };
  return (await sequence(tpm, start, data, 'null')).result;
}

/**
 * The signature of `key` over a message of any length. Restricted keys (IAK, LAK) sign it too, unless it looks like
 * something the TPM itself said.
 *
 * @throws {TpmUntrusted} `signature`: the TPM gives a signature that does not verify.
 * @throws {TpmRefused} TICKET: a restricted key, and data that begins ff544347 or is shorter than these four bytes.
 */
export async function signMessage(
  tpm: Tpm,
  key: TpmObject,
  data: Uint8Array,
  options: { readonly hash?: TPMI_ALG_HASH | undefined } = {},
): Promise<TPMT_SIGNATURE> {
  const { scheme, hash } = schemeOf(key, options.hash);
  const { digest, ticket } = await hashInTpm(tpm, data, { hash });
  const needs = [{ by: 'auth', auth: key.auth } as const];
  const { signature } = await withAuthorizations(tpm, needs, (authorizations) =>
    run(
      tpm,
      TPM2_Sign,
      { keyHandle: key, digest, inScheme: { scheme, hashAlg: hash }, validation: ticket },
      { authorizations },
    ),
  );
  if (!verifyTpmSignature(key.public, data, signature))
    throw new TpmUntrusted('signature', 'the TPM gives a signature that does not verify');
  return signature;
}

/** The key's own scheme, or the usual one of its kind. */
function schemeOf(
  key: TpmObject,
  hash: TPMI_ALG_HASH = 'sha256',
): { readonly scheme: 'ecdsa' | 'rsassa' | 'rsapss'; readonly hash: TPMI_ALG_HASH } {
  const area = key.public;
  if (area.type !== 'ecc' && area.type !== 'rsa') throw new TypeError('`key` must be an RSA or ECC key');
  const own = area.parameters.scheme;
  if (own.scheme === 'ecdsa' || own.scheme === 'rsassa' || own.scheme === 'rsapss')
    return { scheme: own.scheme, hash: own.hashAlg };
  if (own.scheme !== 'null') throw new TypeError(`\`key\` has the scheme \`${own.scheme}\``);
  return { scheme: area.type === 'ecc' ? 'ecdsa' : 'rsassa', hash };
}

/** Feeds a sequence and completes it; on any failure the TPM forgets it. */
async function sequence(
  tpm: Tpm,
  start: () => Promise<number>,
  data: Uint8Array,
  hierarchy: Hierarchy,
): Promise<{ readonly result: Uint8Array; readonly validation: TPMT_TK }> {
  const handle = await start();
  const sequenceHandle = { handle, name: none }; // it has no public area, hence an empty Name
  try {
    const size = inputBufferMax(tpm);
    let at = 0;
    for (; data.length - at > size; at += size)
      await run(tpm, TPM2_SequenceUpdate, { sequenceHandle, buffer: data.subarray(at, at + size) });
    const buffer = data.subarray(at);
    return await run(tpm, TPM2_SequenceComplete, { sequenceHandle, buffer, hierarchy: TPM_RH[hierarchy] });
  } catch (error) {
    await flush(tpm, sequenceHandle).catch(() => {});
    throw error;
  }
}
