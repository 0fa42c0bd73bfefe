import { equal } from '../core/bytes.ts';
import type { Attestation } from './attestation.ts';
import type { AuditTrail } from './client/authorization.ts';
import type { Need } from './client/authorize.ts';
import { withAuthorizations } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { Session } from './client/session.ts';
import type { Tpm } from './client/tpm.ts';
import { encode } from './codec.ts';
import { TPM2_GetSessionAuditDigest } from './commands/signing.ts';
import type { PolicyAuth } from './device-key-roles.ts';
import { AttestationRefused } from './errors.ts';
import { digestSize, digest as hashed } from './kdf.ts';
import type { TpmObject } from './objects.ts';
import type { TPMI_ALG_HASH } from './structures/algorithms.ts';
import type { TPMS_ATTEST } from './structures/attest.ts';
import { TPM_RH } from './structures/handles.ts';
import { TPMT_SIGNATURE } from './structures/signatures.ts';
import type { Expected } from './verify.ts';
import { verifyAttestation } from './verify.ts';

/**
 * The audit digest of a session as we compute it (Part 1 §19.8): hand it to `using(session, { audit: trail })` with every
 * command that the session audits, and to `attestAudit` at the end.
 */
export class SessionAudit implements AuditTrail {
  readonly hash: TPMI_ALG_HASH;
  #digest: Uint8Array;
  #asked: { readonly cpHash: Uint8Array; readonly before: Uint8Array } | undefined;

  constructor(hash: TPMI_ALG_HASH = 'sha256') {
    this.hash = hash;
    this.#digest = new Uint8Array(digestSize(hash));
  }

  /** What the TPM must have now. */
  get digest(): Uint8Array {
    return this.#digest;
  }

  asked(cpHash: Uint8Array, reset: boolean): void {
    const before = reset ? new Uint8Array(digestSize(this.hash)) : this.#digest;
    this.#asked = { cpHash, before };
  }

  answered(rpHash: Uint8Array): void {
    if (this.#asked === undefined) throw new TypeError('an answer nobody asked for');
    this.#digest = hashed(this.hash, this.#asked.before, this.#asked.cpHash, rpHash);
    this.#asked = undefined;
  }
}

/**
 * TPM2_GetSessionAuditDigest: `signer` says which exchanges the session audited. It is checked against `trail` before it
 * is given out.
 *
 * @throws {AttestationRefused} `audit-digest`: the TPM saw other commands, or gave other answers, than we did.
 */
export async function attestAudit(
  tpm: Tpm,
  session: Session,
  trail: SessionAudit,
  options: { readonly signer: TpmObject; readonly qualifyingData: Uint8Array } & PolicyAuth,
): Promise<Attestation & { readonly exclusive: boolean }> {
  const { signer, qualifyingData, endorsementAuth } = options;
  const needs: Need[] = [
    { by: 'auth', auth: endorsementAuth },
    { by: 'auth', auth: signer.auth },
  ];
  const { auditInfo, signature } = await withAuthorizations(tpm, needs, (authorizations) =>
    run(
      tpm,
      TPM2_GetSessionAuditDigest,
      {
        privacyAdminHandle: TPM_RH.endorsement,
        signHandle: signer,
        sessionHandle: session.handle,
        qualifyingData,
        inScheme: { scheme: 'null' },
      },
      { authorizations },
    ),
  );
  const attestation = { attest: auditInfo, signature: encode(TPMT_SIGNATURE, signature) };
  const { attested } = verifyAudit({
    key: signer.public,
    ...attestation,
    qualifyingData,
    digest: trail.digest,
  });
  return { ...attestation, exclusive: attested.exclusiveSession === 'yes' };
}

/** An attestation of an audit session with this digest. @throws {AttestationRefused} `audit-digest`, and as elsewhere. */
export function verifyAudit(
  expected: Omit<Expected<'attestSessionAudit'>, 'type'> & { readonly digest: Uint8Array },
): Extract<TPMS_ATTEST, { readonly type: 'attestSessionAudit' }> {
  const attest = verifyAttestation({ ...expected, type: 'attestSessionAudit' });
  if (!equal(attest.attested.sessionDigest, expected.digest))
    throw new AttestationRefused('audit-digest', 'the session audited other commands or answers');
  return attest;
}
