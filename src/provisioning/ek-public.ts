import { Malformed } from '../core/errors.ts';
import type { Certificate } from '../identity/certificate.ts';
import type { TPMT_PUBLIC } from '../tpm/index.ts';
import { ekRsaTemplate, ekTemplate, publicOfJwk } from '../tpm/index.ts';

/** The public area of the EK in its certificate: template L-2 for P-256, L-1 for RSA-2048. @throws {Malformed} for others. */
export function ekPublicOf(certificate: Certificate): TPMT_PUBLIC {
  const key = certificate.publicKey;
  if (key.kind === 'p256') return publicOfJwk(ekTemplate, key.jwk);
  const standard =
    key.kind === 'rsa' &&
    key.modulus.length === 256 &&
    Buffer.from(key.exponent).toString('hex') === '010001';
  if (standard) return { ...ekRsaTemplate, unique: key.modulus };
  throw new Malformed('an EK of another template than L-1 or L-2');
}
