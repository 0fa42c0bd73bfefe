import { allCommands } from '../../src/tpm/command-table.ts';
import type { TPMS_CAPABILITY_DATA as CapabilityData, TPM_CAP } from '../../src/tpm/structures.ts';
import { TPM_ALG_ID, TPM_ECC_CURVE, TPM_HT, TPM_RH } from '../../src/tpm/structures.ts';
import { curves } from './crypto/ecc.ts';
import { hashAlgorithms } from './crypto/hash.ts';
import type { Machine } from './machine.ts';
import { mayExtend, mayReset, pcrCount } from './pcr.ts';
import { tpmProperties } from './properties.ts';
import { parameterRefused, RC } from './refusal.ts';

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
  commands: 256,
  tpmProperties: 127,
  pcrProperties: 84,
  eccCurves: 508,
};

/** What TPM2_GetCapability answers (Part 3 §30.2): entries from `first` on, at most `count`. */
export function capability(chip: Machine, wanted: TPM_CAP, first: number, count: number) {
  switch (wanted) {
    case 'algs':
      return page('algs', algorithmProperties(), (one) => one.alg, first, count);
    case 'handles':
      return page('handles', handlesFrom(chip, first), (handle) => handle, first, count);
    case 'commands':
      return page('commands', commandAttributes(chip), (one) => one & 0xffff, first, count);
    case 'ppCommands':
    case 'auditCommands':
      return { moreData: 'no', capabilityData: { capability: wanted, data: [] } } as const;
    case 'pcrs': {
      if (first !== 0) throw parameterRefused(RC.VALUE, 2);
      const pcrSelect = Array.from({ length: pcrCount }, (_, pcr) => pcr);
      const data = hashAlgorithms.map((hash) => ({ hash, pcrSelect }));
      return { moreData: 'no', capabilityData: { capability: 'pcrs', data } } as const;
    }
    case 'tpmProperties':
      return page('tpmProperties', tpmProperties(chip), (one) => one.property, first, count);
    case 'pcrProperties':
      return page('pcrProperties', pcrProperties(), (one) => one.tag, first, count);
    case 'eccCurves': {
      const ids = Object.keys(curves).map((curve) => TPM_ECC_CURVE.values[curve as keyof typeof curves]);
      return page('eccCurves', ids, (id) => id, first, count);
    }
    default:
      throw parameterRefused(RC.VALUE, 1);
  }
}

/** TPMA_CC of every command this TPM has, by ascending code (Part 2 §8.9). */
export function commandAttributes(chip: Machine): number[] {
  const changesNv =
    /_(NV_(?!Read|Certify)|Clear|HierarchyChange|EvictControl|Startup|Shutdown|DictionaryAttack|EventSequenceComplete)/;
  const flushesItsHandle = /SequenceComplete$/;
  return allCommands()
    .filter((command) => chip.implemented.has(command.code))
    .map((command) => {
      const inputs = Object.keys(command.handles).length;
      const output = Object.keys(command.responseHandles).length;
      const nv = changesNv.test(command.name) ? 1 << 22 : 0;
      const extensive = command.name === 'TPM2_Clear' ? 1 << 23 : 0;
      const flushed = flushesItsHandle.test(command.name) ? 1 << 24 : 0;
      return command.code | nv | extensive | flushed | (inputs << 25) | (output << 28);
    });
}

function algorithmProperties() {
  return Object.entries(algorithms)
    .map(([name, algProperties]) => ({ alg: TPM_ALG_ID.values[name as TPM_ALG_ID], algProperties }))
    .sort((a, b) => a.alg - b.alg);
}

function handlesFrom(chip: Machine, first: number): readonly number[] {
  const sorted = (handles: Iterable<number>) => [...handles].sort((a, b) => a - b);
  switch (first >>> 24) {
    case TPM_HT.pcr:
      return Array.from({ length: pcrCount }, (_, pcr) => pcr);
    case TPM_HT.nvIndex:
      return sorted(chip.nv.keys());
    case TPM_HT.hmacSession:
      // Loaded sessions of both kinds; asked for by number, so that the first to come back is told by its number too.
      return sorted(chip.sessions.keys()).filter((handle) => (handle & 0xffffff) >= (first & 0xffffff));
    case TPM_HT.policySession:
      return sorted(chip.saved.keys()).filter((handle) => (handle & 0xffffff) >= (first & 0xffffff));
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

/** TPM_PT_PCR, Part 2 §6.14: which PCRs a locality may extend and reset, and which do not count. */
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
  return [selected(0, (pcr) => pcr < 16), ...localities];
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
