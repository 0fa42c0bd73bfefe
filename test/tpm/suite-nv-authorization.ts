import { beforeEach, describe, expect, it } from 'vitest';
import {
  TPM2_NV_DefineSpace,
  TPM2_NV_Read,
  TPM2_NV_UndefineSpace,
  TPM2_NV_Write,
  TPM2_PolicyNvWritten,
  TPM2_PolicyOR,
  TPM2_PolicySecret,
} from '../../src/tpm/commands.ts';
import type { Transport } from '../../src/tpm/index.ts';
import { Policy, TPM_RH } from '../../src/tpm/index.ts';
import type { RawSession } from './raw.ts';
import { passwordOf, send } from './raw.ts';
import { flushAll, startKeyless } from './raw-sessions.ts';

const none = new Uint8Array();
const zeros = new Uint8Array(32);
const OWNER = TPM_RH.owner;
const index = 0x01500004;
const sealed = new Uint8Array(32).fill(5);
const start = Policy.start('sha256');

/** Policies and PINs of NV indices when they are used (Part 1 §37.2). */
export function nvAuthorizationStories(open: () => Transport): void {
  let chip: Transport;
  let policySession: number;
  beforeEach(async () => {
    chip = open();
    await flushAll(chip);
    ({ handle: policySession } = await startKeyless(chip, 'policy'));
  });

  const bySession = (): RawSession[] => [{ sessionHandle: policySession, nonce: new Uint8Array(16) }];
  describe('a policy of an NV index', () => {
    const at = { authHandle: index, nvIndex: index };
    it('reads and writes as the attributes say, before and after the first write', async () => {
      const read = start.nvWritten(true);
      const write = start.nvWritten(false);
      const { policy, lists } = Policy.any([read, write]);
      await send(chip, TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
      const defined = await send(chip, TPM2_NV_DefineSpace, {
        authHandle: OWNER,
        auth: none,
        publicInfo: {
          nvIndex: index,
          nameAlg: 'sha256',
          attributes: { nt: 'ordinary', policywrite: true, policyread: true, noDa: true },
          authPolicy: policy.digest,
          dataSize: 4,
        },
      });
      expect(defined.code).toBe(0);
      const assert = async (writtenSet: 'yes' | 'no') => {
        await send(chip, TPM2_PolicyNvWritten, { policySession, writtenSet });
        for (const pHashList of lists(writtenSet === 'yes' ? 0 : 1))
          await send(chip, TPM2_PolicyOR, { policySession, pHashList });
      };
      const writing = async (sessions = bySession()) =>
        (await send(chip, TPM2_NV_Write, { ...at, data: zeros.subarray(0, 4), offset: 0 }, sessions)).code;
      const reading = async (sessions = bySession()) =>
        (await send(chip, TPM2_NV_Read, { ...at, size: 4, offset: 0 }, sessions)).code;
      const fresh = async () => {
        await flushAll(chip);
        ({ handle: policySession } = await startKeyless(chip, 'policy'));
      };
      expect(await writing([passwordOf()])).toBe(0x12f);
      await assert('yes');
      expect(await writing()).toBe(0x99d);
      await fresh();
      await assert('no');
      expect(await writing()).toBe(0);
      await assert('no');
      expect(await writing()).toBe(0x99d);
      await fresh();
      await assert('yes');
      expect(await reading()).toBe(0);
      expect(await reading([passwordOf()])).toBe(0x12f);
      await send(chip, TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
    });
  });

  describe('an index with a PIN', () => {
    const at = { authHandle: index, nvIndex: index };
    const counts = (count: number, limit: number) => Uint8Array.of(0, 0, 0, count, 0, 0, 0, limit);
    const define = async (nt: 'pinFail' | 'pinPass') => {
      await send(chip, TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
      const attributes = { nt, ownerwrite: true, ownerread: true, authread: true, noDa: true } as const;
      const publicInfo = {
        nvIndex: index,
        nameAlg: 'sha256',
        attributes,
        authPolicy: none,
        dataSize: 8,
      } as const;
      return (await send(chip, TPM2_NV_DefineSpace, { authHandle: OWNER, auth: sealed, publicInfo })).code;
    };
    const write = (data: Uint8Array) =>
      send(chip, TPM2_NV_Write, { authHandle: OWNER, nvIndex: index, data, offset: 0 });
    /** By PolicySecret, so that reading does not count itself. */
    const use = async (pin: Uint8Array) =>
      (
        await send(
          chip,
          TPM2_PolicySecret,
          {
            authHandle: index,
            policySession,
            nonceTPM: none,
            cpHashA: none,
            policyRef: none,
            expiration: -100,
          },
          [passwordOf(pin)],
        )
      ).code;
    const held = async () =>
      (await send(chip, TPM2_NV_Read, { authHandle: OWNER, nvIndex: index, size: 8, offset: 0 })).response
        .data;

    it('counts wrong ones until one is right, or none is taken any more', async (context) => {
      if ((await define('pinFail')) === 0x2c2) context.skip();
      expect(await use(sealed)).toBe(0x12f);
      await write(counts(0, 2));
      expect(await use(zeros)).toBe(0x9a2);
      expect(await held()).toEqual(counts(1, 2));
      expect(await use(sealed)).toBe(0);
      expect(await held()).toEqual(counts(0, 2));
      for (let i = 0; i < 2; i++) expect(await use(zeros)).toBe(0x9a2);
      expect(await use(sealed)).toBe(0x12f);
      expect(await held()).toEqual(counts(2, 2));
    });

    it('can be used so often, and is given no ticket for', async (context) => {
      if ((await define('pinPass')) === 0x2c2) context.skip();
      await write(counts(0, 2));
      expect(await use(zeros)).toBe(0x9a2);
      expect(await use(sealed)).toBe(0);
      expect(await held()).toEqual(counts(1, 2));
      const secret = { nonceTPM: none, cpHashA: none, policyRef: none, expiration: -100 };
      const { response } = await send(
        chip,
        TPM2_PolicySecret,
        { authHandle: index, policySession, ...secret },
        [passwordOf(sealed)],
      );
      expect(response.timeout).toEqual(none);
      expect(await use(sealed)).toBe(0x12f);
      await send(chip, TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
    });

    it('is read at its own cost', async (context) => {
      if ((await define('pinPass')) === 0x2c2) context.skip();
      await write(counts(0, 1));
      const read = async () =>
        (await send(chip, TPM2_NV_Read, { ...at, size: 8, offset: 0 }, [passwordOf(sealed)])).code;
      expect(await read()).toBe(0);
      expect(await read()).toBe(0x12f);
      await send(chip, TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
    });
  });
}
