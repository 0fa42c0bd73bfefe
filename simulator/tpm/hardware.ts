import { decodeRequest, splitCommand } from '../../src/tpm/chip-framing.ts';
import type { Command } from '../../src/tpm/command.ts';
import type { Machine } from './machine.ts';

/** How long a chip takes, in milliseconds. */
export interface HardwareProfile {
  /** A new RSA-2048 key. */
  readonly rsaKey: number;
  /** A new P-256 key. */
  readonly eccKey: number;
  readonly rsaPrivate: number;
  readonly rsaPublic: number;
  readonly eccSign: number;
  readonly eccVerify: number;
  /** A P-256 Diffie-Hellman secret. */
  readonly eccSecret: number;
  /** 32 random bytes. */
  readonly random: number;
  /** A change of non-volatile memory. */
  readonly write: number;
  /** Everything else. */
  readonly other: number;
}

/** What our source does not say of a chip; taken to be alike in all of them. */
const typical = { write: 20, other: 4 };

/**
 * Discrete chips on SPI. The figures of asymmetric keys and of chance are those which wolfTPM's README publishes for its
 * benchmark (averages of a few runs); `write` and `other` are typical values of ours.
 */
export const hardwareProfiles = {
  /** Infineon OPTIGA SLB 9670. */
  slb9670: {
    ...typical,
    rsaKey: 2196,
    eccKey: 231,
    rsaPrivate: 163,
    rsaPublic: 9,
    eccSign: 69,
    eccVerify: 114,
    eccSecret: 232,
    random: 2.3,
  },
  /** STMicroelectronics ST33TP. */
  st33tp: {
    ...typical,
    rsaKey: 7455,
    eccKey: 220,
    rsaPrivate: 248,
    rsaPublic: 9,
    eccSign: 42,
    eccVerify: 74,
    eccSecret: 247,
    random: 2.3,
  },
  /** Nuvoton NPCT750. */
  npct750: {
    ...typical,
    rsaKey: 3409,
    eccKey: 84,
    rsaPrivate: 70,
    rsaPublic: 7,
    eccSign: 56,
    eccVerify: 39,
    eccSecret: 29,
    random: 2.2,
  },
  /** Nuvoton NPCT650. */
  npct650: {
    ...typical,
    rsaKey: 4479,
    eccKey: 148,
    rsaPrivate: 541,
    rsaPublic: 13,
    eccSign: 190,
    eccVerify: 265,
    eccSecret: 176,
    random: 5,
  },
  /** Microchip ATTPM20. */
  attpm20: {
    ...typical,
    rsaKey: 5276,
    eccKey: 153,
    rsaPrivate: 118,
    rsaPublic: 47,
    eccSign: 59,
    eccVerify: 43,
    eccSecret: 64,
    random: 29,
  },
  /** Nations Technologies Z32H330TC. */
  z32h330: {
    ...typical,
    rsaKey: 2184,
    eccKey: 52,
    rsaPrivate: 133,
    rsaPublic: 19,
    eccSign: 23,
    eccVerify: 37,
    eccSecret: 39,
    random: 2.8,
  },
} as const satisfies Readonly<Record<string, HardwareProfile>>;

/** What takes the time in a command, for an RSA and for an elliptic curve key. */
const heavy: Readonly<Record<string, readonly [rsa: keyof HardwareProfile, ecc: keyof HardwareProfile]>> = {
  TPM2_CreatePrimary: ['rsaKey', 'eccKey'],
  TPM2_Create: ['rsaKey', 'eccKey'],
  TPM2_CreateLoaded: ['rsaKey', 'eccKey'],
  TPM2_Sign: ['rsaPrivate', 'eccSign'],
  TPM2_Quote: ['rsaPrivate', 'eccSign'],
  TPM2_Certify: ['rsaPrivate', 'eccSign'],
  TPM2_CertifyCreation: ['rsaPrivate', 'eccSign'],
  TPM2_NV_Certify: ['rsaPrivate', 'eccSign'],
  TPM2_GetTime: ['rsaPrivate', 'eccSign'],
  TPM2_GetSessionAuditDigest: ['rsaPrivate', 'eccSign'],
  TPM2_GetCommandAuditDigest: ['rsaPrivate', 'eccSign'],
  TPM2_Commit: ['rsaPrivate', 'eccSecret'],
  TPM2_VerifySignature: ['rsaPublic', 'eccVerify'],
  TPM2_PolicySigned: ['rsaPublic', 'eccVerify'],
  TPM2_RSA_Encrypt: ['rsaPublic', 'eccSecret'],
  TPM2_RSA_Decrypt: ['rsaPrivate', 'eccSecret'],
  TPM2_ECDH_KeyGen: ['rsaPublic', 'eccSecret'],
  TPM2_ECDH_ZGen: ['rsaPublic', 'eccSecret'],
  TPM2_ZGen_2Phase: ['rsaPublic', 'eccSecret'],
  TPM2_EC_Ephemeral: ['rsaPublic', 'eccKey'],
  TPM2_MakeCredential: ['rsaPublic', 'eccSecret'],
  TPM2_ActivateCredential: ['rsaPrivate', 'eccSecret'],
  TPM2_Import: ['rsaPrivate', 'eccSecret'],
  TPM2_Duplicate: ['rsaPublic', 'eccSecret'],
  TPM2_Rewrap: ['rsaPrivate', 'eccSecret'],
  TPM2_StartAuthSession: ['rsaPrivate', 'eccSecret'],
};

const writes =
  /_(NV_(Write|Increment|Extend|SetBits|Define|Undefine|ReadLock|GlobalWriteLock|ChangeAuth)|EvictControl|Clear|Hierarchy|SetPrimaryPolicy|DictionaryAttack|ChangeEPS|ChangePPS|PCR_(Allocate|SetAuth)|Shutdown|ClockSet)/;

/** How long the chip of `profile` takes for `command`, given as `bytes`, in milliseconds. */
export function latencyOf(
  profile: HardwareProfile,
  chip: Machine,
  command: Command,
  bytes: Uint8Array,
): number {
  const kinds = heavy[command.name];
  if (kinds !== undefined) {
    const type = keyTypeOf(chip, command, bytes);
    if (type !== undefined) return profile[kinds[type === 'rsa' ? 0 : 1]];
  }
  if (command.name === 'TPM2_GetRandom')
    return profile.random * Math.max(1, ((bytes.at(-2) ?? 0) * 256 + (bytes.at(-1) ?? 0)) / 32);
  return writes.test(command.name) ? profile.write : profile.other;
}

/** The kind of key that the command makes or uses; a malformed command uses none. */
function keyTypeOf(chip: Machine, command: Command, bytes: Uint8Array): 'rsa' | 'ecc' | undefined {
  try {
    const { handles, parameters } = splitCommand(command, bytes);
    const made = command.parameters['inPublic'] && decodeRequest(command, handles, parameters)['inPublic'];
    const used = handles.map(
      (handle) => (chip.objects.get(handle) ?? chip.persistent.get(handle))?.publicArea,
    );
    // The signer, or the key that shares a secret, stands last.
    // A template of TPM2_CreateLoaded comes as bytes, its type first.
    if (made instanceof Uint8Array) return made[1] === 0x01 ? 'rsa' : made[1] === 0x23 ? 'ecc' : undefined;
    const area =
      (made as { readonly type?: string } | undefined) ?? used.findLast((one) => one !== undefined);
    return area?.type === 'rsa' || area?.type === 'ecc' ? area.type : undefined;
  } catch {
    return undefined;
  }
}
