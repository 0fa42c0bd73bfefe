import { u32 } from '../core/bytes.ts';
import { digestSize } from './kdf.ts';
import { Policy } from './policy.ts';
import type { TPMS_NV_PUBLIC } from './structures/nv.ts';

/** The NV public area behind the delegation branch of device keys (TCG Keys for Device Identity §7.3.4). */
export function delegationIndex(of: 'idevid' | 'iak', hash: 'sha256' | 'sha384' | 'sha512'): TPMS_NV_PUBLIC {
  const offset = { sha256: 0, sha384: 1, sha512: 2 }[hash];
  return {
    nvIndex: (of === 'idevid' ? 0x01c90010 : 0x01c90018) + offset,
    nameAlg: hash,
    // 0x220F1008 with TPMA_NV_WRITTEN (bit 29) set
    attributes: {
      nt: 'ordinary',
      policywrite: true,
      writeall: true,
      ppread: true,
      ownerread: true,
      authread: true,
      policyread: true,
      noDa: true,
      written: true,
    },
    authPolicy: Policy.start(hash).secret(u32(0x4000000b)).digest,
    dataSize: 2 + digestSize(hash),
  };
}

/** The four branches of a device key's authPolicy, in the order of its PolicyOR. */
export function deviceKeyBranches(
  of: 'idevid' | 'iak',
  hash: 'sha256' | 'sha384' | 'sha512',
): readonly Uint8Array[] {
  const user = Policy.start(hash).secret(u32(0x4000000b));
  return [
    user.digest,
    user.commandCode(0x148).digest,
    user.commandCode(0x147).digest,
    Policy.start(hash).authorizeNv(delegationIndex(of, hash)).digest,
  ];
}
