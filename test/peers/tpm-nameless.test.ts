import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { encode } from '../../src/tpm/codec.ts';
import * as tpm2 from '../../src/tpm/commands.ts';
import { TPM_RH } from '../../src/tpm/index.ts';
import { seedTo } from '../../src/tpm/seed.ts';
import { TPMT_PUBLIC } from '../../src/tpm/structures.ts';
import type { ExternalKey } from '../simulator/external-keys.ts';
import { eccKey, hmacKey, symmetricKey } from '../simulator/external-keys.ts';
import { filled, none } from '../tpm/raw.ts';
import { keyless } from '../tpm/raw-sessions.ts';
import { creation, looseStorage } from '../tpm/raw-templates.ts';
import type { Pair } from './pair.ts';
import { startPair } from './pair.ts';
import { needs } from './present.ts';

const key = 0x80000000;
const noPoint = { x: none, y: none };

/** The key without a hash for its Name. */
const nameless = <T extends ExternalKey>({ inPrivate, inPublic }: T) => ({
  inPrivate,
  inPublic: { ...inPublic, nameAlg: 'null' } as TPMT_PUBLIC,
});

const suite = describe.skipIf(!needs('swtpm'));

suite('a key without Name in the software TPM and in swtpm', { timeout: 60_000 }, () => {
  let pair: Pair;

  beforeEach(async () => {
    pair = await startPair();
  });
  afterEach(() => pair.close());

  it('is made by neither: HASH', async () => {
    const [inPublic, done, HASH] = [{ ...looseStorage, nameAlg: 'null' } as const, [0, 0], [0x2c3, 0x2c3]];
    const create = { ...creation, inPublic };
    const primary = { ...creation, primaryHandle: TPM_RH.owner };
    const createLoaded = { inSensitive: creation.inSensitive, inPublic: encode(TPMT_PUBLIC, inPublic) };
    const { compare } = pair;
    expect(await compare('a primary key', tpm2.TPM2_CreatePrimary, { ...primary, inPublic })).toEqual(HASH);
    const top = { ...createLoaded, parentHandle: TPM_RH.owner };
    expect(await compare('a loaded primary key', tpm2.TPM2_CreateLoaded, top)).toEqual(HASH);
    const parent = { ...primary, inPublic: looseStorage };
    expect(await compare('its parent', tpm2.TPM2_CreatePrimary, parent)).toEqual(done);
    expect(await compare('a child', tpm2.TPM2_Create, { ...create, parentHandle: key })).toEqual(HASH);
    const child = { ...createLoaded, parentHandle: key };
    expect(await compare('a loaded child', tpm2.TPM2_CreateLoaded, child)).toEqual(HASH);
    expect(pair.differences()).toEqual([]);
  });

  it.each([
    ['an HMAC key', hmacKey(filled(32, 1), 'sha256')],
    ['an AES key', symmetricKey(filled(16, 1))],
  ] as const)('comes from outside, nothing binding its parts: %s', async (_, made) => {
    const { inPrivate, inPublic } = nameless(made);
    for (const unique of [inPublic.unique, none])
      for (const seedValue of [inPrivate.seedValue, none]) {
        const request = {
          inPrivate: { ...inPrivate, seedValue },
          inPublic: { ...inPublic, unique } as TPMT_PUBLIC,
          hierarchy: TPM_RH.null,
        };
        expect(await pair.compare('comes', tpm2.TPM2_LoadExternal, request)).toEqual([0, 0]);
        await pair.compare('goes', tpm2.TPM2_FlushContext, { flushHandle: key });
      }
    expect(pair.differences()).toEqual([]);
  });

  it('may be no point on its curve: it verifies nothing and exchanges nothing', async () => {
    const { inPublic } = eccKey('P-256', { scheme: 'null' }, { sign: true, decrypt: true });
    const unique = { x: filled(32, 1), y: filled(32, 1) };
    const offCurve = { inPublic: { ...inPublic, nameAlg: 'null', unique } as const, hierarchy: TPM_RH.null };
    expect(await pair.compare('comes', tpm2.TPM2_LoadExternal, offCurve)).toEqual([0, 0]);
    const signature = {
      sigAlg: 'ecschnorr',
      hash: 'sha256',
      signatureR: filled(32, 1),
      signatureS: filled(32, 1),
    } as const;
    const verify = { keyHandle: key, digest: filled(32), signature };
    const [SIGNATURE, KEY] = [0x2db, 0x19c];
    expect(await pair.compare('verifies', tpm2.TPM2_VerifySignature, verify)).toEqual([SIGNATURE, SIGNATURE]);
    expect(await pair.compare('shares', tpm2.TPM2_ECDH_KeyGen, { keyHandle: key })).toEqual([KEY, KEY]);
    expect(pair.differences()).toEqual([]);
    // Of ECDSA swtpm says FAILURE.
    const ecdsa = { ...verify, signature: { ...signature, sigAlg: 'ecdsa' } } as const;
    expect((await pair.compare('ECDSA', tpm2.TPM2_VerifySignature, ecdsa))[0]).toBe(SIGNATURE);
  });

  it('commits to no point that is made with the hash it does not have: HASH', async () => {
    const ecdaa = nameless(eccKey('P-256', { scheme: 'ecdaa', hashAlg: 'sha256', count: 0 }));
    await pair.compare('comes', tpm2.TPM2_LoadExternal, { ...ecdaa, hierarchy: TPM_RH.null });
    const request = { signHandle: key, P1: noPoint, s2: none, y2: none };
    expect(await pair.compare('to none', tpm2.TPM2_Commit, request)).toEqual([0, 0]);
    const hashed = { ...request, s2: filled(4), y2: filled(32, 3) };
    expect(await pair.compare('to one', tpm2.TPM2_Commit, hashed)).toEqual([0x183, 0x183]);
    expect(pair.differences()).toEqual([]);
  });

  it('is no child of anyone: TYPE of the parent for a new auth value', async () => {
    const parent = { primaryHandle: TPM_RH.owner, ...creation, inPublic: looseStorage };
    await pair.compare('a parent', tpm2.TPM2_CreatePrimary, parent);
    const child = { ...nameless(eccKey('P-256')), hierarchy: TPM_RH.null };
    await pair.compare('comes', tpm2.TPM2_LoadExternal, child);
    for (const parentHandle of [key, key + 1]) {
      const request = { objectHandle: key + 1, parentHandle, newAuth: filled(4, 1) };
      const answered = await pair.compare(`${parentHandle}`, tpm2.TPM2_ObjectChangeAuth, request);
      expect(answered).toEqual([0x28a, 0x28a]);
    }
    expect(pair.differences()).toEqual([]);
  });

  it('reads no salt: VALUE', async () => {
    const { inPrivate, inPublic } = eccKey('P-256', { scheme: 'null' }, { decrypt: true });
    const { secret: encryptedSalt } = seedTo(inPublic, 'SECRET', seededRandom('salt'));
    const load = { ...nameless({ inPrivate, inPublic }), hierarchy: TPM_RH.null };
    await pair.compare('comes', tpm2.TPM2_LoadExternal, load);
    const salted = { ...keyless('hmac'), tpmKey: key, encryptedSalt };
    // To swtpm the salt is empty then.
    expect(await pair.compare('salted', tpm2.TPM2_StartAuthSession, salted)).toEqual([0x2c4, 0]);
  });
});
