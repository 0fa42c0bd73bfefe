import { concat, equal, text, u32, utf8 } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';

/**
 * Contents of a TCG-CSR-IDEVID (TCG "TPM 2.0 Keys for Device Identity and Attestation" v1.00 §13.1), all byte strings
 * as the specification gives them: publics are TPMT_PUBLIC, signatures TPMT_SIGNATURE, infos TPMS_ATTEST.
 */
export interface IdevidCsrContent {
  readonly prodModel: string;
  readonly prodSerial: string;
  readonly prodCaData: Uint8Array;
  readonly bootEvntLog: Uint8Array;
  /** EK certificate, DER. */
  readonly ekCert: Uint8Array;
  /** The IAK. */
  readonly attestPub: Uint8Array;
  readonly atCreateTkt: Uint8Array;
  readonly atCertifyInfo: Uint8Array;
  readonly atCertifyInfoSignature: Uint8Array;
  /** The IDevID. */
  readonly signingPub: Uint8Array;
  /** TPM2_Certify of the IDevID by the IAK. */
  readonly sgnCertifyInfo: Uint8Array;
  readonly sgnCertifyInfoSignature: Uint8Array;
}

/** A parsed TCG-CSR-IDEVID; its signature is not yet verified. */
export interface IdevidCsr {
  readonly content: IdevidCsrContent;
  /** The bytes that are signed: TCG_IDEVID_CONTENT. */
  readonly signed: Uint8Array;
  /** TPMT_SIGNATURE by the IDevID. */
  readonly signature: Uint8Array;
}

const VERSION = 0x00000100;
const SHA256 = 0x0000000b;
const BLOCK = 16;
/** Order of the fields, sizes and bytes alike. */
const FIELDS = [
  'prodModel',
  'prodSerial',
  'prodCaData',
  'bootEvntLog',
  'ekCert',
  'attestPub',
  'atCreateTkt',
  'atCertifyInfo',
  'atCertifyInfoSignature',
  'signingPub',
  'sgnCertifyInfo',
  'sgnCertifyInfoSignature',
] as const satisfies readonly (keyof IdevidCsrContent)[];
const MAX_FIELD = 16 * 1024;

/**
 * TCG_IDEVID_CONTENT, the bytes the IDevID signs:
 *
 * ```
 * structVer | hashAlgoId | hashSz | hash | 12 sizes | padSz | 12 fields | pad      (integers u32 big endian)
 * ```
 *
 * `hash` is SHA-256 of everything behind it; the whole is padded to a multiple of 16.
 * Some implementations leave the hash out; we follow openconfig's attestz, which has it.
 */
export function encodeCsrContent(content: IdevidCsrContent): Uint8Array {
  const fields = FIELDS.map((name) => {
    const value = content[name];
    return typeof value === 'string' ? utf8(value) : value;
  });
  const before = 12 + 32;
  const length = before + 4 * (FIELDS.length + 1) + fields.reduce((sum, field) => sum + field.length, 0);
  const pad = new Uint8Array((BLOCK - (length % BLOCK)) % BLOCK).fill(0x3d);
  const rest = concat(...fields.map((field) => u32(field.length)), u32(pad.length), ...fields, pad);
  return concat(u32(VERSION), u32(SHA256), u32(32), sha256(rest), rest);
}

/** TCG_CSR_IDEVID: structVer | contents | sigSz | csrContents | signature. */
export function encodeCsr(signed: Uint8Array, signature: Uint8Array): Uint8Array {
  return concat(u32(VERSION), u32(signed.length), u32(signature.length), signed, signature);
}

/** Reads a TCG_CSR_IDEVID; every byte must be accounted for. @throws {Malformed} */
export function decodeCsr(bytes: Uint8Array): IdevidCsr {
  const outer = reader(bytes);
  if (outer.u32() !== VERSION) throw new Malformed('another version of TCG_CSR_IDEVID');
  const contents = outer.u32();
  const sigSz = outer.u32();
  const signed = outer.take(contents);
  const signature = outer.take(sigSz);
  outer.end();
  return { content: decodeContent(signed), signed, signature };
}

function decodeContent(bytes: Uint8Array): IdevidCsrContent {
  if (bytes.length % BLOCK !== 0) throw new Malformed('TCG_IDEVID_CONTENT is not padded to 16 bytes');
  const from = reader(bytes);
  if (from.u32() !== VERSION) throw new Malformed('another version of TCG_IDEVID_CONTENT');
  if (from.u32() !== SHA256 || from.u32() !== 32) throw new Malformed('`hashAlgoId` is not SHA-256');
  const hash = from.take(32);
  if (!equal(hash, sha256(from.rest()))) throw new Malformed('`hash` is not that of the content');
  const sizes = FIELDS.map(() => from.u32());
  const padSz = from.u32();
  if (padSz >= BLOCK) throw new Malformed('more padding than needed');
  const fields = Object.fromEntries(
    FIELDS.map((name, i) => {
      const size = sizes[i] ?? 0;
      if (size > MAX_FIELD) throw new Malformed(`\`${name}\` is too long`);
      return [name, from.take(size)];
    }),
  ) as Record<(typeof FIELDS)[number], Uint8Array>;
  from.take(padSz);
  from.end();
  return { ...fields, prodModel: text(fields.prodModel), prodSerial: text(fields.prodSerial) };
}

function reader(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  const take = (count: number): Uint8Array => {
    if (count > bytes.length - at) throw new Malformed('TCG_CSR_IDEVID ends early');
    at += count;
    return bytes.slice(at - count, at);
  };
  return {
    take,
    u32: (): number => {
      take(4);
      return view.getUint32(at - 4);
    },
    rest: () => bytes.subarray(at),
    end: () => {
      if (at !== bytes.length) throw new Malformed('bytes after TCG_CSR_IDEVID');
    },
  };
}
