import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { memoryStore } from '../../simulator/store.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { concat, u32 } from '../../src/core/bytes.ts';
import {
  TPM2_CreatePrimary,
  TPM2_GetCapability,
  TPM2_GetCommandAuditDigest,
  TPM2_GetRandom,
  TPM2_GetSessionAuditDigest,
  TPM2_SetCommandCodeAuditStatus,
  TPM2_Shutdown,
  TPM2_Startup,
} from '../../src/tpm/commands.ts';
import { iakTemplate, readAttest, TPM_RH, verifyTpmSignature } from '../../src/tpm/index.ts';
import { digest } from '../../src/tpm/kdf.ts';
import { passwordOf, send } from '../tpm/raw.ts';
import { startKeyless } from '../tpm/raw-sessions.ts';
import { aes128 } from '../tpm/raw-templates.ts';

const none = new Uint8Array();
const RANDOM = TPM2_GetRandom.code;
const SET = TPM2_SetCommandCodeAuditStatus.code;
const nullScheme = { scheme: 'null' } as const;

const open = (store = memoryStore()) =>
  SoftwareTpm.create({ random: seededRandom('audit'), clock: virtualClock(), store });

/** Has TPM2_GetRandom audited. */
const set = (chip: SoftwareTpm) =>
  send(chip, TPM2_SetCommandCodeAuditStatus, {
    auth: TPM_RH.owner,
    auditAlg: 'null',
    setList: [RANDOM],
    clearList: [],
  });
const told = async (chip: SoftwareTpm, signHandle: number = TPM_RH.null) => {
  const { code, response } = await send(chip, TPM2_GetCommandAuditDigest, {
    privacyHandle: TPM_RH.endorsement,
    signHandle,
    qualifyingData: Uint8Array.of(1),
    inScheme: nullScheme,
  });
  expect(code).toBe(0);
  const attest = readAttest(response.auditInfo);
  if (attest.type !== 'attestCommandAudit') throw new Error(attest.type);
  return { ...response, attest, ...attest.attested };
};
const signer = async (chip: SoftwareTpm) => {
  const { response } = await send(chip, TPM2_CreatePrimary, {
    primaryHandle: TPM_RH.endorsement,
    inSensitive: { userAuth: none, data: none },
    inPublic: iakTemplate(),
    outsideInfo: none,
    creationPCR: [],
  });
  return { handle: response.objectHandle, publicArea: response.outPublic };
};
const counter = async (chip: SoftwareTpm) => {
  const { response } = await send(chip, TPM2_GetCapability, {
    capability: 'tpmProperties',
    property: 0x213,
    propertyCount: 2,
  });
  const { capabilityData } = response;
  return capabilityData.capability === 'tpmProperties' ? capabilityData.data.map(({ value }) => value) : [];
};

describe('the log of audited commands', () => {
  it('is told under a signature, and then closed; the next command begins another', async () => {
    const store = memoryStore();
    const chip = await open(store);
    const key = await signer(chip);
    await set(chip);
    await send(chip, TPM2_GetRandom, { bytesRequested: 4 });
    const unsigned = await told(chip);
    const signed = await told(chip, key.handle);
    expect(signed.auditDigest).toEqual(unsigned.auditDigest);
    expect(verifyTpmSignature(key.publicArea, signed.auditInfo, signed.signature)).toBe(true);
    expect(signed.attest.extraData).toEqual(Uint8Array.of(1));
    expect(await told(chip)).toMatchObject({ auditDigest: none, auditCounter: 1n });
    await send(chip, TPM2_GetRandom, { bytesRequested: 4 });
    expect(await told(chip)).toMatchObject({ auditCounter: 2n });
    expect(await counter(chip)).toEqual([0, 2]);
    // No log has a number that another had before, even if the power is cut now.
    expect(await counter(await open(store))).toEqual([0, 2]);
  });

  it('does not hear of commands that were refused', async () => {
    const chip = await open();
    await set(chip);
    const { auditDigest } = await told(chip);
    const refused = await send(chip, TPM2_GetRandom, { bytesRequested: 4 }, [passwordOf()]);
    expect(refused.code).not.toBe(0);
    expect((await told(chip)).auditDigest).toEqual(auditDigest);
  });

  it('survives TPM2_Shutdown(STATE), and ends with any other', async () => {
    for (const [shutdownType, survives] of [
      ['state', true],
      ['clear', false],
      [undefined, false],
    ] as const) {
      const store = memoryStore();
      const chip = await open(store);
      await set(chip);
      const before = await told(chip);
      expect(before.auditDigest).toHaveLength(64);
      if (shutdownType !== undefined) await send(chip, TPM2_Shutdown, { shutdownType });
      const again = await open(store);
      expect((await told(again)).auditDigest).toEqual(survives ? before.auditDigest : none);
      // What is audited, by which hash, and how many logs there were outlasts everything.
      expect(await told(again)).toMatchObject({
        digestAlg: 'sha512',
        auditCounter: 1n,
        commandDigest: digest('sha512', concat(u32(SET), u32(RANDOM))),
      });
    }
  });
});

describe('an audit session', () => {
  it('is told of under a signature, with its log', async () => {
    const chip = await open();
    const key = await signer(chip);
    const { handle: sessionHandle } = await startKeyless(chip, 'hmac', { authHash: 'sha512' });
    const audited = await send(chip, TPM2_GetRandom, { bytesRequested: 4 }, [
      {
        sessionHandle,
        nonce: new Uint8Array(16),
        sessionAttributes: { continueSession: true, audit: true },
      },
    ]);
    const { response } = await send(chip, TPM2_GetSessionAuditDigest, {
      privacyAdminHandle: TPM_RH.endorsement,
      signHandle: key.handle,
      sessionHandle,
      qualifyingData: none,
      inScheme: nullScheme,
    });
    expect(verifyTpmSignature(key.publicArea, response.auditInfo, response.signature)).toBe(true);
    const cpHash = digest('sha512', u32(RANDOM), Uint8Array.of(0, 4));
    const { randomBytes } = audited.response;
    const rpHash = digest('sha512', u32(0), u32(RANDOM), Uint8Array.of(0, 4), randomBytes);
    expect(readAttest(response.auditInfo)).toMatchObject({
      type: 'attestSessionAudit',
      attested: {
        exclusiveSession: 'yes',
        sessionDigest: digest('sha512', new Uint8Array(64), cpHash, rpHash),
      },
    });
  });

  it('is what auditExclusive and auditReset are about: without `audit` they are refused (Part 2 §8.4)', async () => {
    const chip = await open();
    const { handle: sessionHandle } = await startKeyless(chip, 'hmac', { symmetric: aes128 });
    for (const wrong of [{ auditExclusive: true }, { auditReset: true }]) {
      const sessionAttributes = { continueSession: true, encrypt: true, ...wrong };
      const sessions = [{ sessionHandle, nonce: new Uint8Array(16), sessionAttributes }];
      expect((await send(chip, TPM2_GetRandom, { bytesRequested: 4 }, sessions)).code).toBe(0x982);
    }
  });

  it('begins anew with every session, whatever its number', async () => {
    const chip = await open();
    const audit = async (sessionHandle: number, more: object = {}) => {
      const sessionAttributes = { continueSession: true, audit: true, ...more };
      const { sessions } = await send(chip, TPM2_GetRandom, { bytesRequested: 4 }, [
        { sessionHandle, nonce: new Uint8Array(16), sessionAttributes },
      ]);
      return sessions[0]?.sessionAttributes.auditExclusive;
    };
    const { handle } = await startKeyless(chip, 'hmac');
    expect(await audit(handle, { continueSession: false })).toBe(true);
    // The same number, another session: no audit session yet, so that exclusiveness is its to begin.
    const next = await startKeyless(chip, 'hmac');
    expect(next.handle).toBe(handle);
    expect(await audit(next.handle, { auditExclusive: true })).toBe(true);
    await chip.powerCycle();
    await send(chip, TPM2_Startup, { startupType: 'clear' });
    const other = await startKeyless(chip, 'hmac');
    const { code } = await send(chip, TPM2_GetSessionAuditDigest, {
      privacyAdminHandle: TPM_RH.endorsement,
      signHandle: TPM_RH.null,
      sessionHandle: other.handle,
      qualifyingData: none,
      inScheme: nullScheme,
    });
    expect(code).toBe(0x38a);
  });
});
