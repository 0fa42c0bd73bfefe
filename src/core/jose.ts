import { compactVerify } from 'jose';
import { BadSignature } from './errors.ts';
import type { PublicJwk } from './signer.ts';
import { publicKeyObject } from './signer.ts';

/**
 * Verifies a compact JWS that the strict reader (`readJws`) has already accepted.
 * jose alone accepts white space inside the parts, so nothing but `jws.ts` calls this.
 *
 * @throws {BadSignature}
 */
export async function verifyCompact(compact: string, key: PublicJwk, what: string): Promise<void> {
  try {
    await compactVerify(compact, publicKeyObject(key), { algorithms: ['ES256'] });
  } catch (cause) {
    throw new BadSignature(what, { cause });
  }
}
