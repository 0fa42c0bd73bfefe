import { utf8 } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/platform.ts';
import { digestSize } from './crypto/hash.ts';
import { kdfA } from './crypto/kdf.ts';

/** The permanent entities with an auth value. */
export const hierarchyNames = ['owner', 'endorsement', 'platform', 'lockout', 'null'] as const;

/** One of {@link hierarchyNames}. */
export type HierarchyName = (typeof hierarchyNames)[number];

/** Those that keys can be in. */
export type KeyHierarchy = Exclude<HierarchyName, 'lockout'>;

/** A hierarchy: its seed, its proof, and who may use it. */
export interface Hierarchy {
  /** Every primary object grows from it. */
  seed: Uint8Array;
  /** Key of tickets: only this TPM can have made them, and TPM2_Clear makes them worthless. */
  proof: Uint8Array;
  auth: Uint8Array;
  policy: Uint8Array;
  /** `null` without a policy. */
  policyAlg: string;
}

/** What TPM2_HierarchyControl switches; all of it is on after a TPM reset. */
export interface Enabled {
  owner: boolean;
  endorsement: boolean;
  platform: boolean;
  /** Whether the NV indices of the platform can be reached. */
  platformNv: boolean;
}

/** Everything on. */
export const allEnabled: Readonly<Enabled> = {
  owner: true,
  endorsement: true,
  platform: true,
  platformNv: true,
};

const none = new Uint8Array();

/** A new hierarchy without auth value. With `seed` (text of a simulated TPM), repeatable. */
export function freshHierarchy(name: HierarchyName, random: Random, seed: Uint8Array | undefined): Hierarchy {
  const secret = (use: string) =>
    seed === undefined
      ? random.bytes(digestSize('sha512'))
      : kdfA('sha512', seed, `${name} ${use}`, none, none, 512);
  return { seed: secret('seed'), proof: secret('proof'), auth: none, policy: none, policyAlg: 'null' };
}

/** The hierarchies of a new TPM. With `seed`, all are repeatable but for the null hierarchy, which no start survives. */
export function freshHierarchies(random: Random, seed: string | undefined): Record<HierarchyName, Hierarchy> {
  const given = seed === undefined ? undefined : utf8(seed);
  const fresh = (name: HierarchyName) => freshHierarchy(name, random, given);
  return {
    owner: fresh('owner'),
    endorsement: fresh('endorsement'),
    platform: fresh('platform'),
    lockout: fresh('lockout'),
    null: freshHierarchy('null', random, undefined),
  };
}

/** What TPM2_Clear makes of a hierarchy: a new proof, no auth value, no policy; a new seed only if asked for. */
export function clearHierarchy(
  hierarchy: Hierarchy,
  random: Random,
  simulated: boolean,
  newSeed: boolean,
): void {
  renewSecrets(hierarchy, random, simulated, newSeed);
  hierarchy.auth = none;
  clearPolicy(hierarchy);
}

/** Takes the policy of a hierarchy away. */
export function clearPolicy(hierarchy: Hierarchy): void {
  hierarchy.policy = none;
  hierarchy.policyAlg = 'null';
}

/** A new proof, and a new seed if asked for: everything made under the old ones is worthless. */
export function renewSecrets(
  hierarchy: Hierarchy,
  random: Random,
  simulated: boolean,
  newSeed: boolean,
): void {
  const next = (old: Uint8Array, use: string) =>
    simulated ? kdfA('sha512', old, use, none, none, 512) : random.bytes(old.length);
  if (newSeed) hierarchy.seed = next(hierarchy.seed, 'next seed');
  hierarchy.proof = next(hierarchy.proof, 'next proof');
}
