import { equal } from '../core/bytes.ts';
import type { Tpm } from './client/tpm.ts';
import type { TpmObject } from './objects.ts';
import { loadPersistent } from './objects.ts';
import { persistentHandles } from './templates.ts';

/**
 * Looks for a key that sessions can be salted to, so that secrets travel hidden: the EK (P-256), the SRK, the EK (RSA),
 * at their persistent handles. It becomes `tpm.saltKey`, which is used wherever no other key is named.
 *
 * @param trusted Names of keys that are this TPM's for certain (from its EK certificate, or from an earlier day). Without
 * them whatever is found is believed: that keeps out who only listens, not who sits between from the first day.
 */
export async function chooseSaltKey(
  tpm: Tpm,
  trusted?: readonly Uint8Array[] | undefined,
): Promise<TpmObject | undefined> {
  tpm.saltKey = undefined;
  for (const handle of [persistentHandles.ekEcc, persistentHandles.srk, persistentHandles.ekRsa]) {
    const key = await loadPersistent(tpm, handle);
    if (key === undefined || !isStorageKey(key)) continue;
    if (trusted !== undefined && !trusted.some((name) => equal(name, key.name))) continue;
    tpm.saltKey = key;
    break;
  }
  return tpm.saltKey;
}

function isStorageKey({ public: area }: TpmObject): boolean {
  const { restricted, decrypt, sign } = area.objectAttributes;
  return (
    (area.type === 'ecc' || area.type === 'rsa') && restricted === true && decrypt === true && sign !== true
  );
}
