import { base64url, concat, equal, fromBase64url, u64 } from '../core/bytes.ts';
import { hmacSha256 } from '../core/hash.ts';
import type { Clock, Random } from '../core/platform.ts';
import type { Nonces } from './issuer-context.ts';

/** How long a nonce is honoured, in milliseconds. */
export const NONCE_LIFE_MS = 240_000;

/** Nonces of this process: a restart makes new ones, so nothing recorded before it can be shown after it. */
export function statelessNonces(clock: Clock, random: Random): Nonces {
  const key = random.bytes(32);
  const mac = (time: Uint8Array) => hmacSha256(key, time).subarray(0, 16);
  return {
    make: () => {
      const time = u64(Math.floor(clock.elapsed()));
      return base64url(concat(time, mac(time)));
    },
    isOurs: (nonce) => {
      let bytes: Uint8Array;
      try {
        bytes = fromBase64url(nonce);
      } catch {
        return false;
      }
      if (bytes.length !== 24 || !equal(bytes.subarray(8), mac(bytes.subarray(0, 8)))) return false;
      const made = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0));
      const age = clock.elapsed() - made;
      return age >= -1 && age <= NONCE_LIFE_MS;
    },
  };
}
