import { seededRandom } from '../../simulator/random.ts';
import { generateKey } from '../../src/core/signer.ts';
import { NO_END } from '../../src/identity/certificate.ts';
import type { CertificateIssuer } from '../../src/identity/issue.ts';
import { createIntermediate, createRoot } from '../../src/identity/issue.ts';

/** 2026-11-24T10:00:00Z. */
export const NOW = Date.UTC(2026, 10, 24, 10);
export const HOUR = 3_600_000;
export const AGENT = 'spiffe://fleet.example/agent/robot-7';
export const random = seededRandom('test/identity');

export const key = () => generateKey(random);

/** An ACA for `fleet.example` with a root and one intermediate. */
export async function fleet(): Promise<{ root: CertificateIssuer; aca: CertificateIssuer }> {
  const root = await createRoot({
    signer: key(),
    random,
    commonName: 'fleet root',
    organization: 'Fleet',
    notBefore: NOW - HOUR,
    trustDomain: 'fleet.example',
  });
  const aca = await createIntermediate({
    issuer: root,
    signer: key(),
    random,
    commonName: 'fleet ACA',
    notBefore: NOW - HOUR,
    notAfter: NO_END,
  });
  return { root, aca };
}

/** What every certificate of the tests is issued with. */
export const issuing = (issuer: CertificateIssuer) => ({
  issuer,
  random,
  notBefore: NOW - HOUR,
  notAfter: NOW + HOUR,
});
