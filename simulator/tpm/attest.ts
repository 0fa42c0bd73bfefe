import { encode } from '../../src/tpm/codec.ts';
import type {
  TPMS_ATTEST as Attest,
  TPMS_CLOCK_INFO as ClockInfo,
  TPMT_SIG_SCHEME as Scheme,
  TPMT_SIGNATURE as Signature,
} from '../../src/tpm/structures.ts';
import { TPM_RH, TPMS_ATTEST } from '../../src/tpm/structures.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { kdfA } from './crypto/kdf.ts';
import { objectOf } from './entity.ts';
import type { Machine } from './machine.ts';
import type { LoadedObject } from './object.ts';
import { handleName } from './object.ts';
import { handleRefused, parameterRefused, RC } from './refusal.ts';
import type { SigningScheme } from './sign.ts';
import { selectScheme, signMessage } from './sign.ts';

/** TPM_PT_FIRMWARE_VERSION_1 and _2: this version of the simulator. */
export const firmwareVersion = 0x0000_0001_0000_0000n;

/** Who attests, and how; `undefined` for TPM_RH_NULL: the attestation is then not signed. */
export interface Attester {
  readonly key: LoadedObject;
  readonly scheme: SigningScheme;
}

/** The key and scheme of an attestation; `handle` is handle number `handleIndex`, the scheme parameter `schemeIndex`. */
export function attesterOf(
  chip: Machine,
  handle: number,
  handleIndex: number,
  inScheme: Scheme,
  schemeIndex: number,
): Attester | undefined {
  if (handle === TPM_RH.null) return undefined;
  const key = objectOf(chip, handle, handleIndex);
  if (!canSign(key)) throw handleRefused(RC.KEY, handleIndex);
  const scheme = selectScheme(key.publicArea, inScheme);
  if (scheme === undefined) throw parameterRefused(RC.SCHEME, schemeIndex);
  return { key, scheme };
}

/** Whether the object is a private signing key. */
export function canSign(key: LoadedObject): boolean {
  const { sign } = key.publicArea.objectAttributes;
  return sign === true && key.sensitive !== undefined && key.publicArea.type !== 'symcipher';
}

type Body = Attest extends infer A ? (A extends Attest ? Pick<A, 'type' | 'attested'> : never) : never;

/** A TPMS_ATTEST with its signature (Part 1 §31). */
export function attest(
  chip: Machine,
  attester: Attester | undefined,
  extraData: Uint8Array,
  body: Body,
): { readonly attested: Uint8Array; readonly signature: Signature } {
  const { clockInfo, firmware } = circumstances(chip, attester?.key);
  const attested = encode(TPMS_ATTEST, {
    magic: 'value',
    qualifiedSigner: attester?.key.qualifiedName ?? handleName(TPM_RH.null),
    extraData,
    clockInfo,
    firmwareVersion: firmware,
    ...body,
  } as Attest);
  if (attester === undefined) return { attested, signature: { sigAlg: 'null' } };
  return { attested, signature: signMessage(chip, attester.key, attester.scheme, attested) };
}

/** TPMS_CLOCK_INFO as the TPM itself sees it. */
export function clockInfo(chip: Machine): ClockInfo {
  return {
    clock: chip.ticks.value,
    resetCount: chip.resetCount,
    restartCount: chip.restartCount,
    safe: chip.clockSafe ? 'yes' : 'no',
  };
}

/**
 * Counts and firmware version as this key may tell them: exact for keys of the endorsement and platform hierarchies,
 * for others shifted by what depends on the key, so that they cannot be used to follow the machine (Part 1 §36.7).
 */
function circumstances(
  chip: Machine,
  key: LoadedObject | undefined,
): { readonly clockInfo: ClockInfo; readonly firmware: bigint } {
  const plain = clockInfo(chip);
  if (key === undefined || key.hierarchy === 'endorsement' || key.hierarchy === 'platform')
    return { clockInfo: plain, firmware: firmwareVersion };
  const none = new Uint8Array();
  const mask = kdfA('sha256', chip.hierarchies.owner.proof, 'OBFUSCATE', key.qualifiedName, none, 128);
  const view = new DataView(mask.buffer, mask.byteOffset);
  return {
    clockInfo: {
      ...plain,
      resetCount: (plain.resetCount + view.getUint32(8)) >>> 0,
      restartCount: (plain.restartCount + view.getUint32(12)) >>> 0,
    },
    firmware: BigInt.asUintN(64, firmwareVersion + view.getBigUint64(0)),
  };
}

/** The hash with which an attester digests PCRs; SHA-256 when nobody signs. */
export function attestHash(attester: Attester | undefined): HashAlgorithm {
  return attester?.scheme.hashAlg ?? 'sha256';
}
