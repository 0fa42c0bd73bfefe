import { createHmac } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { u32 } from '../../src/core/bytes.ts';
import {
  TPM2_LoadExternal,
  TPM2_PolicyAuthorize,
  TPM2_PolicyAuthValue,
  TPM2_PolicyGetDigest,
  TPM2_PolicySecret,
  TPM2_PolicySigned,
  TPM2_PolicyTicket,
  TPM2_VerifySignature,
} from '../../src/tpm/commands.ts';
import type { Transport } from '../../src/tpm/index.ts';
import { Policy, TPM_RH } from '../../src/tpm/index.ts';
import { digest } from '../../src/tpm/kdf.ts';
import type { TPMT_SIGNATURE as Signature } from '../../src/tpm/structures.ts';
import { send } from './raw.ts';
import { flushAll, startKeyless } from './raw-sessions.ts';

const none = new Uint8Array();
const zeros = new Uint8Array(32);
const ones = new Uint8Array(32).fill(0xff);
const hmacKey = new Uint8Array(32).fill(7);
const OWNER = TPM_RH.owner;

/** Policies that somebody else satisfies, what these commands take and what they refuse: the same of every TPM. */
export function policyAuthorityStories(open: () => Transport): void {
  let chip: Transport;
  let policySession: number;
  let nonceTPM: Uint8Array;
  beforeEach(async () => {
    chip = open();
    await flushAll(chip);
    ({ handle: policySession, nonceTPM } = await startKeyless(chip, 'policy'));
  });

  const policyDigest = async (session = policySession) =>
    (await send(chip, TPM2_PolicyGetDigest, { policySession: session })).response.policyDigest;
  const empty = Policy.start('sha256');

  describe('PolicySecret', () => {
    const secret = async (changed: Partial<Parameters<typeof asked>[0]> = {}) =>
      (await send(chip, TPM2_PolicySecret, asked(changed))).code;
    const asked = (changed: {
      readonly authHandle?: number;
      readonly nonceTPM?: Uint8Array;
      readonly cpHashA?: Uint8Array;
      readonly expiration?: number;
    }) => ({
      authHandle: OWNER,
      policySession,
      nonceTPM: none,
      cpHashA: none,
      policyRef: none,
      expiration: 0,
      ...changed,
    });

    it('takes the nonce of its session and no other', async () => {
      expect(await secret({ nonceTPM })).toBe(0);
      expect(await secret({ nonceTPM: nonceTPM.map((byte) => byte ^ 1) })).toBe(0x1cf);
    });

    it('limits to a command by a cpHash of the right size, and never to two', async () => {
      expect(await secret({ cpHashA: zeros.subarray(1) })).toBe(0x2d5);
      expect(await secret({ cpHashA: zeros })).toBe(0);
      expect(await secret({ cpHashA: zeros })).toBe(0);
      expect(await secret({ cpHashA: ones })).toBe(0x151);
    });

    it('gives no ticket unless the time is negative', async () => {
      for (const expiration of [0, 1000]) {
        const { response } = await send(chip, TPM2_PolicySecret, asked({ expiration, nonceTPM }));
        expect(response.timeout).toHaveLength(0);
        expect(response.policyTicket).toEqual({ tag: 'authSecret', hierarchy: TPM_RH.null, digest: none });
      }
      const { response } = await send(chip, TPM2_PolicySecret, asked({ expiration: -1000, nonceTPM }));
      expect(response.timeout).toHaveLength(8);
      expect(response.policyTicket).toMatchObject({ tag: 'authSecret', hierarchy: OWNER });
      expect(response.policyTicket.digest.length).toBeGreaterThan(0);
    });

    it('is about an entity: not about none', async () => {
      expect(await secret({ authHandle: TPM_RH.null })).toBe(0x184);
      expect(await secret({ authHandle: TPM_RH.lockout })).toBe(0);
      expect(await secret({ authHandle: 0x00000000 })).toBe(0);
    });
  });

  describe('PolicyTicket', () => {
    it('stands for the PolicySecret that gave it, word for word', async () => {
      const common = { cpHashA: none, policyRef: zeros } as const;
      const { response } = await send(chip, TPM2_PolicySecret, {
        ...common,
        authHandle: TPM_RH.endorsement,
        policySession,
        nonceTPM: none,
        expiration: -100_000,
      });
      const secret = await policyDigest();
      const other = await startKeyless(chip, 'policy');
      const use = async (changed: object = {}) =>
        (
          await send(chip, TPM2_PolicyTicket, {
            ...common,
            policySession: other.handle,
            timeout: response.timeout,
            authName: u32(TPM_RH.endorsement),
            ticket: response.policyTicket,
            ...changed,
          })
        ).code;
      expect(response.policyTicket.hierarchy).toBe(TPM_RH.endorsement);
      expect(await use({ policyRef: none })).toBe(0x5e0);
      expect(await use({ authName: u32(OWNER) })).toBe(0x5e0);
      expect(await use({ timeout: ones.subarray(0, 8) })).toBe(0x5e0);
      expect(await use({ timeout: zeros.subarray(0, 8) })).toBe(0x5e0);
      expect(await use({ timeout: none })).toBe(0x1d5);
      expect(await use({ cpHashA: zeros })).toBe(0x5e0);
      expect(await use({ cpHashA: zeros.subarray(1) })).toBe(0x2d5);
      expect(await use({ ticket: { ...response.policyTicket, tag: 'authSigned' } })).toBe(0x5e0);
      expect(await use({ ticket: { ...response.policyTicket, tag: 'verified' } })).toBe(0x5d7);
      expect(await use({ ticket: { ...response.policyTicket, hierarchy: OWNER } })).toBe(0x5e0);
      expect(await use({ ticket: { ...response.policyTicket, hierarchy: TPM_RH.lockout } })).toBe(0x5c4);
      expect(await use()).toBe(0);
      expect(await policyDigest(other.handle)).toEqual(secret);
      expect(await use({ policySession: (await startKeyless(chip, 'trial')).handle })).toBe(0x182);
    });
  });

  describe('PolicySigned and PolicyAuthorize', () => {
    let authObject: number;
    let name: Uint8Array;
    const sign = (...parts: readonly Uint8Array[]): Signature => ({
      sigAlg: 'hmac',
      hmac: { hashAlg: 'sha256', digest: hmacOf(digest('sha256', ...parts)) },
    });
    const hmacOf = (data: Uint8Array) => new Uint8Array(createHmac('sha256', hmacKey).update(data).digest());

    beforeEach(async () => {
      const seedValue = new Uint8Array(32).fill(9);
      const { code, response } = await send(chip, TPM2_LoadExternal, {
        inPrivate: { sensitiveType: 'keyedhash', authValue: none, seedValue, sensitive: hmacKey },
        inPublic: {
          type: 'keyedhash',
          nameAlg: 'sha256',
          objectAttributes: { sign: true, userWithAuth: true },
          authPolicy: none,
          parameters: { scheme: { scheme: 'hmac', hashAlg: 'sha256' } },
          unique: digest('sha256', seedValue, hmacKey),
        },
        hierarchy: TPM_RH.null,
      });
      expect(code).toBe(0);
      authObject = response.objectHandle;
      name = response.name;
    });

    const signed = (changed: object, auth: Signature) =>
      send(chip, TPM2_PolicySigned, {
        authObject,
        policySession,
        nonceTPM: none,
        cpHashA: none,
        policyRef: none,
        expiration: 0,
        auth,
        ...changed,
      });

    it('takes what the key has signed: nonce, time, command and reference', async () => {
      const expiration = -3600;
      const parts = [nonceTPM, u32(expiration >>> 0), zeros, ones] as const;
      const { code, response } = await signed(
        { nonceTPM, expiration, cpHashA: zeros, policyRef: ones },
        sign(...parts),
      );
      expect(code).toBe(0);
      expect(await policyDigest()).toEqual(empty.signed(name, ones).digest);
      expect(response.policyTicket).toMatchObject({ tag: 'authSigned', hierarchy: TPM_RH.null });
      const other = await startKeyless(chip, 'policy');
      const again = await send(chip, TPM2_PolicyTicket, {
        policySession: other.handle,
        timeout: response.timeout,
        cpHashA: zeros,
        policyRef: ones,
        authName: name,
        ticket: response.policyTicket,
      });
      expect(again.code).toBe(0);
      expect(await policyDigest(other.handle)).toEqual(empty.signed(name, ones).digest);
    });

    it('refuses a signature of something else, in another scheme, or none', async () => {
      expect((await signed({}, sign(u32(1)))).code).toBe(0x5db);
      const ecdsa = { sigAlg: 'ecdsa', hash: 'sha256', signatureR: zeros, signatureS: zeros } as const;
      expect((await signed({}, ecdsa)).code).toBe(0x5d2);
      expect((await signed({}, { sigAlg: 'null' })).code).toBe(0x5d2);
      expect((await signed({ cpHashA: ones.subarray(2) }, sign(u32(0)))).code).toBe(0x2d5);
      expect((await signed({ nonceTPM: ones.subarray(0, 16) }, sign(u32(0)))).code).toBe(0x1cf);
    });

    it('only adds up in a trial, whoever signed', async () => {
      const trial = await startKeyless(chip, 'trial');
      expect((await signed({ policySession: trial.handle }, sign(ones))).code).toBe(0);
      expect(await policyDigest(trial.handle)).toEqual(empty.signed(name).digest);
    });

    it('lets an authority approve a policy by a ticket of VerifySignature', async () => {
      await send(chip, TPM2_PolicyAuthValue, { policySession });
      const approvedPolicy = await policyDigest();
      const signature = sign(approvedPolicy, ones);
      const { response } = await send(chip, TPM2_VerifySignature, {
        keyHandle: authObject,
        digest: digest('sha256', approvedPolicy, ones),
        signature,
      });
      const authorize = async (changed: object = {}) =>
        (
          await send(chip, TPM2_PolicyAuthorize, {
            policySession,
            approvedPolicy,
            policyRef: ones,
            keySign: name,
            checkTicket: response.validation,
            ...changed,
          })
        ).code;
      const { validation } = response;
      expect(await authorize({ keySign: none })).toBe(0x3c3);
      expect(await authorize({ keySign: name.subarray(0, 20) })).toBe(0x3d5);
      expect(await authorize({ approvedPolicy: zeros })).toBe(0x1c4);
      expect(await authorize({ checkTicket: { ...validation, tag: 'hashcheck' } })).toBe(0x4d7);
      expect(await authorize({ checkTicket: { ...validation, digest: ones } })).toBe(0x4c4);
      // A key of no hierarchy gets no ticket: nobody could say what its word is worth.
      expect(await authorize()).toBe(0x4c4);
      const trial = await startKeyless(chip, 'trial');
      expect(await authorize({ policySession: trial.handle })).toBe(0);
      expect(await policyDigest(trial.handle)).toEqual(empty.authorize(name, ones).digest);
    });
  });
}
