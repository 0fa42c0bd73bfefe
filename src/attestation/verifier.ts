import { base64url, equal, hex } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { signJws } from '../core/jws.ts';
import type { Signer } from '../core/signer.ts';
import type { TPMS_ATTEST } from '../tpm/index.ts';
import { pcrDigest, readAttest, readSignature } from '../tpm/index.ts';
import type { CmwRecord } from './cmw.ts';
import type { AttestationCheck } from './errors.ts';
import { AppraisalRefused } from './errors.ts';
import type { Evidence } from './evidence.ts';
import { decodeEvidence } from './evidence.ts';
import type { AppraisalPolicy, ReferenceValues } from './reference.ts';
import { policyName } from './reference.ts';
import type { EarStatus, TrustVector } from './results.ts';
import { EAR_PROFILE, EAR_SUBMODULE, EAR_TYP, isAtLeast, tierOf } from './results.ts';
import { current, replay } from './runtime-log.ts';
import type { TpmPublic } from './tpm-key.ts';
import { signedBy } from './tpm-key.ts';

/** What a verifier (RATS) is made from; server side. */
export interface VerifierOptions {
  /** Signs results; in bundles with use `fealty/verifier`. */
  readonly signer: Signer;
  /** `iss` of results: the authority's base URL. */
  readonly issuer: string;
  /** Version of this software, for `ear_verifier_id`. */
  readonly build: string;
  /** Asked at each appraisal, so that an owner's approval counts at once. */
  readonly reference: () => ReferenceValues;
  readonly policy: () => AppraisalPolicy;
}

/** The TPM's own idea of its past, kept between attestations by the same key. */
export interface TpmClock {
  /** Milliseconds, decimal. */
  readonly clock: string;
  readonly resetCount: number;
  readonly restartCount: number;
}

/** What is to be appraised, and what it is to be about. */
export interface AppraisalRequest {
  readonly evidence: CmwRecord;
  /** The attestation key, proven restricted and fixedTPM by the caller: IAK at enrolment, LAK afterwards. */
  readonly key: TpmPublic;
  /** What the quote's `extraData` must be. */
  readonly qualifier: Uint8Array;
  /** The nonce the verifier gave, for the result. */
  readonly nonce: Uint8Array;
  readonly agentId: string;
  /** Thumbprint of the LDevID key. */
  readonly ldevid: string;
  /** The AIBOM that was accepted: its digest and the SHA-256 (hex) of its components. */
  readonly aibom: { readonly digest: Uint8Array; readonly hashes: ReadonlySet<string> };
  /** The TPM's clock at the last attestation *by the same key*; another key's is obfuscated by the TPM. */
  readonly previous?: TpmClock | undefined;
  /** False for a simulated TPM: nothing is then said about hardware. */
  readonly genuineHardware: boolean;
  /** Now, milliseconds since 1970. */
  readonly at: number;
}

/** What came out. */
export interface Appraisal {
  /** The attestation result, a signed EAR. */
  readonly ear: string;
  readonly status: EarStatus;
  readonly clock: TpmClock;
}

/** A RATS verifier: it chooses what is quoted, appraises evidence and signs results. */
export interface Verifier {
  /** PCRs of the SHA-256 bank that an attester must quote, ascending. */
  selection(): readonly number[];
  /** @throws {AppraisalRefused} naming the check. */
  appraise(request: AppraisalRequest): Promise<Appraisal>;
}

/** A verifier. */
export function createVerifier(options: VerifierOptions): Verifier {
  const selection = () => {
    const { pcrs, runtimePcr, measuredChain } = options.policy();
    return [...new Set([...pcrs, ...measuredChain, runtimePcr])].sort((a, b) => a - b);
  };
  return {
    selection,
    appraise: async (request) => {
      const policy = options.policy();
      const reference = options.reference();
      const evidence = formed(() => decodeEvidence(request.evidence));
      const attested = judgeQuote(request, evidence, selection());
      judgeLog(evidence, policy);
      judgeAibom(request, evidence);
      const vector = appraise(request, evidence, policy, reference);
      const clock = judgeClock(attested, request.previous);
      const status = overall(vector);
      const iat = Math.floor(request.at / 1000);
      const ear = await signJws(options.signer, EAR_TYP, {
        eat_profile: EAR_PROFILE,
        iss: options.issuer,
        sub: request.agentId,
        cnf: { jkt: request.ldevid },
        iat,
        exp: iat + policy.resultLifeS,
        eat_nonce: base64url(request.nonce),
        ear_verifier_id: { developer: 'fealty', build: options.build },
        submods: {
          [EAR_SUBMODULE]: {
            ear_status: status,
            ear_trustworthiness_vector: vector,
            ear_appraisal_policy_ids: [policyName(policy, reference)],
          },
        },
      });
      return { ear, status, clock };
    },
  };
}

function refuse(check: AttestationCheck, message: string): never {
  throw new AppraisalRefused(check, message);
}

function formed<T>(read: () => T, check: AttestationCheck = 'evidence-form'): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof Malformed) throw new AppraisalRefused(check, cause.message, { cause });
    throw cause;
  }
}

function judgeQuote(
  request: AppraisalRequest,
  evidence: Evidence,
  selection: readonly number[],
): TPMS_ATTEST {
  const { key, qualifier } = request;
  if (!formed(() => signedBy(key, evidence.quote, evidence.signature), 'quote-signature'))
    refuse('quote-signature', 'the attestation key did not sign it');
  const attested = formed(() => readAttest(evidence.quote), 'quote-form');
  if (attested.type !== 'attestQuote') refuse('quote-form', 'it attests something else');
  if (!equal(attested.extraData, qualifier))
    refuse('quote-nonce', 'it answers another challenge, or is about other keys');
  const [bank, ...more] = attested.attested.pcrSelect;
  if (more.length > 0 || bank?.hash !== 'sha256' || bank.pcrSelect.join() !== selection.join())
    refuse('pcr-selection', 'it covers other PCRs than the verifier chose');
  if ([...evidence.pcrs.keys()].sort((a, b) => a - b).join() !== selection.join())
    refuse('pcr-selection', 'the values are of other PCRs');
  const values = selection.map((index) => evidence.pcrs.get(index) ?? new Uint8Array(0));
  const signature = readSignature(evidence.signature);
  // The digest is made with the hash of the signature (Part 3 §18.4).
  if (!('hash' in signature) || !equal(attested.attested.pcrDigest, pcrDigest(signature.hash, values)))
    refuse('pcr-digest', 'the PCR values are not those quoted');
  return attested;
}

function judgeLog(evidence: Evidence, policy: AppraisalPolicy): void {
  const quoted = evidence.pcrs.get(policy.runtimePcr);
  if (quoted === undefined || !equal(quoted, replay(evidence.runtimeLog)))
    refuse('pcr-replay', `the runtime log does not give PCR ${policy.runtimePcr}`);
}

function judgeAibom(request: AppraisalRequest, evidence: Evidence): void {
  if (!equal(evidence.aibom, request.aibom.digest))
    refuse('aibom-digest', 'the evidence is about another AIBOM');
  for (const { kind, name, digest } of evidence.runtimeLog)
    if (kind === 'model' && !request.aibom.hashes.has(digest))
      refuse('aibom-digest', `model \`${name}\` is not in the AIBOM`);
}

/** Compares with the reference values; AR4SI values are those of draft-ietf-rats-ar4si §2.3.4. */
function appraise(
  request: AppraisalRequest,
  evidence: Evidence,
  policy: AppraisalPolicy,
  reference: ReferenceValues,
): TrustVector {
  let unknown = false;
  for (const index of new Set([...policy.pcrs, ...policy.measuredChain])) {
    const accepted = reference.pcrs[String(index)];
    const value = evidence.pcrs.get(index);
    if (accepted === undefined) {
      if (policy.unknown === 'refuse') refuse('reference-values', `nobody approved a value of PCR ${index}`);
      unknown = true;
    } else if (value === undefined || !accepted.includes(hex(value))) {
      refuse('reference-values', `PCR ${index} has a value nobody approved`);
    }
  }
  // Everything that ran since the machine started counts: what ran before the last restart may have changed the rest.
  for (const { kind, name, digest } of evidence.runtimeLog) {
    if (kind === 'start') continue;
    const known = reference.measurements.filter((one) => one.kind === kind && one.name === name);
    if (known.length === 0) {
      if (policy.unknown === 'refuse') refuse('reference-values', `nobody approved ${kind} \`${name}\``);
      unknown = true;
    } else if (!known.some((one) => one.digests.includes(digest))) {
      refuse('reference-values', `${kind} \`${name}\` was changed`);
    }
  }
  const running = current(evidence.runtimeLog);
  for (const kind of policy.required)
    if (!running.some((entry) => entry.kind === kind))
      refuse('reference-values', `the agent did not measure its ${kind}`);
  // The agent measures itself, so its log proves nothing about its code unless everything below it is measured too.
  const chained =
    policy.measuredChain.length > 0 &&
    policy.measuredChain.every((index) => reference.pcrs[String(index)] !== undefined);
  return {
    'instance-identity': 2,
    configuration: unknown ? 36 : 2,
    ...(chained ? { executables: unknown ? 33 : 2 } : {}),
    ...(request.genuineHardware ? { hardware: 2 } : {}),
  };
}

function overall(vector: TrustVector): EarStatus {
  const tiers = Object.values(vector)
    .map(tierOf)
    .filter((tier) => tier !== 'none');
  return tiers.reduce<EarStatus>((worst, tier) => (isAtLeast(tier, worst) ? worst : tier), 'affirming');
}

function judgeClock(attested: TPMS_ATTEST, previous: TpmClock | undefined): TpmClock {
  const { clock, resetCount, restartCount } = attested.clockInfo;
  if (previous !== undefined) {
    const back =
      resetCount < previous.resetCount ||
      (resetCount === previous.resetCount &&
        (restartCount < previous.restartCount ||
          (restartCount === previous.restartCount && clock < BigInt(previous.clock))));
    if (back) refuse('tpm-clock', 'the TPM went back in time: an old quote, or a restored state');
  }
  return { clock: clock.toString(), resetCount, restartCount };
}
