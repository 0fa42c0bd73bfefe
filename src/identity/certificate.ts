import type { DerElement } from '../core/der.ts';
import {
  childrenOf,
  expectTag,
  readBitString,
  readDer,
  readDerPrefix,
  readOid,
  readSequence,
  readSmallInteger,
  readTime,
  serialText,
  TAG,
} from '../core/der.ts';
import { Malformed } from '../core/errors.ts';
import type { CertificateExtensions } from './extensions.ts';
import { readExtensions } from './extensions.ts';
import type { DistinguishedName } from './name.ts';
import { readName } from './name.ts';
import { OID } from './oids.ts';
import type { CertificateKey } from './public-key.ts';
import { readSpki } from './public-key.ts';

/** How a certificate is signed. */
export interface SignatureAlgorithm {
  readonly kind: 'ecdsa' | 'rsa' | 'rsa-pss';
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  /** For `rsa-pss`, in bytes. */
  readonly saltLength?: number | undefined;
}

/** An X.509 version 3 certificate (RFC 5280), as far as the profile of design.md section 3 needs it. */
export interface Certificate extends CertificateExtensions {
  readonly der: Uint8Array;
  /** The signed bytes. */
  readonly tbs: Uint8Array;
  /** Lower-case hexadecimal without the sign octet. */
  readonly serial: string;
  readonly issuer: DistinguishedName;
  readonly issuerDer: Uint8Array;
  readonly subject: DistinguishedName;
  readonly subjectDer: Uint8Array;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  /** Milliseconds since 1970; 253402300799000 (99991231235959Z) means "no end" (RFC 5280 §4.1.2.5). */
  readonly notAfter: number;
  readonly spki: Uint8Array;
  readonly publicKey: CertificateKey;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
}

/** Largest certificate, in bytes. */
export const MAX_CERTIFICATE_BYTES = 16_384;

/** 99991231235959Z in milliseconds since 1970: a certificate without an end. */
export const NO_END = 253_402_300_799_000;

/**
 * Reads one DER certificate. Nothing is verified; see `validateChain`.
 *
 * @throws {Malformed}
 */
export function parseCertificate(bytes: Uint8Array): Certificate {
  if (bytes.length > MAX_CERTIFICATE_BYTES)
    throw new Malformed(`a certificate of more than ${MAX_CERTIFICATE_BYTES} bytes`);
  const [tbs, outerAlgorithm, signature, more] = readSequence(readDer(bytes, TAG.sequence));
  if (tbs === undefined || outerAlgorithm === undefined || more !== undefined)
    throw new Malformed('a certificate has three parts');
  const fields = readSequence(tbs);
  const [version, serial, algorithm, issuer, validity, subject, spki, ...rest] = fields;
  const [number, ...others] = childrenOf(expectTag(version, 0xa0));
  if (readSmallInteger(number) !== 2 || others.length > 0) throw new Malformed('not a version 3 certificate');
  if (algorithm === undefined || !sameBytes(algorithm.raw, outerAlgorithm.raw))
    throw new Malformed('the two signature algorithms of a certificate differ');
  if (issuer === undefined || subject === undefined || spki === undefined)
    throw new Malformed('a certificate that ends too early');
  const serialHex = serialText(serial);
  if (serialHex.length > 42) throw new Malformed('a serial number of more than 20 bytes');
  const [from, until, third] = readSequence(validity);
  if (third !== undefined) throw new Malformed('a validity of three times');
  return {
    der: bytes,
    tbs: tbs.raw,
    serial: serialHex,
    issuer: readName(issuer),
    issuerDer: issuer.raw,
    subject: readName(subject),
    subjectDer: subject.raw,
    notBefore: readTime(from),
    notAfter: readTime(until),
    spki: spki.raw,
    publicKey: readSpki(spki.raw),
    signatureAlgorithm: readAlgorithm(algorithm),
    signature: readBitString(signature),
    ...readExtensions(extensionsIn(rest)),
  };
}

/**
 * The certificate at the beginning of `bytes`: NV indices hold certificates with padding behind them.
 *
 * @throws {Malformed} when what follows is not padding (all 00 or all FF).
 */
export function unpadCertificate(bytes: Uint8Array): Uint8Array {
  const { raw } = readDerPrefix(bytes);
  const padding = bytes.subarray(raw.length);
  const [first = 0] = padding;
  if ((first !== 0 && first !== 0xff) || padding.some((byte) => byte !== first))
    throw new Malformed('bytes after the end of a certificate');
  return raw.slice();
}

function extensionsIn(rest: readonly DerElement[]): readonly DerElement[] {
  let last = 0;
  let found: readonly DerElement[] = [];
  for (const element of rest) {
    // [1] and [2] are the unique identifiers nobody uses; [3] the extensions.
    if (element.tag <= last || ![0x81, 0x82, 0xa3].includes(element.tag))
      throw new Malformed('a certificate with parts that do not belong there');
    last = element.tag;
    if (element.tag === 0xa3) {
      const [list, ...more] = childrenOf(element);
      if (more.length > 0) throw new Malformed('a certificate with two lists of extensions');
      found = readSequence(list);
    }
  }
  return found;
}

const FIXED: Readonly<Record<string, SignatureAlgorithm>> = {
  [OID.ecdsaSha256]: { kind: 'ecdsa', hash: 'sha256' },
  [OID.ecdsaSha384]: { kind: 'ecdsa', hash: 'sha384' },
  [OID.ecdsaSha512]: { kind: 'ecdsa', hash: 'sha512' },
  [OID.rsaSha256]: { kind: 'rsa', hash: 'sha256' },
  [OID.rsaSha384]: { kind: 'rsa', hash: 'sha384' },
  [OID.rsaSha512]: { kind: 'rsa', hash: 'sha512' },
};

const HASHES: Readonly<Record<string, readonly [SignatureAlgorithm['hash'], number]>> = {
  [OID.sha256]: ['sha256', 32],
  [OID.sha384]: ['sha384', 48],
  [OID.sha512]: ['sha512', 64],
};

function readAlgorithm(element: DerElement): SignatureAlgorithm {
  const [name, parameters, more] = readSequence(element);
  const algorithm = readOid(name);
  if (more !== undefined) throw new Malformed('a signature algorithm with too many parameters');
  const fixed = FIXED[algorithm];
  if (fixed !== undefined) {
    const asNull = parameters?.tag === TAG.null && parameters.content.length === 0;
    if (fixed.kind === 'ecdsa' ? parameters !== undefined : parameters !== undefined && !asNull)
      throw new Malformed('a signature algorithm with parameters it does not have');
    return fixed;
  }
  if (algorithm === OID.rsaPss) return readPss(parameters);
  throw new Malformed(`a certificate signed with ${algorithm}`);
}

/** RSASSA-PSS-params (RFC 4055 §3.1); only hash = MGF hash ≥ SHA-256, salt as long as the hash. */
function readPss(parameters: DerElement | undefined): SignatureAlgorithm {
  const [hash, mask, salt, more] = readSequence(parameters);
  if (more !== undefined || hash?.tag !== 0xa0 || mask?.tag !== 0xa1 || salt?.tag !== 0xa2)
    throw new Malformed('RSA-PSS parameters of another form');
  const [hashName] = readSequence(childrenOf(hash)[0]);
  const [maskName, maskHash] = readSequence(childrenOf(mask)[0]);
  const hashOid = readOid(hashName);
  const saltLength = readSmallInteger(childrenOf(salt)[0]);
  const known = HASHES[hashOid];
  if (known === undefined || readOid(maskName) !== OID.mgf1 || readOid(readSequence(maskHash)[0]) !== hashOid)
    throw new Malformed('RSA-PSS with hashes the profile does not have');
  if (saltLength !== known[1]) throw new Malformed('an RSA-PSS salt of another length than its hash');
  return { kind: 'rsa-pss', hash: known[0], saltLength };
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
