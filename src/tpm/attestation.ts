import { withAuthorizations } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { Tpm } from './client/tpm.ts';
import { encode } from './codec.ts';
import { TPM2_ActivateCredential } from './commands/object.ts';
import { TPM2_Certify, TPM2_GetTime, TPM2_NV_Certify, TPM2_Quote } from './commands/signing.ts';
import type { PolicyAuth } from './device-key-roles.ts';
import { adminNeed, byAuth, endorsementNeed } from './device-key-roles.ts';
import type { NvIndex } from './nv.ts';
import type { TpmObject } from './objects.ts';
import { TPM_RH } from './structures/handles.ts';
import type { TPML_PCR_SELECTION } from './structures/pcr.ts';
import { TPMT_SIGNATURE } from './structures/signatures.ts';

/** An attestation as it travels: what the TPM said, and the signature over it. */
export interface Attestation {
  /** TPMS_ATTEST; `readAttest` takes it apart. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE; `readSignature` takes it apart. */
  readonly signature: Uint8Array;
}

/** Default qualifying data: none. */
const NOTHING = new Uint8Array(0);
const KEY_SCHEME = { scheme: 'null' } as const;

/**
 * TPM2_Quote: the PCRs named by `pcrs`, as they are now, signed by `signer` (IAK or LAK).
 *
 * @param options.qualifyingData at most 32 bytes: hash what is longer.
 */
export async function quote(
  tpm: Tpm,
  signer: TpmObject,
  options: { readonly qualifyingData: Uint8Array; readonly pcrs: TPML_PCR_SELECTION },
): Promise<Attestation> {
  const qualifyingData = atMost32(options.qualifyingData);
  return await withAuthorizations(tpm, [byAuth(signer)], async (authorizations) => {
    const { quoted, signature } = await run(
      tpm,
      TPM2_Quote,
      { signHandle: signer, qualifyingData, inScheme: KEY_SCHEME, PCRselect: options.pcrs },
      { authorizations },
    );
    return { attest: quoted, signature: encode(TPMT_SIGNATURE, signature) };
  });
}

/**
 * TPM2_Certify: `signer` says that `object` (its Name: its attributes, its public key) is in the same TPM. Device keys,
 * which demand it, are certified by the policy of their templates.
 */
export async function certify(
  tpm: Tpm,
  options: {
    readonly object: TpmObject;
    readonly signer: TpmObject;
    readonly qualifyingData?: Uint8Array | undefined;
  } & PolicyAuth,
): Promise<Attestation> {
  const { object, signer } = options;
  const qualifyingData = atMost32(options.qualifyingData ?? NOTHING);
  const needs = [adminNeed(tpm, object, TPM2_Certify.code, options), byAuth(signer)];
  return await withAuthorizations(tpm, needs, async (authorizations) => {
    const { certifyInfo, signature } = await run(
      tpm,
      TPM2_Certify,
      { objectHandle: object, signHandle: signer, qualifyingData, inScheme: KEY_SCHEME },
      { authorizations },
    );
    return { attest: certifyInfo, signature: encode(TPMT_SIGNATURE, signature) };
  });
}

/** TPM2_NV_Certify: `signer` says what `size` bytes at `offset` of the NV index are now. */
export async function nvCertify(
  tpm: Tpm,
  options: {
    readonly index: NvIndex;
    readonly signer: TpmObject;
    readonly qualifyingData?: Uint8Array | undefined;
    /** Default: the whole index. */
    readonly size?: number | undefined;
    /** Default: 0. */
    readonly offset?: number | undefined;
  },
): Promise<Attestation> {
  const { index, signer } = options;
  const qualifyingData = atMost32(options.qualifyingData ?? NOTHING);
  const needs = [byAuth(signer), { by: 'auth', auth: index.auth } as const];
  return await withAuthorizations(tpm, needs, async (authorizations) => {
    const { certifyInfo, signature } = await run(
      tpm,
      TPM2_NV_Certify,
      {
        signHandle: signer,
        authHandle: index,
        nvIndex: index,
        qualifyingData,
        inScheme: KEY_SCHEME,
        size: options.size ?? index.public.dataSize,
        offset: options.offset ?? 0,
      },
      { authorizations },
    );
    return { attest: certifyInfo, signature: encode(TPMT_SIGNATURE, signature) };
  });
}

/** TPM2_GetTime: `signer` says what the TPM's clock and counters are; by privacy of the endorsement hierarchy. */
export async function attestTime(
  tpm: Tpm,
  signer: TpmObject,
  options: { readonly qualifyingData: Uint8Array } & PolicyAuth,
): Promise<Attestation> {
  const qualifyingData = atMost32(options.qualifyingData);
  const needs = [{ by: 'auth', auth: options.endorsementAuth } as const, byAuth(signer)];
  return await withAuthorizations(tpm, needs, async (authorizations) => {
    const { timeInfo, signature } = await run(
      tpm,
      TPM2_GetTime,
      { privacyAdminHandle: TPM_RH.endorsement, signHandle: signer, qualifyingData, inScheme: KEY_SCHEME },
      { authorizations },
    );
    return { attest: timeInfo, signature: encode(TPMT_SIGNATURE, signature) };
  });
}

/** What MakeCredential made for a key (`ak`) in the TPM of an endorsement key. */
export interface CredentialChallenge {
  /** TPM2B_ID_OBJECT, without its size. */
  readonly credentialBlob: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET, without its size. */
  readonly secret: Uint8Array;
}

/**
 * TPM2_ActivateCredential: the secret in `challenge`, which the TPM gives out only if `ak` is in it and has the Name the
 * challenge was made for.
 *
 * @throws {TpmRefused} INTEGRITY: made for another key, or another TPM.
 */
export async function activateCredential(
  tpm: Tpm,
  options: {
    readonly ak: TpmObject;
    readonly ek: TpmObject;
    readonly challenge: CredentialChallenge;
  } & PolicyAuth,
): Promise<Uint8Array> {
  const { ak, ek, challenge } = options;
  const needs = [
    adminNeed(tpm, ak, TPM2_ActivateCredential.code, options),
    endorsementNeed(tpm, ek, options),
  ];
  return await withAuthorizations(tpm, needs, async (authorizations) => {
    const { certInfo } = await run(
      tpm,
      TPM2_ActivateCredential,
      {
        activateHandle: ak,
        keyHandle: ek,
        credentialBlob: challenge.credentialBlob,
        secret: challenge.secret,
      },
      { authorizations },
    );
    return certInfo;
  });
}

function atMost32(data: Uint8Array): Uint8Array {
  if (data.length > 32) throw new TypeError('`qualifyingData` must be at most 32 bytes: hash it');
  return data;
}
