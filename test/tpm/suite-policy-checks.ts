import { beforeEach, describe, expect, it } from 'vitest';
import { concat } from '../../src/core/bytes.ts';
import {
  TPM2_NV_DefineSpace,
  TPM2_NV_ReadLock,
  TPM2_NV_UndefineSpace,
  TPM2_NV_Write,
  TPM2_PolicyAuthorizeNV,
  TPM2_PolicyAuthValue,
  TPM2_PolicyCommandCode,
  TPM2_PolicyCounterTimer,
  TPM2_PolicyCpHash,
  TPM2_PolicyDuplicationSelect,
  TPM2_PolicyGetDigest,
  TPM2_PolicyLocality,
  TPM2_PolicyNameHash,
  TPM2_PolicyNV,
  TPM2_PolicyNvWritten,
  TPM2_PolicyOR,
  TPM2_PolicyPCR,
  TPM2_PolicyRestart,
  TPM2_PolicyTemplate,
} from '../../src/tpm/commands.ts';
import type { Transport } from '../../src/tpm/index.ts';
import { Policy, TPM_RH } from '../../src/tpm/index.ts';
import { digest } from '../../src/tpm/kdf.ts';
import { send } from './raw.ts';
import { flushAll, startKeyless } from './raw-sessions.ts';

const none = new Uint8Array();
const zeros = new Uint8Array(32);
const ones = new Uint8Array(32).fill(0xff);
const index = 0x01500001;
/** Sixteen bytes: 0x80, 1, 2, 3 … */
const content = Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? 0x80 : i));
const OWNER = TPM_RH.owner;

/**
 * Policies that look at something, what these commands take and what they refuse: the same of every TPM.
 *
 * @param negatives How it orders two negative numbers: as numbers, or (libtpms) the other way round.
 */
export function policyCheckStories(open: () => Transport, negatives: 'ordered' | 'reversed'): void {
  let chip: Transport;
  let policySession: number;
  beforeEach(async () => {
    chip = open();
    await flushAll(chip);
    ({ handle: policySession } = await startKeyless(chip, 'policy'));
  });

  const policyDigest = async (session = policySession) =>
    (await send(chip, TPM2_PolicyGetDigest, { policySession: session })).response.policyDigest;
  const empty = Policy.start('sha256');

  describe('PolicyNV and PolicyAuthorizeNV', () => {
    const onIndex = { authHandle: OWNER, nvIndex: index };
    const define = async (attributes: object, data: Uint8Array | undefined) => {
      await send(chip, TPM2_NV_UndefineSpace, onIndex);
      const publicInfo = {
        nvIndex: index,
        nameAlg: 'sha256',
        attributes: { nt: 'ordinary', ownerwrite: true, authread: true, noDa: true, ...attributes },
        authPolicy: none,
        dataSize: data?.length ?? 16,
      } as const;
      expect(
        (await send(chip, TPM2_NV_DefineSpace, { authHandle: OWNER, auth: none, publicInfo })).code,
      ).toBe(0);
      if (data !== undefined)
        expect((await send(chip, TPM2_NV_Write, { ...onIndex, data, offset: 0 })).code).toBe(0);
      return publicInfo;
    };
    const compare = async (
      operation: Parameters<typeof policyNv>[0],
      operandB: Uint8Array,
      offset = 0,
      authHandle = index,
    ) => (await policyNv(operation, operandB, offset, authHandle)).code;
    const policyNv = (
      operation: Parameters<Policy['nv']>[1]['operation'],
      operandB: Uint8Array,
      offset: number,
      authHandle: number,
    ) =>
      send(chip, TPM2_PolicyNV, { authHandle, nvIndex: index, policySession, operandB, offset, operation });

    it('compares as it is told: equal, signed, unsigned, by bits', async () => {
      const publicInfo = await define({}, content);
      const written = { ...publicInfo, attributes: { ...publicInfo.attributes, written: true } };
      const before = empty.nv(written, { operandB: content, operation: 'eq' });
      expect(await compare('eq', content)).toBe(0);
      expect(await policyDigest()).toEqual(before.digest);
      const at = (byte: number) => Uint8Array.of(byte, 1);
      // The first two bytes of the index are 0x8001: 32769, or -32767.
      const table: readonly (readonly [Parameters<typeof compare>[0], Uint8Array, boolean])[] = [
        ['eq', at(0x80), true],
        ['eq', at(0x81), false],
        ['neq', at(0x81), true],
        ['neq', at(0x80), false],
        ['signedGt', at(0x00), false],
        ['signedGt', Uint8Array.of(0x80, 0), negatives === 'ordered'],
        ['unsignedGt', at(0x7f), true],
        ['unsignedGt', at(0x80), false],
        ['signedLt', at(0x00), true],
        ['signedLt', at(0xff), negatives === 'ordered'],
        ['signedLt', at(0x80), false],
        ['unsignedLt', at(0x81), true],
        ['unsignedLt', at(0x7f), false],
        ['signedGe', at(0x80), true],
        ['signedGe', at(0x7f), false],
        ['unsignedGe', at(0x80), true],
        ['unsignedGe', at(0x81), false],
        ['signedLe', at(0x80), true],
        ['signedLe', at(0x7f), true],
        ['signedLe', Uint8Array.of(0x80, 0), negatives !== 'ordered'],
        ['unsignedLe', at(0x80), true],
        ['unsignedLe', at(0x7f), false],
        ['bitset', at(0x80), true],
        ['bitset', at(0x81), false],
        ['bitclear', Uint8Array.of(0x7f, 0xfe), true],
        ['bitclear', at(0), false],
      ];
      for (const [operation, operandB, holds] of table)
        expect([operation, operandB, await compare(operation, operandB)]).toEqual([
          operation,
          operandB,
          holds ? 0 : 0x126,
        ]);
      expect(await compare('eq', Uint8Array.of(15), 15)).toBe(0);
      expect(await compare('eq', none, 16)).toBe(0);
      expect(await compare('eq', none, 17)).toBe(0x2c4);
      expect(await compare('eq', Uint8Array.of(15, 16), 15)).toBe(0x1d5);
    });

    it('reads only what may be read, and what is there', async () => {
      await define({ readStclear: true }, undefined);
      expect(await compare('eq', none)).toBe(0x14a);
      expect(await compare('eq', none, 0, OWNER)).toBe(0x149);
      await send(chip, TPM2_NV_Write, { ...onIndex, data: content, offset: 0 });
      expect(await compare('eq', none)).toBe(0);
      await send(chip, TPM2_NV_ReadLock, { authHandle: index, nvIndex: index });
      expect(await compare('eq', none)).toBe(0x148);
      const trial = await startKeyless(chip, 'trial');
      ({ handle: policySession } = trial);
      expect(await compare('eq', ones)).toBe(0);
    });

    it('lets whoever may write an index say what the policy is', async () => {
      const approved = async (data: Uint8Array) => {
        const publicInfo = await define({}, data);
        const { code } = await send(chip, TPM2_PolicyAuthorizeNV, {
          authHandle: index,
          nvIndex: index,
          policySession,
        });
        const written = { ...publicInfo, attributes: { ...publicInfo.attributes, written: true } };
        return { code, expected: empty.authorizeNv(written).digest };
      };
      await send(chip, TPM2_PolicyAuthValue, { policySession });
      const now = await policyDigest();
      expect((await approved(Uint8Array.of(0))).code).toBe(0x9a);
      expect((await approved(Uint8Array.of(0, 0x10, 1))).code).toBe(0x83);
      expect((await approved(concat(Uint8Array.of(0, 11), now.subarray(1)))).code).toBe(0x9a);
      expect((await approved(concat(Uint8Array.of(0, 4), now.subarray(0, 20)))).code).toBe(0x83);
      expect((await approved(concat(Uint8Array.of(0, 11), zeros))).code).toBe(0x84);
      const { code, expected } = await approved(concat(Uint8Array.of(0, 11), now, zeros));
      expect(code).toBe(0);
      expect(await policyDigest()).toEqual(expected);
      await send(chip, TPM2_NV_UndefineSpace, onIndex);
    });
  });

  describe('PolicyCounterTimer', () => {
    const timer = async (operation: 'eq' | 'unsignedGe', operandB: Uint8Array, offset = 0) =>
      (await send(chip, TPM2_PolicyCounterTimer, { policySession, operandB, offset, operation })).code;

    it('compares with the 25 bytes of TPMS_TIME_INFO', async () => {
      expect(await timer('unsignedGe', zeros.subarray(0, 8))).toBe(0);
      expect(await timer('eq', ones.subarray(0, 8), 8)).toBe(0x126);
      expect(await timer('unsignedGe', zeros.subarray(0, 1), 24)).toBe(0);
      expect(await timer('eq', none, 26)).toBe(0x2c4);
      expect(await timer('eq', zeros.subarray(0, 2), 24)).toBe(0x8d);
      ({ handle: policySession } = await startKeyless(chip, 'trial'));
      expect(await timer('eq', ones.subarray(0, 8), 8)).toBe(0);
      expect(await timer('eq', zeros.subarray(0, 2), 24)).toBe(0x8d);
    });
  });

  describe('cpHash, nameHash and template', () => {
    const limits = {
      cpHash: async (value: Uint8Array) =>
        (await send(chip, TPM2_PolicyCpHash, { policySession, cpHashA: value })).code,
      nameHash: async (value: Uint8Array) =>
        (await send(chip, TPM2_PolicyNameHash, { policySession, nameHash: value })).code,
      template: async (value: Uint8Array) =>
        (await send(chip, TPM2_PolicyTemplate, { policySession, templateHash: value })).code,
      duplication: async (value: Uint8Array) =>
        (
          await send(chip, TPM2_PolicyDuplicationSelect, {
            policySession,
            objectName: value,
            newParentName: value,
            includeObject: 'yes',
          })
        ).code,
    } as const;
    const kinds = Object.keys(limits) as (keyof typeof limits)[];

    it.each(['cpHash', 'nameHash', 'template'] as const)('are of the size of the hash: %s', async (kind) => {
      expect(await limits[kind](none)).toBe(0x1d5);
      expect(await limits[kind](zeros.subarray(1))).toBe(0x1d5);
      expect(await limits[kind](zeros)).toBe(0);
    });

    it.each(kinds)('exclude each other: CPHASH after %s', async (first) => {
      for (const second of kinds) {
        if (second === first) continue;
        await send(chip, TPM2_PolicyRestart, { sessionHandle: policySession });
        expect(await limits[first](zeros)).toBe(0);
        expect([second, await limits[second](ones)]).toEqual([second, 0x151]);
      }
    });

    it('stay what they are', async () => {
      expect(await limits.cpHash(zeros)).toBe(0);
      expect(await limits.cpHash(zeros)).toBe(0);
      expect(await limits.cpHash(ones)).toBe(0x151);
      await send(chip, TPM2_PolicyRestart, { sessionHandle: policySession });
      expect(await limits.nameHash(zeros)).toBe(0);
      expect(await limits.nameHash(zeros)).toBe(0x151);
      await send(chip, TPM2_PolicyRestart, { sessionHandle: policySession });
      expect(await limits.template(zeros)).toBe(0);
      expect(await limits.template(zeros)).toBe(0);
      expect(await limits.template(ones)).toBe(0x1c4);
    });

    it('are limits of the command too: PolicyDuplicationSelect is for TPM2_Duplicate', async () => {
      await send(chip, TPM2_PolicyCommandCode, { policySession, code: 0x15d });
      expect(await limits.duplication(zeros)).toBe(0x143);
      await send(chip, TPM2_PolicyRestart, { sessionHandle: policySession });
      expect(await limits.duplication(zeros)).toBe(0);
      expect((await send(chip, TPM2_PolicyCommandCode, { policySession, code: 0x15d })).code).toBe(0x1c4);
    });
  });

  describe('PolicyLocality', () => {
    const locality = async (value: number) =>
      (await send(chip, TPM2_PolicyLocality, { policySession, locality: value })).code;

    it('narrows, until nothing would be left', async () => {
      expect(await locality(0)).toBe(0x1cd);
      expect(await locality(0b111)).toBe(0);
      expect(await locality(0b110)).toBe(0);
      expect(await locality(0b001)).toBe(0x1cd);
      expect(await locality(32)).toBe(0x1cd);
    });

    it('is of one extended locality, or of some of the five', async () => {
      expect(await locality(33)).toBe(0);
      expect(await locality(33)).toBe(0);
      expect(await locality(34)).toBe(0x1cd);
      expect(await locality(1)).toBe(0x1cd);
    });
  });

  describe('the other assertions', () => {
    it('do not contradict themselves', async () => {
      const written = async (writtenSet: 'yes' | 'no') =>
        (await send(chip, TPM2_PolicyNvWritten, { policySession, writtenSet })).code;
      expect([await written('yes'), await written('yes'), await written('no')]).toEqual([0, 0, 0x1c4]);
      const forCommand = async (code: number) =>
        (await send(chip, TPM2_PolicyCommandCode, { policySession, code })).code;
      expect([await forCommand(0x1ff), await forCommand(0x15d), await forCommand(0x15e)]).toEqual([
        0x1e4, 0, 0x1c4,
      ]);
    });

    it('are of two to eight policies where one of several is enough', async () => {
      const or = async (...pHashList: readonly Uint8Array[]) =>
        (await send(chip, TPM2_PolicyOR, { policySession, pHashList })).code;
      expect(await or()).toBe(0x1d5);
      expect(await or(zeros)).toBe(0x1d5);
      expect(await or(ones, ones)).toBe(0x1c4);
      expect(await or(ones, none, zeros)).toBe(0);
      expect(await policyDigest()).toEqual(empty.or([ones, none, zeros]).digest);
    });

    it('are of PCRs as they are', async () => {
      const pcrs = [{ hash: 'sha256', pcrSelect: [0, 10] }] as const;
      const pcr = async (pcrDigest: Uint8Array, session = policySession) =>
        (await send(chip, TPM2_PolicyPCR, { policySession: session, pcrDigest, pcrs })).code;
      expect(await pcr(zeros)).toBe(0x1c4);
      expect(await pcr(none)).toBe(0);
      const now = digest('sha256', zeros, zeros);
      expect(await policyDigest()).toEqual(empty.pcr(pcrs, now).digest);
      const trial = await startKeyless(chip, 'trial');
      expect(await pcr(ones, trial.handle)).toBe(0);
      expect(await policyDigest(trial.handle)).toEqual(empty.pcr(pcrs, ones).digest);
    });

    it('are for policy sessions alone', async () => {
      const { handle } = await startKeyless(chip, 'hmac');
      expect((await send(chip, TPM2_PolicyAuthValue, { policySession: handle })).code).toBe(0x184);
      expect((await send(chip, TPM2_PolicyAuthValue, { policySession: 0x03000000 + 40 })).code).toBe(0x910);
    });
  });
}
