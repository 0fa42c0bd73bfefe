import { beforeEach, describe, expect, it } from 'vitest';
import type { VirtualClock } from '../../simulator/clock.ts';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import type { Machine } from '../../simulator/tpm/machine.ts';
import { isOver } from '../../simulator/tpm/policy-enforcement.ts';
import type { Session } from '../../simulator/tpm/session.ts';
import { u32 } from '../../src/core/bytes.ts';
import {
  TPM2_Clear,
  TPM2_CreatePrimary,
  TPM2_PolicyCounterTimer,
  TPM2_PolicyLocality,
  TPM2_PolicyPhysicalPresence,
  TPM2_PolicySecret,
  TPM2_PolicyTicket,
  TPM2_Shutdown,
  TPM2_Sign,
  TPM2_Startup,
} from '../../src/tpm/commands.ts';
import { ldevidTemplate, Policy, TPM_RH } from '../../src/tpm/index.ts';
import { passwordOf, send } from '../tpm/raw.ts';
import { startKeyless } from '../tpm/raw-sessions.ts';

const none = new Uint8Array();
const start = Policy.start('sha256');
let chip: SoftwareTpm;
let clock: VirtualClock;
let session: { readonly handle: number; readonly nonceTPM: Uint8Array };

beforeEach(async () => {
  clock = virtualClock();
  chip = await SoftwareTpm.create({ random: seededRandom('time'), clock, slots: 8 });
  session = await startKeyless(chip, 'policy');
});

const secret = (
  expiration: number,
  changed: { readonly nonceTPM?: Uint8Array; readonly authHandle?: number; readonly handle?: number } = {},
) =>
  send(chip, TPM2_PolicySecret, {
    authHandle: changed.authHandle ?? TPM_RH.owner,
    policySession: changed.handle ?? session.handle,
    nonceTPM: changed.nonceTPM ?? none,
    cpHashA: none,
    policyRef: none,
    expiration,
  });

const signer = async (policy: Policy) => {
  const { code, response } = await send(chip, TPM2_CreatePrimary, {
    primaryHandle: TPM_RH.owner,
    inSensitive: { userAuth: none, data: none },
    inPublic: {
      ...ldevidTemplate,
      authPolicy: policy.digest,
      objectAttributes: { ...ldevidTemplate.objectAttributes, userWithAuth: false },
    },
    outsideInfo: none,
    creationPCR: [],
  });
  expect(code).toBe(0);
  return response.objectHandle;
};
const sign = async (keyHandle: number) =>
  (
    await send(
      chip,
      TPM2_Sign,
      {
        keyHandle,
        digest: new Uint8Array(32),
        inScheme: { scheme: 'null' },
        validation: { tag: 'hashcheck', hierarchy: TPM_RH.null, digest: none },
      },
      [{ sessionHandle: session.handle, nonce: new Uint8Array(16) }],
    )
  ).code;

describe('the time of a policy', () => {
  it('counts from the start of the session with its nonce, and from that of the TPM without', async () => {
    await clock.advance(5_500);
    session = await startKeyless(chip, 'policy');
    const key = await signer(start.secret(u32(TPM_RH.owner)));
    expect((await secret(10, { nonceTPM: session.nonceTPM })).code).toBe(0);
    await clock.advance(10_001);
    expect(await sign(key)).toBe(0x9a3);
    session = await startKeyless(chip, 'policy');
    // Now it is 15.501 s: 15 whole seconds have passed, and 15 more may be meant.
    expect((await secret(15)).code).toBe(0);
    expect((await secret(14)).code).toBe(0x4e3);
  });

  it('ends when the first of several ends', async () => {
    const key = await signer(start.secret(u32(TPM_RH.owner)).secret(u32(TPM_RH.owner)));
    for (const seconds of [20, 10]) await secret(seconds, { nonceTPM: session.nonceTPM });
    await clock.advance(10_001);
    expect(await sign(key)).toBe(0x9a3);
    session = await startKeyless(chip, 'policy');
    for (const seconds of [-10, 20]) await secret(seconds, { nonceTPM: session.nonceTPM });
    await clock.advance(10_001);
    expect(await sign(key)).toBe(0x9a3);
    session = await startKeyless(chip, 'policy');
    for (const seconds of [-10, 20]) await secret(seconds, { nonceTPM: session.nonceTPM });
    await clock.advance(10_000);
    expect(await sign(key)).toBe(0);
  });

  it('can be asked for itself: PolicyCounterTimer', async () => {
    const reached = async (seconds: number) =>
      (
        await send(chip, TPM2_PolicyCounterTimer, {
          policySession: session.handle,
          operandB: new Uint8Array([0, 0, 0, 0, ...u32(seconds * 1000)]),
          offset: 0,
          operation: 'unsignedGe',
        })
      ).code;
    expect(await reached(10)).toBe(0x126);
    await clock.advance(10_000);
    expect(await reached(10)).toBe(0);
    await reset();
    session = await startKeyless(chip, 'policy');
    expect(await reached(10)).toBe(0x126);
  });
});

describe('a session that outlasts a restart', () => {
  it('takes none of its times along: Time began anew', () => {
    const machine = { time: 0, timeEpoch: 2n } as Machine;
    const over = (startedIn: bigint) => isOver(machine, { startedIn } as Session, 10);
    expect([over(2n), over(1n)]).toEqual([false, true]);
  });
});

const reset = async (shutdownType?: 'clear' | 'state') => {
  if (shutdownType !== undefined) await send(chip, TPM2_Shutdown, { shutdownType });
  await chip.powerCycle();
  expect((await send(chip, TPM2_Startup, { startupType: 'clear' })).code).toBe(0);
};

describe('a ticket', () => {
  type Made = Awaited<ReturnType<typeof secret>>['response'];
  const use = async ({ timeout, policyTicket }: Made, authHandle: number = TPM_RH.owner) => {
    const { handle } = await startKeyless(chip, 'policy');
    const limits = { cpHashA: none, policyRef: none, authName: u32(authHandle) };
    const request = { policySession: handle, timeout, ...limits, ticket: policyTicket };
    return (await send(chip, TPM2_PolicyTicket, request)).code;
  };

  it('can be used in other sessions until its time is over: EXPIRED', async () => {
    const { response } = await secret(-10);
    expect(await use(response)).toBe(0);
    await clock.advance(10_000);
    expect(await use(response)).toBe(0);
    await clock.advance(1);
    expect(await use(response)).toBe(0x1e3);
  });

  it('has its session end when it ends', async () => {
    const { response } = await secret(-10);
    session = await startKeyless(chip, 'policy');
    const limits = { cpHashA: none, policyRef: none, authName: u32(TPM_RH.owner) };
    const request = { policySession: session.handle, ...limits, ticket: response.policyTicket };
    expect((await send(chip, TPM2_PolicyTicket, { ...request, timeout: response.timeout })).code).toBe(0);
    const key = await signer(start.secret(u32(TPM_RH.owner)));
    await clock.advance(10_001);
    expect(await sign(key)).toBe(0x9a3);
  });

  it.each([undefined, 'clear', 'state'] as const)('is of one run of the TPM (shutdown: %s)', async (type) => {
    const withoutNonce = (await secret(-100_000)).response;
    const withNonce = (await secret(-100_000, { nonceTPM: session.nonceTPM })).response;
    expect([await use(withoutNonce), await use(withNonce)]).toEqual([0, 0]);
    await reset(type);
    expect([await use(withoutNonce), await use(withNonce)]).toEqual([0x5e0, 0x5e0]);
  });

  it('is worth nothing once its hierarchy has another proof', async () => {
    const owners = (await secret(-1000)).response;
    const endorsements = (await secret(-1000, { authHandle: TPM_RH.endorsement })).response;
    const platforms = (await secret(-1000, { authHandle: TPM_RH.platform })).response;
    expect(platforms.policyTicket.hierarchy).toBe(TPM_RH.platform);
    expect(await use(endorsements, TPM_RH.endorsement)).toBe(0);
    await send(chip, TPM2_Clear, { authHandle: TPM_RH.lockout }, [passwordOf()]);
    expect(await use(owners)).toBe(0x5e0);
    expect(await use(endorsements, TPM_RH.endorsement)).toBe(0x5e0);
    expect(await use(platforms, TPM_RH.platform)).toBe(0);
  });
});

describe('where a policy is used', () => {
  it('is the locality the command comes from', async () => {
    const key = await signer(start.locality(0b110));
    const at = async (locality: number) => {
      await send(chip, TPM2_PolicyLocality, { policySession: session.handle, locality: 0b110 });
      chip.setLocality(locality);
      const code = await sign(key);
      chip.setLocality(0);
      session = await startKeyless(chip, 'policy');
      return code;
    };
    expect([await at(0), await at(1), await at(2), await at(3)]).toEqual([0x907, 0, 0, 0x907]);
  });

  it('may have to have somebody standing there', async () => {
    const key = await signer(start.physicalPresence());
    const assert = () => send(chip, TPM2_PolicyPhysicalPresence, { policySession: session.handle });
    await assert();
    expect(await sign(key)).toBe(0x990);
    chip.setPhysicalPresence(true);
    expect(await sign(key)).toBe(0);
    await assert();
    chip.setPhysicalPresence(false);
    expect(await sign(key)).toBe(0x990);
  });
});
