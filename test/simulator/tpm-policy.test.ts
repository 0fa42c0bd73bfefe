import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { digest } from '../../simulator/tpm/crypto/hash.ts';
import { concat, fromHex, hex, u32 } from '../../src/core/bytes.ts';
import {
  TPM2_FlushContext,
  TPM2_NV_DefineSpace,
  TPM2_PolicyCommandCode,
  TPM2_PolicyGetDigest,
  TPM2_PolicyNameHash,
  TPM2_PolicyOR,
  TPM2_PolicySecret,
  TPM2_StartAuthSession,
} from '../../src/tpm/commands.ts';
import type { Tpm } from '../../src/tpm/index.ts';
import { openTpm, run } from '../../src/tpm/index.ts';
import * as known from '../../src/tpm/policy-digests.ts';
import { keyless } from '../tpm/raw-sessions.ts';

const none = new Uint8Array();
const ENDORSEMENT = 0x4000000b;
const hashes = ['sha256', 'sha384', 'sha512'] as const;

async function open(): Promise<Tpm> {
  const random = seededRandom('policy');
  const clock = virtualClock();
  return openTpm({ transport: await SoftwareTpm.create({ random, clock, seed: 'policy' }), random, clock });
}

async function start(
  tpm: Tpm,
  sessionType: 'policy' | 'trial',
  authHash: (typeof hashes)[number] = 'sha256',
) {
  const { sessionHandle } = await run(tpm, TPM2_StartAuthSession, keyless(sessionType, { authHash }));
  return sessionHandle;
}

/** The digest of a trial session after what `assert` did with it. */
async function trial(
  tpm: Tpm,
  authHash: (typeof hashes)[number],
  assert: (policySession: number) => Promise<unknown>,
): Promise<Uint8Array> {
  const policySession = await start(tpm, 'trial', authHash);
  await assert(policySession);
  const { policyDigest } = await run(tpm, TPM2_PolicyGetDigest, { policySession });
  await run(tpm, TPM2_FlushContext, { flushHandle: policySession });
  return policyDigest;
}

const secretOfEndorsement = (tpm: Tpm) => (policySession: number) =>
  run(tpm, TPM2_PolicySecret, {
    authHandle: ENDORSEMENT,
    policySession,
    nonceTPM: none,
    cpHashA: none,
    policyRef: none,
    expiration: 0,
  });

const forCommand = (tpm: Tpm, code: number) => async (policySession: number) => {
  await secretOfEndorsement(tpm)(policySession);
  await run(tpm, TPM2_PolicyCommandCode, { policySession, code });
};

describe('the policies of device keys (TCG Keys for Device Identity §7.3.6)', () => {
  it.each(hashes)('come out of a trial session of the software TPM, %s', async (hash) => {
    const tpm = await open();
    const user = await trial(tpm, hash, secretOfEndorsement(tpm));
    const certify = await trial(tpm, hash, forCommand(tpm, 0x148));
    const activate = await trial(tpm, hash, forCommand(tpm, 0x147));
    expect(hex(user)).toBe(known.POLICY_ENDORSEMENT[hash]);
    expect(hex(certify)).toBe(known.POLICY_CERTIFY[hash]);
    expect(hex(activate)).toBe(known.POLICY_ACTIVATE[hash]);
    for (const [delegation, whole] of [
      [known.POLICY_DELEGATION_IDEVID, known.AUTH_POLICY_IDEVID],
      [known.POLICY_DELEGATION_IAK, known.AUTH_POLICY_IAK],
    ] as const) {
      const pHashList = [user, certify, activate, fromHex(delegation[hash])];
      const either = await trial(tpm, hash, (policySession) =>
        run(tpm, TPM2_PolicyOR, { policySession, pHashList }),
      );
      expect(hex(either)).toBe(whole[hash]);
    }
  });

  it.each([
    ['sha256', 0x01c90010, known.POLICY_DELEGATION_IDEVID],
    ['sha384', 0x01c90011, known.POLICY_DELEGATION_IDEVID],
    ['sha512', 0x01c90012, known.POLICY_DELEGATION_IDEVID],
    ['sha256', 0x01c90018, known.POLICY_DELEGATION_IAK],
    ['sha384', 0x01c90019, known.POLICY_DELEGATION_IAK],
    ['sha512', 0x01c9001a, known.POLICY_DELEGATION_IAK],
  ] as const)(
    'delegate to the Name of an NV index (PolicyAuthorizeNV), %s 0x%s',
    (nameAlg, nvIndex, branch) => {
      // TPMS_NV_PUBLIC by hand: index, nameAlg, attributes 0x220F1008, authPolicy = PolicyUser, dataSize = 2 + digest.
      const algorithm = fromHex({ sha256: '000b', sha384: '000c', sha512: '000d' }[nameAlg]);
      const policy = fromHex(known.POLICY_ENDORSEMENT[nameAlg]);
      const u16 = (value: number) => new Uint8Array([value >> 8, value & 0xff]);
      const area = concat(
        u32(nvIndex),
        algorithm,
        u32(0x220f1008),
        u16(policy.length),
        policy,
        u16(policy.length + 2),
      );
      const name = concat(algorithm, digest(nameAlg, area));
      const start = new Uint8Array(policy.length);
      expect(hex(digest(nameAlg, start, u32(0x192), name))).toBe(branch[nameAlg]);
    },
  );

  it('cannot be short-cut: PolicyOR in a real session wants one of its branches met', async () => {
    const tpm = await open();
    const policySession = await start(tpm, 'policy');
    const pHashList = [fromHex(known.POLICY_ENDORSEMENT.sha256), fromHex(known.POLICY_CERTIFY.sha256)];
    await expect(run(tpm, TPM2_PolicyOR, { policySession, pHashList })).rejects.toMatchObject({
      responseCode: 0x1c4,
    });
  });

  it('are no way into NV of another owner: policy write without policy is AUTH_UNAVAILABLE', async () => {
    const tpm = await open();
    const attributes = { nt: 'ordinary', policywrite: true, authread: true } as const;
    const publicInfo = {
      nvIndex: 0x01500001,
      nameAlg: 'sha256',
      attributes,
      authPolicy: fromHex(known.POLICY_ENDORSEMENT.sha256),
      dataSize: 8,
    } as const;
    await run(tpm, TPM2_NV_DefineSpace, { authHandle: 0x40000001, auth: none, publicInfo });
    const { TPM2_NV_Write } = await import('../../src/tpm/commands.ts');
    const write = (authHandle: number) =>
      run(tpm, TPM2_NV_Write, { authHandle, nvIndex: 0x01500001, data: new Uint8Array(8), offset: 0 });
    await expect(write(0x01500001)).rejects.toMatchObject({ responseCode: 0x12f });
    await expect(write(0x40000001)).rejects.toMatchObject({ responseCode: 0x149 });
  });

  it('keep what limits them: a cpHash does not take the place of the same bytes as nameHash', async () => {
    const tpm = await open();
    const policySession = await start(tpm, 'policy');
    const same = new Uint8Array(32);
    await run(tpm, TPM2_PolicyNameHash, { policySession, nameHash: same });
    const limits = { nonceTPM: none, cpHashA: same, policyRef: none, expiration: 0 };
    await expect(
      run(tpm, TPM2_PolicySecret, { authHandle: ENDORSEMENT, policySession, ...limits }),
    ).rejects.toMatchObject({ responseCode: 0x151 });
  });
});
