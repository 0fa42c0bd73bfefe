import { createCipheriv, createDecipheriv, ECDH } from 'node:crypto';
import { concat } from '../core/bytes.ts';
import { encodeCbor } from '../core/cbor.ts';
import { Malformed } from '../core/errors.ts';
import { hmacSha256, sha256 } from '../core/hash.ts';
import type { PublicJwk } from '../core/signer.ts';
import { jwkOfPoint, pointOfJwk, publicKeyObject } from '../core/signer.ts';

/**
 * The key schedule of EDHOC (RFC 9528 §4) for authentication method 0 (signatures on both sides), with SHA-256.
 * Suite −21 is private (RFC 9528 §9.2): A256GCM, SHA-256, 16-byte tag, P-256, ES256 — suites 2 and 3 with the AEAD of our
 * envelopes in the place of AES-CCM.
 */
export const METHOD = 0;
/** See {@link METHOD}. */
export const SUITE = -21;

const HASH = 32;
const KEY = 32;
const IV = 12;
const TAG = 16;

/** EDHOC_Extract: HKDF-Extract (RFC 5869 §2.2). */
export function edhocExtract(salt: Uint8Array, secret: Uint8Array): Uint8Array {
  return hmacSha256(salt, secret);
}

/** EDHOC_KDF (RFC 9528 §4.1.2): HKDF-Expand with `info` the CBOR sequence of label, context and length. */
export function edhocKdf(prk: Uint8Array, label: number, context: Uint8Array, length: number): Uint8Array {
  const info = cborSequence(label, context, length);
  const out = new Uint8Array(length);
  let block = new Uint8Array();
  for (let at = 0, count = 1; at < length; at += HASH, count++) {
    if (count > 255) throw new TypeError('HKDF-Expand gives at most 8,160 bytes');
    block = new Uint8Array(hmacSha256(prk, block, info, Uint8Array.of(count)));
    out.set(block.subarray(0, Math.min(HASH, length - at)), at);
  }
  return out;
}

/** TH_2 = H(G_Y, H(message_1)) (§5.3.2). */
export function transcript2(gY: Uint8Array, message1: Uint8Array): Uint8Array {
  return sha256(cborSequence(gY, sha256(message1)));
}

/** TH_3 = H(TH_2, PLAINTEXT_2, CRED_R), TH_4 = H(TH_3, PLAINTEXT_3, CRED_I) (§5.3.2, §5.4.2). */
export function nextTranscript(th: Uint8Array, plaintext: Uint8Array, credential: Uint8Array): Uint8Array {
  return sha256(cborSequence(th), plaintext, cborSequence(credential));
}

/** PRK_2e, which with method 0 is also PRK_3e2m and PRK_4e3m (§4.1.1). */
export function prk2e(th2: Uint8Array, gXY: Uint8Array): Uint8Array {
  return edhocExtract(th2, gXY);
}

/**
 * KEYSTREAM_2 (§4.1.2, label 0). HKDF-Expand ends at 8,160 bytes and our messages carry whole chains, so what is longer
 * continues with labels that no other use has: block `i` from 1 on is made with the context TH_2 ‖ u32(i) under label 32768.
 */
export function keystream2(prk: Uint8Array, th2: Uint8Array, length: number): Uint8Array {
  const most = 8160;
  const blocks = [edhocKdf(prk, 0, th2, Math.min(length, most))];
  for (let at = most, i = 1; at < length; at += most, i++)
    blocks.push(
      edhocKdf(prk, 32_768, concat(th2, Uint8Array.of(0, 0, i >>> 8, i & 255)), Math.min(length - at, most)),
    );
  return concat(...blocks);
}

/** context_2 = << C_R, ID_CRED_R, TH_2, CRED_R, ? EAD_2 >>; `idCred` is CBOR already. */
export function context2(
  cR: Uint8Array,
  idCred: Uint8Array,
  th2: Uint8Array,
  credential: Uint8Array,
): Uint8Array {
  return concat(cborSequence(cR), idCred, cborSequence(th2, credential));
}

/** context_3 = << ID_CRED_I, TH_3, CRED_I, ? EAD_3 >>; `idCred` is CBOR already. */
export function context3(idCred: Uint8Array, th3: Uint8Array, credential: Uint8Array): Uint8Array {
  return concat(idCred, cborSequence(th3, credential));
}

/** MAC_2 (label 2) and MAC_3 (label 6): as long as the hash, because both sides sign. */
export function mac(prk: Uint8Array, message: 2 | 3, context: Uint8Array): Uint8Array {
  return edhocKdf(prk, message === 2 ? 2 : 6, context, HASH);
}

/** The Sig_structure that method 0 signs (RFC 9052 §4.4, RFC 9528 §5.3.2): it holds the transcript and the MAC. */
export function signatureInput(
  idCred: Uint8Array,
  th: Uint8Array,
  credential: Uint8Array,
  macBytes: Uint8Array,
): Uint8Array {
  return encodeCbor(['Signature1', idCred, cborSequence(th, credential), macBytes]);
}

/** K_3 and IV_3 (labels 3, 4) over TH_3; other labels for other messages of the same shape. */
export function messageKeys(
  prk: Uint8Array,
  th: Uint8Array,
  labels: readonly [key: number, iv: number] = [3, 4],
  lengths: readonly [key: number, iv: number] = [KEY, IV],
): { readonly key: Uint8Array; readonly iv: Uint8Array } {
  return { key: edhocKdf(prk, labels[0], th, lengths[0]), iv: edhocKdf(prk, labels[1], th, lengths[1]) };
}

/** PRK_out (label 7) over TH_4, and PRK_exporter (label 10) from it. */
export function prkExporter(prk: Uint8Array, th4: Uint8Array): { out: Uint8Array; exporter: Uint8Array } {
  const out = edhocKdf(prk, 7, th4, HASH);
  return { out, exporter: edhocKdf(out, 10, new Uint8Array(), HASH) };
}

/** Exporter label of the pairwise secret of coordinator and member; 32768 and up are for private use (§9.1). */
export const PAIRWISE_LABEL = 32_769;

/** EDHOC_Exporter (§4.2.1). */
export function edhocExport(
  exporter: Uint8Array,
  label: number,
  context: Uint8Array,
  length: number,
): Uint8Array {
  return edhocKdf(exporter, label, context, length);
}

/** AEAD of a handshake message: A256GCM with the Enc_structure of a COSE_Encrypt0 over `th`. */
export function sealMessage(
  key: Uint8Array,
  iv: Uint8Array,
  th: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(encodeCbor(['Encrypt0', new Uint8Array(), th]));
  return concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}

/** Inverse of {@link sealMessage}; `undefined` when it does not open. */
export function openMessage(
  key: Uint8Array,
  iv: Uint8Array,
  th: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < TAG) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG });
  decipher.setAAD(encodeCbor(['Encrypt0', new Uint8Array(), th]));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  const plaintext = decipher.update(sealed.subarray(0, sealed.length - TAG));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return new Uint8Array(plaintext);
}

/** A CBOR sequence (RFC 8742) of items. */
export function cborSequence(...items: readonly unknown[]): Uint8Array {
  return concat(...items.map((item) => encodeCbor(item)));
}

/** The x-coordinate of a key: how EDHOC sends ephemeral P-256 keys (§3.7). */
export function xOf(jwk: PublicJwk): Uint8Array {
  return pointOfJwk(jwk).slice(1, 33);
}

/** A key with that x-coordinate; which of the two does not matter, the shared secret is an x-coordinate too. @throws {Malformed} */
export function jwkOfX(x: Uint8Array): PublicJwk {
  if (x.length !== 32) throw new Malformed('an x-coordinate has 32 bytes');
  let point: Uint8Array;
  try {
    const converted = ECDH.convertKey(
      concat(Uint8Array.of(2), x),
      'prime256v1',
      undefined,
      undefined,
      'uncompressed',
    );
    point = new Uint8Array(converted as Buffer);
  } catch (cause) {
    throw new Malformed('not the x-coordinate of a point on P-256', { cause });
  }
  const jwk = jwkOfPoint(point);
  publicKeyObject(jwk);
  return jwk;
}
