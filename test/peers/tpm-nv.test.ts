import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  TPM2_LoadExternal,
  TPM2_NV_Certify,
  TPM2_NV_ChangeAuth,
  TPM2_NV_DefineSpace,
  TPM2_NV_UndefineSpaceSpecial,
  TPM2_NV_Write,
} from '../../src/tpm/commands.ts';
import { Policy, readAttest, TPM_RH } from '../../src/tpm/index.ts';
import type { TPMS_NV_PUBLIC } from '../../src/tpm/structures.ts';
import { eccKey } from '../simulator/external-keys.ts';
import { ask, bytesOf, filled, none } from '../tpm/raw.ts';
import { startPolicyFor } from '../tpm/raw-sessions.ts';
import type { Pair } from './pair.ts';
import { startPair } from './pair.ts';
import { needs } from './present.ts';

const nvIndex = 0x01500001;
const signHandle = 0x80000000;
const nullScheme = { scheme: 'null' } as const;

describe.skipIf(!needs('swtpm'))('an NV index of the software TPM and of swtpm', { timeout: 60_000 }, () => {
  let pair: Pair;

  beforeEach(async () => {
    pair = await startPair();
  });
  afterEach(() => pair.close());

  /** Sends both a command that both do. */
  const done = async (command: Uint8Array) =>
    expect(await pair.compareEach('stage', () => command)).toEqual([0, 0]);

  const define = (authHandle: number, publicInfo: Partial<TPMS_NV_PUBLIC>) =>
    done(
      bytesOf(TPM2_NV_DefineSpace, {
        authHandle,
        auth: none,
        publicInfo: {
          nvIndex,
          nameAlg: 'sha256',
          attributes: { nt: 'ordinary', ownerread: true, ownerwrite: true },
          authPolicy: none,
          dataSize: 8,
          ...publicInfo,
        },
      }),
    );
  const policyFor = (code: number) => Policy.start('sha256').commandCode(code).digest;
  /** A policy session that allows one command and ends with it, of the same handle in both. */
  const allowed = async (code: number) => {
    const sessionHandle = await startPolicyFor(pair.ours, code);
    expect(await startPolicyFor(pair.its, code)).toBe(sessionHandle);
    return { sessionHandle, sessionAttributes: {} };
  };

  it('is given an auth value as long as a digest of its nameAlg, zeros at its end not counted: SIZE', async () => {
    const { code } = TPM2_NV_ChangeAuth;
    await define(TPM_RH.owner, { authPolicy: policyFor(code) });
    const codes: number[] = [];
    for (const newAuth of [filled(32, 1), Uint8Array.of(...filled(32, 1), 0), filled(33, 1), filled(64, 1)])
      codes.push(
        ...(await pair.compare(`${newAuth.length}`, TPM2_NV_ChangeAuth, { nvIndex, newAuth }, [
          await allowed(code),
        ])),
      );
    expect(pair.differences()).toEqual([]);
    expect(codes).toEqual([0, 0, 0, 0, 0x1d5, 0x1d5, 0x1d5, 0x1d5]);
  });

  it('without POLICY_DELETE is removed by no policy: ATTRIBUTES', async () => {
    const { code } = TPM2_NV_UndefineSpaceSpecial;
    const attributes = { nt: 'ordinary', ppread: true, ppwrite: true, platformcreate: true } as const;
    await define(TPM_RH.platform, { attributes, authPolicy: policyFor(code) });
    const request = { nvIndex, platform: TPM_RH.platform };
    const proofs = [await allowed(code), none];
    expect(await pair.compare('special', TPM2_NV_UndefineSpaceSpecial, request, proofs)).toEqual([
      0x182, 0x182,
    ]);
    expect(pair.differences()).toEqual([]);
  });

  it('is certified in parts of up to 1,024 bytes: VALUE for more, NV_RANGE where it ends', async () => {
    await define(TPM_RH.owner, { dataSize: 2048 });
    await done(
      bytesOf(TPM2_NV_Write, { authHandle: TPM_RH.owner, nvIndex, data: filled(1024, 1), offset: 0 }),
    );
    const signing = eccKey('P-256', { scheme: 'ecdsa', hashAlg: 'sha256' });
    await done(bytesOf(TPM2_LoadExternal, { ...signing, hierarchy: TPM_RH.null }));
    const certify = (size: number, offset: number) => ({
      signHandle,
      authHandle: TPM_RH.owner,
      nvIndex,
      qualifyingData: none,
      inScheme: nullScheme,
      size,
      offset,
    });
    const codes: number[] = [];
    for (const [size, offset] of [
      [1024, 0],
      [1024, 1024],
      [1025, 0],
      [2048, 0],
      [1025, 1024],
    ] as const)
      codes.push((await pair.compare(`${size} at ${offset}`, TPM2_NV_Certify, certify(size, offset)))[0]);
    expect(pair.differences()).toEqual([]);
    expect(codes).toEqual([0, 0, 0x3c4, 0x3c4, 0x146]);
    for (const tpm of [pair.ours, pair.its]) {
      const attested = readAttest((await ask(tpm, TPM2_NV_Certify, certify(1024, 0))).certifyInfo);
      expect(attested).toMatchObject({ attested: { nvContents: filled(1024, 1) } });
    }
  });
});
