export type { AgentId } from './agent-id.ts';
export { agentIdOf, checkTrustDomain, isAgentId, parseAgentId, trustDomainOf } from './agent-id.ts';
export type { BundleKey, BundleKeyUse, TrustBundle } from './bundle.ts';
export { keysFor } from './bundle.ts';
export {
  bundleToJson,
  readBundle,
  readBundleMap,
  replaceBundle,
  writeBundle,
  writeBundleMap,
} from './bundle-codec.ts';
export type { Certificate, SignatureAlgorithm } from './certificate.ts';
export { NO_END, parseCertificate, unpadCertificate } from './certificate.ts';
export type { CredentialKeys, Credentials, Endpoints } from './credentials.ts';
export type { CertificateCheck, CredentialCheck } from './errors.ts';
export { BundleRefused, CertificateRefused, CredentialRefused } from './errors.ts';
export type { SubjectAltName } from './extensions.ts';
export { hardwareSerialOf, permanentIdentifierOf } from './hardware-serial.ts';
export type { DistinguishedName } from './name.ts';
export { OID } from './oids.ts';
export type { CertificateKey } from './public-key.ts';
export { jwkOfSpki, keyIdOf, readSpki, spkiOfJwk, spkiOfRsa } from './public-key.ts';
export type { CertificatePurpose, ChainRequest, ValidChain } from './validate.ts';
export { isSignedBy, validateChain } from './validate.ts';
export type { ClientAttestation, Wit, WitRequest } from './wit.ts';
export {
  CLOCK_SKEW_MS,
  issueClientAttestation,
  issueWit,
  MAX_CREDENTIAL_LIFE_MS,
  verifyClientAttestation,
  verifyWit,
} from './wit.ts';
