import type { TPMS_CAPABILITY_DATA as CapabilityData, TPM_CAP } from '../../src/tpm/structures.ts';
import { TPM_ALG_ID, TPM_ECC_CURVE, TPM_HR, TPM_HT, TPM_RH } from '../../src/tpm/structures.ts';
import { auditedCommands } from './audit.ts';
import { commandAttributes } from './command-attributes.ts';
import { curves } from './crypto/ecc.ts';
import { hashAlgorithms, isHash } from './crypto/hash.ts';
import type { Machine } from './machine.ts';
import { counts, hasAuthority, isSaved, mayExtend, mayReset, pcrCount } from './pcr.ts';
import { presenceCommands } from './presence.ts';
import { makersProperties, tpmProperties } from './properties.ts';
import { parameterRefused, RC, Refusal } from './refusal.ts';

/** Bits of TPMA_ALGORITHM, Part 2 §8.2. */
const ASYMMETRIC = 1;
const SYMMETRIC = 2;
const HASH = 4;
const OBJECT = 8;
const SIGNING = 0x100;
const ENCRYPTING = 0x200;
const METHOD = 0x400;

const algorithms: Readonly<Partial<Record<TPM_ALG_ID, number>>> = {
  rsa: ASYMMETRIC | OBJECT,
  sha1: HASH,
  hmac: HASH | SIGNING,
  aes: SYMMETRIC,
  mgf1: HASH | METHOD,
  keyedhash: HASH | OBJECT | SIGNING | ENCRYPTING,
  xor: SYMMETRIC | HASH,
  sha256: HASH,
  sha384: HASH,
  sha512: HASH,
  rsassa: ASYMMETRIC | SIGNING,
  rsaes: ASYMMETRIC | ENCRYPTING,
  rsapss: ASYMMETRIC | SIGNING,
  oaep: ASYMMETRIC | ENCRYPTING,
  ecdsa: ASYMMETRIC | SIGNING,
  ecdh: ASYMMETRIC | METHOD,
  ecdaa: ASYMMETRIC | SIGNING,
  ecschnorr: ASYMMETRIC | SIGNING,
  kdf1_sp800_56a: HASH | METHOD,
  kdf1_sp800_108: HASH | METHOD,
  ecc: ASYMMETRIC | OBJECT,
  symcipher: OBJECT,
  ctr: SYMMETRIC | ENCRYPTING,
  ofb: SYMMETRIC | ENCRYPTING,
  cbc: SYMMETRIC | ENCRYPTING,
  cfb: SYMMETRIC | ENCRYPTING,
  ecb: SYMMETRIC | ENCRYPTING,
};

/** Most entries of each list in one answer (Part 2 §10.9, with a capability buffer of 1,024 bytes). */
const MOST = {
  algs: 169,
  handles: 254,
  commands: 254,
  ppCommands: 254,
  auditCommands: 254,
  tpmProperties: 127,
  pcrProperties: 84,
  eccCurves: 508,
  authPolicies: 14,
  act: 84,
};

/** TPM_RH_ACT_0, Part 2 §7.4. */
const firstAct = 0x4000_0110;

/** What TPM2_GetCapability answers (Part 3 §30.2): entries from `first` on, at most `count`. */
export function capability(chip: Machine, wanted: TPM_CAP, first: number, count: number) {
  if (chip.failed && wanted !== 'tpmProperties') throw new Refusal(RC.FAILURE);
  switch (wanted) {
    case 'algs':
      return page('algs', algorithmProperties(), (one) => one.alg, first & 0xffff, count);
    case 'handles':
      return page('handles', handlesFrom(chip, first), (handle) => handle, first, count);
    case 'commands':
      return page('commands', commandAttributes(chip), (one) => one & 0xffff, first, count);
    case 'ppCommands':
      return page('ppCommands', presenceCommands(chip), (code) => code, first, count);
    case 'auditCommands':
      return page('auditCommands', auditedCommands(chip), (code) => code, first, count);
    case 'pcrs': {
      if (first !== 0) throw parameterRefused(RC.VALUE, 2);
      const banks = hashAlgorithms.map((hash) => ({ hash, pcrSelect: [...chip.banks[hash].keys()] }));
      // All banks or none: there is nothing to go on from.
      const data = count === 0 ? [] : banks;
      return { moreData: count === 0 ? 'yes' : 'no', capabilityData: { capability: 'pcrs', data } } as const;
    }
    case 'tpmProperties': {
      const properties = chip.failed ? makersProperties(chip) : tpmProperties(chip);
      // Only those of one group: their numbers agree but for the last byte (Part 3 §30.2.1).
      const from = Math.max(first, properties[0]?.property ?? 0);
      const group = properties.filter((one) => one.property >>> 8 === from >>> 8);
      return page('tpmProperties', group, (one) => one.property, from, count);
    }
    case 'pcrProperties':
      return page('pcrProperties', pcrProperties(), (one) => one.tag, first, count);
    case 'eccCurves': {
      const ids = Object.keys(curves).map((curve) => TPM_ECC_CURVE.values[curve as keyof typeof curves]);
      return page('eccCurves', ids, (id) => id, first & 0xffff, count);
    }
    case 'authPolicies':
      if (first >>> 24 !== TPM_HT.permanent) throw parameterRefused(RC.VALUE, 2);
      return page('authPolicies', authPolicies(chip), (one) => one.handle, first, count);
    case 'act':
      if (first < firstAct || first > firstAct + 15) throw parameterRefused(RC.VALUE, 2);
      // There are no authenticated countdown timers.
      return page('act', [], () => 0, first, count);
  }
}

/** Whether this TPM has the algorithm, by its number in the TCG Algorithm Registry. */
export function hasAlgorithm(number: number): boolean {
  return algorithmProperties().some(({ alg }) => alg === number);
}

function algorithmProperties() {
  return Object.entries(algorithms)
    .map(([name, algProperties]) => ({ alg: TPM_ALG_ID.values[name as TPM_ALG_ID], algProperties }))
    .sort((a, b) => a.alg - b.alg);
}

/** TPMS_TAGGED_POLICY of the permanent entities that can have a policy. */
function authPolicies(chip: Machine) {
  return (['owner', 'lockout', 'endorsement', 'platform'] as const).map((name) => {
    const { policy, policyAlg } = chip.hierarchies[name];
    const policyHash = isHash(policyAlg)
      ? { hashAlg: policyAlg, digest: policy }
      : { hashAlg: 'null' as const };
    return { handle: TPM_RH[name], policyHash };
  });
}

function handlesFrom(chip: Machine, first: number): readonly number[] {
  const sorted = (handles: Iterable<number>) => [...handles].sort((a, b) => a - b);
  switch (first >>> 24) {
    case TPM_HT.pcr:
      return Array.from({ length: pcrCount }, (_, pcr) => pcr);
    case TPM_HT.nvIndex:
      return sorted(chip.nv.keys());
    case TPM_HT.hmacSession:
      // Loaded sessions of both kinds, by their numbers: no two have the same.
      return byNumber(chip.sessions.keys(), first);
    case TPM_HT.policySession:
      // What a saved session is, stands in its context; all are told as of the first type.
      return byNumber(
        [...chip.saved.keys()].map((handle) => TPM_HR.loadedSession + (handle & 0xffffff)),
        first,
      );
    case TPM_HT.permanent:
      return sorted(Object.values(TPM_RH).filter((handle) => handle !== TPM_RH.unassigned));
    case TPM_HT.transient:
      return sorted([...chip.objects.keys(), ...chip.sequences.keys()]);
    case TPM_HT.persistent:
      return sorted(chip.persistent.keys());
    default:
      throw parameterRefused(RC.HANDLE, 2);
  }
}

/** Handles from the one with the number of `first` on, whatever their first bytes are. */
function byNumber(handles: Iterable<number>, first: number): number[] {
  const number = (handle: number) => handle & 0xffffff;
  return [...handles]
    .filter((handle) => number(handle) >= number(first))
    .sort((a, b) => number(a) - number(b));
}

/** TPM_PT_PCR, Part 2 §6.14: what PCRs come back with a resume, who may change them, and what that means. */
function pcrProperties() {
  const selected = (tag: number, test: (pcr: number) => boolean) => {
    const map = [0, 0, 0];
    for (let pcr = 0; pcr < pcrCount; pcr++)
      if (test(pcr)) map[pcr >> 3] = (map[pcr >> 3] ?? 0) | (1 << (pcr & 7));
    return { tag, size: 3, map0: map[0] ?? 0, map1: map[1] ?? 0, map2: map[2] ?? 0 };
  };
  const localities = [0, 1, 2, 3, 4].flatMap((locality) => [
    selected(1 + 2 * locality, (pcr) => mayExtend(pcr, locality)),
    selected(2 + 2 * locality, (pcr) => mayReset(pcr, locality)),
  ]);
  return [
    selected(0, isSaved),
    ...localities,
    selected(0x11, (pcr) => !counts(pcr)),
    selected(0x12, (pcr) => mayReset(pcr, 4)),
    selected(0x13, hasAuthority),
    selected(0x14, hasAuthority),
  ];
}

type ListCapability = keyof typeof MOST;

function page<K extends ListCapability, T>(
  capabilityName: K,
  all: readonly T[],
  keyOf: (one: T) => number,
  first: number,
  count: number,
): { readonly moreData: 'yes' | 'no'; readonly capabilityData: CapabilityData } {
  // Sessions are told from both ranges (0x02…, 0x03…) whatever range was asked for.
  const isSessions = capabilityName === 'handles' && (first >>> 24 === 2 || first >>> 24 === 3);
  const from = isSessions ? all : all.filter((one) => keyOf(one) >= first);
  const data = from.slice(0, Math.min(count, MOST[capabilityName]));
  return {
    moreData: data.length < from.length ? 'yes' : 'no',
    capabilityData: { capability: capabilityName, data } as unknown as CapabilityData,
  };
}
