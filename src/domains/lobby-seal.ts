import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat } from '../core/bytes.ts';
import { encodeCbor } from '../core/cbor.ts';
import { Malformed } from '../core/errors.ts';
import { hkdf } from '../core/hash.ts';
import type { Random } from '../core/platform.ts';
import type { PublicJwk, SoftwareKey } from '../core/signer.ts';
import { agree, generateKey } from '../core/signer.ts';
import { HandshakeRefused } from './errors.ts';
import { jwkOfX, xOf } from './key-schedule.ts';

/**
 * Seals an invitation to a lobby key: ephemeral ECDH on P-256, HKDF-SHA-256, A256GCM. Whoever has no lobby key learns
 * neither who invites nor to what.
 */
export function sealToLobby(
  random: Random,
  lobbyKey: PublicJwk,
  plaintext: Uint8Array,
): { readonly sealKey: Uint8Array; readonly sealed: Uint8Array } {
  const ephemeral = generateKey(random);
  const sealKey = xOf(ephemeral.publicJwk);
  const { key, iv, aad } = keysOf(agree(ephemeral, lobbyKey), sealKey, lobbyKey);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(aad);
  return { sealKey, sealed: concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag()) };
}

/** Opens what {@link sealToLobby} sealed. @throws {HandshakeRefused} `seal` */
export function openInLobby(lobby: SoftwareKey, sealKey: Uint8Array, sealed: Uint8Array): Uint8Array {
  try {
    const { key, iv, aad } = keysOf(agree(lobby, jwkOfX(sealKey)), sealKey, lobby.publicJwk);
    if (sealed.length < 16) throw new Malformed('too short');
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: 16 });
    decipher.setAAD(aad);
    decipher.setAuthTag(sealed.subarray(sealed.length - 16));
    const plaintext = decipher.update(sealed.subarray(0, sealed.length - 16));
    decipher.final();
    return new Uint8Array(plaintext);
  } catch (cause) {
    throw new HandshakeRefused('seal', 'the invitation was not sealed for this lobby', { cause });
  }
}

/** Key and nonce are used for one message alone, because the sealing key is. */
function keysOf(shared: Uint8Array, sealKey: Uint8Array, lobbyKey: PublicJwk) {
  const aad = encodeCbor(['td1 lobby', sealKey, xOf(lobbyKey)]);
  const material = hkdf(shared, new Uint8Array(), aad, 44);
  return { key: material.subarray(0, 32), iv: material.subarray(32), aad };
}
