import { equal } from '../core/bytes.ts';
import type { Attestation } from './attestation.ts';
import { attestTime, certify, nvCertify, quote } from './attestation.ts';
import type { Tpm } from './client/tpm.ts';
import { encode } from './codec.ts';
import type { PolicyAuth } from './device-key-roles.ts';
import { AttestationRefused } from './errors.ts';
import { nameOf } from './names.ts';
import type { NvIndex } from './nv.ts';
import type { TpmObject } from './objects.ts';
import { selectedPcrs } from './pcr.ts';
import type { TPMS_ATTEST, TPMS_TIME_INFO } from './structures/attest.ts';
import type { TPMT_PUBLIC } from './structures/keys.ts';
import type { TPML_PCR_SELECTION as PcrSelection } from './structures/pcr.ts';
import { TPML_PCR_SELECTION } from './structures/pcr.ts';
import type { Expected } from './verify.ts';
import { pcrDigest, readSignature, verifyAttestation } from './verify.ts';

// Attestations with everything they must say checked: by the verifier, and by the device before it hands them out.

type Signed = Omit<Expected<'attestQuote'>, 'type'>;
/** How often PCRs are read anew that change between reading and quoting. */
const ROUNDS_MAX = 5;

/**
 * A quote that names exactly `pcrs`, and whose digest is that of `values` (in the order of `selectedPcrs`).
 *
 * @throws {Malformed} @throws {BadSignature} @throws {AttestationRefused} `pcr-selection`, `pcr-digest`, and those of
 * `verifyAttestation`.
 */
export function verifyQuote(
  expected: Signed & { readonly pcrs: PcrSelection; readonly values: readonly Uint8Array[] },
): Extract<TPMS_ATTEST, { readonly type: 'attestQuote' }> {
  const attest = verifyAttestation({ ...expected, type: 'attestQuote' });
  const { pcrSelect, pcrDigest: told } = attest.attested;
  if (!equal(encode(TPML_PCR_SELECTION, pcrSelect), encode(TPML_PCR_SELECTION, expected.pcrs)))
    throw new AttestationRefused('pcr-selection', 'the quote is of other PCRs than were asked for');
  const signature = readSignature(expected.signature);
  const hash = 'hash' in signature ? signature.hash : 'sha256';
  if (!equal(told, pcrDigest(hash, expected.values)))
    throw new AttestationRefused('pcr-digest', 'the quote is of other values of the PCRs');
  return attest;
}

/** Reads `pcrs` and quotes them until both agree, and checks the quote. @throws {AttestationRefused} when they never do. */
export async function quotePcrs(
  tpm: Tpm,
  signer: TpmObject,
  options: { readonly qualifyingData: Uint8Array; readonly pcrs: PcrSelection },
): Promise<Attestation & { readonly values: readonly Uint8Array[] }> {
  for (let round = 1; ; round++) {
    const values = await selectedPcrs(tpm, options.pcrs);
    const quoted = await quote(tpm, signer, options);
    try {
      verifyQuote({ key: signer.public, ...quoted, ...options, values });
      return { ...quoted, values };
    } catch (error) {
      const changed = error instanceof AttestationRefused && error.check === 'pcr-digest';
      if (!changed || round === ROUNDS_MAX) throw error;
    }
  }
}

/** A certification of the object with this public area. @throws {AttestationRefused} `name`, and as above. */
export function verifyCertified(
  expected: Signed & { readonly object: TPMT_PUBLIC },
): Extract<TPMS_ATTEST, { readonly type: 'attestCertify' }> {
  const attest = verifyAttestation({ ...expected, type: 'attestCertify' });
  if (!equal(attest.attested.name, nameOf(expected.object)))
    throw new AttestationRefused('name', 'the TPM certifies another object');
  return attest;
}

/** `certify`, and `verifyCertified` what comes back. */
export async function certifyChecked(
  tpm: Tpm,
  options: {
    readonly object: TpmObject;
    readonly signer: TpmObject;
    readonly qualifyingData: Uint8Array;
  } & PolicyAuth,
): Promise<Attestation> {
  const certified = await certify(tpm, options);
  const { object, signer, qualifyingData } = options;
  verifyCertified({ key: signer.public, ...certified, qualifyingData, object: object.public });
  return certified;
}

/** The TPM's clock under the signature of an attestation key (TPM2_GetTime), checked. */
export async function timeAttested(
  tpm: Tpm,
  signer: TpmObject,
  options: { readonly qualifyingData: Uint8Array } & PolicyAuth,
): Promise<Attestation & { readonly time: TPMS_TIME_INFO }> {
  const timed = await attestTime(tpm, signer, options);
  const { qualifyingData } = options;
  const { attested } = verifyAttestation({
    key: signer.public,
    ...timed,
    type: 'attestTime',
    qualifyingData,
  });
  return { ...timed, time: attested.time };
}

/**
 * What an NV index holds under the signature of an attestation key (TPM2_NV_Certify). `index` is its Name.
 *
 * @throws {AttestationRefused} `nv-index`, `nv-offset`, and those of `verifyAttestation`.
 */
export function verifyNvCertified(
  expected: Signed & { readonly index: Uint8Array; readonly offset?: number | undefined },
): Uint8Array {
  const { attested } = verifyAttestation({ ...expected, type: 'attestNv' });
  if (!equal(attested.indexName, expected.index))
    throw new AttestationRefused('nv-index', 'the TPM certifies another NV index');
  if (attested.offset !== (expected.offset ?? 0))
    throw new AttestationRefused('nv-offset', 'the TPM certifies another part of the NV index');
  return attested.nvContents;
}

/** The value of a monotonic counter under the signature of an attestation key, checked. */
export async function counterReadCertified(
  tpm: Tpm,
  counter: NvIndex,
  options: { readonly signer: TpmObject; readonly qualifyingData: Uint8Array },
): Promise<Attestation & { readonly value: bigint }> {
  const { signer, qualifyingData } = options;
  const certified = await nvCertify(tpm, { index: counter, signer, qualifyingData });
  const key = signer.public;
  const content = verifyNvCertified({ key, ...certified, qualifyingData, index: counter.name });
  if (content.length !== 8) throw new AttestationRefused('nv-size', 'a counter must have eight bytes');
  return { ...certified, value: new DataView(content.buffer, content.byteOffset).getBigUint64(0) };
}
