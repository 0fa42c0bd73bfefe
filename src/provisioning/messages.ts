import { cmwSchema } from '../attestation/cmw.ts';
import { v } from '../core/schema.ts';

/** Paths at the authority, all POST with JSON bodies. */
export const PATHS = {
  voucher: '/enrol/v1/voucher',
  begin: '/enrol/v1/begin',
  activate: '/enrol/v1/activate',
  challenge: '/enrol/v1/challenge',
  renew: '/enrol/v1/renew',
} as const;

/** Bounds, in bytes. */
export const LIMITS = {
  /** A whole request. */
  request: 768 * 1024,
  certificate: 8 * 1024,
  chain: 4,
  csr: 64 * 1024,
  aibom: 192 * 1024,
  evidence: 256 * 1024,
  jws: 16 * 1024,
} as const;

const b64 = (maxBytes: number, minBytes = 0) =>
  v.pipe(
    v.string(),
    v.minLength(Math.ceil((minBytes * 4) / 3)),
    v.maxLength(Math.ceil((maxBytes * 4) / 3)),
    v.regex(/^[A-Za-z0-9_-]*$/),
  );
const certificate = b64(LIMITS.certificate, 64);
const chain = v.pipe(v.array(certificate), v.minLength(1), v.maxLength(LIMITS.chain));
const compactJws = v.pipe(v.string(), v.maxLength(LIMITS.jws));
/** A serial number as makers print it: no control characters, at most 64. */
export const serialSchema = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._:+/-]{0,63}$/));
const jwk = v.strictObject({
  kty: v.literal('EC'),
  crv: v.literal('P-256'),
  x: b64(32, 32),
  y: b64(32, 32),
});

/** RFC 7515 general JSON serialisation with exactly one signature, as voucher-jws+json carries it. */
export const voucherSchema = v.strictObject({
  payload: b64(8 * 1024),
  signatures: v.strictTuple([v.strictObject({ protected: b64(12 * 1024), signature: b64(64, 64) })]),
});
/** A voucher on the wire (`application/voucher-jws+json`). */
export type VoucherJws = v.InferOutput<typeof voucherSchema>;

/** Message 0, to a server nobody has authenticated yet: it tells the serial number and a nonce, and nothing else. */
export const voucherRequestSchema = v.strictObject({
  'ietf-voucher-request:voucher': v.strictObject({
    'serial-number': serialSchema,
    'idevid-issuer': v.optional(v.pipe(v.string(), v.maxLength(64))),
    nonce: b64(32, 16),
  }),
});

/** Its answer. */
export const voucherAnswerSchema = v.strictObject({ voucher: voucherSchema });
/** {@link voucherAnswerSchema} */
export type VoucherAnswer = v.InferOutput<typeof voucherAnswerSchema>;

/** Message 1: what the device is. Byte strings are base64url, certificates DER, leaf first. */
export const beginSchema = v.strictObject({
  /** TCG-CSR-IDEVID: EK certificate, IAK and IDevID publics, the IAK's certification of the IDevID, signature. */
  csr: b64(LIMITS.csr, 64),
  /** Intermediates of the EK certificate that is in the CSR. */
  ekIntermediates: v.pipe(v.array(certificate), v.maxLength(2)),
  iakChain: chain,
  idevidChain: chain,
  /** CycloneDX JSON, the very bytes whose digest counts. */
  aibom: b64(LIMITS.aibom, 2),
  /** The voucher that made the device trust this owner. */
  voucher: voucherSchema,
  /** The provider's endorsement, compact JWS. */
  endorsement: compactJws,
  /** The owner's binding, compact JWS, when it travels with the device; else the authority has it. */
  binding: v.optional(compactJws),
});
/** {@link beginSchema} */
export type BeginRequest = v.InferOutput<typeof beginSchema>;

/** What evidence the verifier wants. */
const evidenceRequest = {
  /** Identifies the challenge; single use. */
  challenge: b64(32, 16),
  /** The verifier's nonce, 32 bytes. */
  nonce: b64(32, 32),
  /** PCRs to quote, ascending, of the SHA-256 bank. */
  pcrs: v.pipe(
    v.array(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(23))),
    v.minLength(1),
    v.maxLength(24),
  ),
  bank: v.literal('sha256'),
} as const;

/** Answer to message 1. */
export const challengeSchema = v.strictObject({
  ...evidenceRequest,
  /** TPM2B_ID_OBJECT contents of TPM2_MakeCredential for the IAK's Name. */
  credentialBlob: b64(512, 16),
  /** TPM2B_ENCRYPTED_SECRET contents, for the EK. */
  secret: b64(512, 16),
});
/** {@link challengeSchema} */
export type Challenge = v.InferOutput<typeof challengeSchema>;

const tpmKey = v.strictObject({
  /** TPMT_PUBLIC. */
  public: b64(1024, 16),
  /** TPMS_ATTEST of TPM2_Certify by the IAK, its extraData the challenge's nonce. */
  certifyInfo: b64(1024, 16),
  /** TPMT_SIGNATURE over it. */
  signature: b64(1024, 16),
});
const softwareKey = v.strictObject({
  jwk,
  /** ES256 over `domainSeparated('key-possession', …)`, see `keys.ts`. */
  proof: b64(64, 64),
});
const softwareKeys = v.strictObject({ credential: softwareKey, tls: softwareKey, lobby: softwareKey });

/** Message 2: the proof. */
export const activateSchema = v.strictObject({
  challenge: b64(32, 16),
  /** HMAC-SHA-256 under the activation secret over `domainSeparated('activation', nonce)`. */
  activation: b64(32, 32),
  evidence: cmwSchema(LIMITS.evidence),
  lak: tpmKey,
  ldevid: tpmKey,
  keys: softwareKeys,
});
/** {@link activateSchema} */
export type ActivateRequest = v.InferOutput<typeof activateSchema>;
/** A key of the owner in the TPM, certified by the IAK. */
export type TpmKeyProof = v.InferOutput<typeof tpmKey>;
/** The three software keys of one credential, each with a proof of possession. */
export type SoftwareKeyProofs = v.InferOutput<typeof softwareKeys>;

/** First half of a renewal: who asks. */
export const challengeRequestSchema = v.strictObject({
  agent: v.pipe(v.string(), v.maxLength(2048)),
});

/** Its answer. */
export const renewalChallengeSchema = v.strictObject({ ...evidenceRequest });
/** {@link renewalChallengeSchema} */
export type RenewalChallenge = v.InferOutput<typeof renewalChallengeSchema>;

/** Second half of a renewal. */
export const renewSchema = v.strictObject({
  challenge: b64(32, 16),
  agent: v.pipe(v.string(), v.maxLength(2048)),
  /** By the LAK. */
  evidence: cmwSchema(LIMITS.evidence),
  /** The AIBOM, when it changed since the last time. */
  aibom: v.optional(b64(LIMITS.aibom, 2)),
  endorsement: v.optional(compactJws),
  keys: softwareKeys,
  /** ES256 by the LDevID over `domainSeparated('renewal', canonical JSON of the request without this member)`. */
  signature: b64(64, 64),
});
/** {@link renewSchema} */
export type RenewRequest = v.InferOutput<typeof renewSchema>;

const bundleKey = v.object({
  use: v.picklist(['x509-svid', 'wit-svid', 'fealty/issuer', 'fealty/verifier', 'fealty/status']),
  kid: v.pipe(v.string(), v.maxLength(128)),
  jwk,
  certificate: v.optional(certificate),
});

/** Answer to message 2 and to a renewal: `Credentials` of `src/identity/credentials.ts` with bytes as base64url. */
export const credentialsSchema = v.strictObject({
  agentId: v.pipe(v.string(), v.maxLength(2048)),
  slug: v.pipe(v.string(), v.length(13)),
  ldevidChain: chain,
  wit: compactJws,
  wic: chain,
  lobbyCertificate: certificate,
  clientAttestation: compactJws,
  ear: compactJws,
  bundles: v.pipe(
    v.array(
      v.object({
        trustDomain: v.pipe(v.string(), v.maxLength(255)),
        sequence: v.pipe(v.number(), v.integer(), v.minValue(0)),
        keys: v.pipe(v.array(bundleKey), v.maxLength(64)),
      }),
    ),
    v.maxLength(16),
  ),
  endpoints: v.strictObject({
    authority: v.pipe(v.string(), v.maxLength(2048)),
    broker: v.optional(v.pipe(v.string(), v.maxLength(2048))),
  }),
  notAfter: v.pipe(v.number(), v.integer(), v.minValue(0)),
});
/** {@link credentialsSchema} */
export type CredentialsMessage = v.InferOutput<typeof credentialsSchema>;

/** A refusal (RFC 9457), status 403; `check` names what did not hold. */
export const problemSchema = v.object({
  title: v.pipe(v.string(), v.maxLength(256)),
  detail: v.optional(v.pipe(v.string(), v.maxLength(2048))),
  check: v.optional(v.pipe(v.string(), v.maxLength(64))),
});
