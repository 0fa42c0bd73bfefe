export type { AttesterOptions } from './attester.ts';
export { Attester } from './attester.ts';
export type { CmwRecord } from './cmw.ts';
export type { AttestationCheck, EarCheck } from './errors.ts';
export { AppraisalRefused, ATTESTATION_CHECKS, EarRefused, RuntimeLogFull } from './errors.ts';
export type { AttestationResult, EarExpectations, EarStatus, TrustClaim, TrustVector } from './results.ts';
export { isAtLeast, TRUST_CLAIMS, tierOf, verifyEar } from './results.ts';
export type { Measurement, MeasurementKind } from './runtime-log.ts';
export { measure, RUNTIME_PCR } from './runtime-log.ts';
