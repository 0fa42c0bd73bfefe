import { beforeEach, describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import type { Curve, Point } from '../../simulator/tpm/crypto/ecc.ts';
import { curves, multiplied, onCurve, publicPoint } from '../../simulator/tpm/crypto/ecc.ts';
import { digest } from '../../simulator/tpm/crypto/hash.ts';
import { fromInteger, power, toInteger } from '../../simulator/tpm/crypto/integer.ts';
import { ecdaaChallenge, schnorrSign, schnorrVerify } from '../../simulator/tpm/crypto/schnorr.ts';
import { utf8 } from '../../src/core/bytes.ts';
import * as tpm2 from '../../src/tpm/commands.ts';
import { ask } from '../tpm/raw.ts';
import { ecdaaHolds } from './ecdaa.ts';
import type { ExternalKey } from './external-keys.ts';
import { eccKey } from './external-keys.ts';

const none: Uint8Array = new Uint8Array();
const noPoint = { x: none, y: none };
const NULL = 0x40000007;
const ecdaa = { scheme: 'ecdaa', hashAlg: 'sha256', count: 0 } as const;
const noTicket = { tag: 'hashcheck', hierarchy: NULL, digest: none } as const;
const message = new Uint8Array(32).fill(0x5a);
const allCurves = Object.keys(curves) as Curve[];

let chip: SoftwareTpm;
beforeEach(async () => {
  chip = await SoftwareTpm.create({ random: seededRandom('curves'), clock: virtualClock(), slots: 8 });
});

const load = async (key: ExternalKey) =>
  (await ask(chip, tpm2.TPM2_LoadExternal, { ...key, hierarchy: NULL })).objectHandle;
const commit = (signHandle: number, P1: Point = noPoint, s2: Uint8Array = none, y2: Uint8Array = none) =>
  ask(chip, tpm2.TPM2_Commit, { signHandle, P1, s2, y2 });
const signEcdaa = (keyHandle: number, count: number) =>
  ask(chip, tpm2.TPM2_Sign, {
    keyHandle,
    digest: message,
    inScheme: { ...ecdaa, count },
    validation: noTicket,
  });

/** s2 and y2 of a point whose x coordinate is a hash: the P2 that TPM2_Commit wants. */
function hashedPoint(curve: Curve): { readonly s2: Uint8Array; readonly point: Point } {
  const { p, b, size } = curves[curve];
  for (let i = 0; ; i++) {
    const s2 = utf8(`basename ${i}`);
    const x = toInteger(digest('sha256', s2)) % p;
    const y = power((((x * x * x - 3n * x + b) % p) + p) % p, (p + 1n) / 4n, p);
    const point = { x: fromInteger(x, size), y: fromInteger(y, size) };
    if (onCurve(curve, point)) return { s2, point };
  }
}

describe('TPM2_Commit and an ECDAA signature', () => {
  it.each(allCurves)('satisfy s·G - T·Q = E on %s, where E was committed to', async (curve) => {
    const key = eccKey(curve, ecdaa);
    const handle = await load(key);
    const { E, K, L, counter } = await commit(handle);
    expect([K, L]).toEqual([noPoint, noPoint]);
    const { signature } = await signEcdaa(handle, counter);
    const Q = key.inPublic.unique;
    expect(ecdaaHolds(curve, Q, E, message, signature)).toBe(true);
    expect(ecdaaHolds(curve, Q, E, new Uint8Array(32), signature)).toBe(false);
    expect(ecdaaHolds(curve, Q, Q, message, signature)).toBe(false);
  });

  it('make K = d·P2, L = r·P2 and E = r·P1, for the same r', async () => {
    const curve = 'P-256';
    const { n } = curves[curve];
    const key = eccKey(curve, ecdaa);
    const handle = await load(key);
    const { s2, point: P2 } = hashedPoint(curve);
    const P1 = eccKey(curve).inPublic.unique;
    const { K, L, E, counter } = await commit(handle, P1, s2, P2.y);
    expect(K).toEqual(multiplied(curve, key.inPrivate.sensitive, P2));
    const { signature } = await signEcdaa(handle, counter);
    if (signature.sigAlg !== 'ecdaa') throw new Error(signature.sigAlg);
    const t = ecdaaChallenge(curve, 'sha256', signature.signatureR, message);
    const d = toInteger(key.inPrivate.sensitive);
    const r = (((toInteger(signature.signatureS) - t * d) % n) + n) % n;
    expect(L).toEqual(multiplied(curve, fromInteger(r, 32), P2));
    expect(E).toEqual(multiplied(curve, fromInteger(r, 32), P1));
  });

  it('make no E when only P2 is given', async () => {
    const { s2, point } = hashedPoint('P-256');
    const { E, K } = await commit(await load(eccKey('P-256', ecdaa)), noPoint, s2, point.y);
    expect(E).toEqual(noPoint);
    expect(K).not.toEqual(noPoint);
  });

  it('are good for one signature, by the key that committed, in any order', async () => {
    const [one, two] = [await load(eccKey('P-256', ecdaa)), await load(eccKey('P-256', ecdaa))];
    const first = await commit(one);
    const second = await commit(one);
    expect(second.counter).toBe(first.counter + 1);
    await signEcdaa(one, second.counter);
    await signEcdaa(one, first.counter);
    await expect(signEcdaa(one, first.counter)).rejects.toThrow(': 84');
    await expect(signEcdaa(one, 77)).rejects.toThrow(': 84');
    const third = await commit(one);
    const { signature } = await signEcdaa(two, third.counter);
    // Another key got another scalar out of it: the first one's is not told.
    const other = await ask(chip, tpm2.TPM2_ReadPublic, { objectHandle: two });
    if (other.outPublic.type !== 'ecc') throw new Error(other.outPublic.type);
    expect(ecdaaHolds('P-256', other.outPublic.unique, third.E, message, signature)).toBe(false);
  });

  it('are forgotten when 128 newer ones were made', async () => {
    const handle = await load(eccKey('P-256', ecdaa));
    const { counter } = await commit(handle);
    for (let i = 0; i < 127; i++) await ask(chip, tpm2.TPM2_EC_Ephemeral, { curveID: 'P-256' });
    await signEcdaa(handle, counter);
    const late = await commit(handle);
    for (let i = 0; i < 128; i++) await ask(chip, tpm2.TPM2_EC_Ephemeral, { curveID: 'P-256' });
    await expect(signEcdaa(handle, late.counter)).rejects.toThrow(': 84');
  });

  it('refuse half a P2, points off the curve, and keys of other schemes', async () => {
    const handle = await load(eccKey('P-256', ecdaa));
    const { s2, point } = hashedPoint('P-256');
    await expect(commit(handle, noPoint, s2)).rejects.toThrow('3d5');
    await expect(commit(handle, noPoint, none, point.y)).rejects.toThrow('3d5');
    await expect(commit(handle, noPoint, s2, point.x)).rejects.toThrow('2e7');
    await expect(commit(handle, { x: point.x, y: point.x })).rejects.toThrow('1e7');
    const other = await load(eccKey('P-256'));
    await expect(commit(other)).rejects.toThrow('192');
  });
});

describe('a two-phase key exchange', () => {
  it('gives both ends the same two secrets, once', async () => {
    const [a, b] = [
      eccKey('P-256', { scheme: 'null' }, { decrypt: true }),
      eccKey('P-256', { scheme: 'ecdh', hashAlg: 'sha256' }, { decrypt: true }),
    ];
    const peer = await SoftwareTpm.create({ random: seededRandom('peer'), clock: virtualClock() });
    const { objectHandle: keyB } = await ask(peer, tpm2.TPM2_LoadExternal, { ...b, hierarchy: NULL });
    const keyA = await load(a);
    const ours = await ask(chip, tpm2.TPM2_EC_Ephemeral, { curveID: 'P-256' });
    const theirs = await ask(peer, tpm2.TPM2_EC_Ephemeral, { curveID: 'P-256' });
    const toB = {
      keyA,
      inQsB: b.inPublic.unique,
      inQeB: theirs.Q,
      inScheme: 'ecdh',
      counter: ours.counter,
    } as const;
    const toA = {
      keyA: keyB,
      inQsB: a.inPublic.unique,
      inQeB: ours.Q,
      inScheme: 'ecdh',
      counter: theirs.counter,
    } as const;
    const z = await ask(chip, tpm2.TPM2_ZGen_2Phase, toB);
    expect(z).toEqual(await ask(peer, tpm2.TPM2_ZGen_2Phase, toA));
    expect(z.outZ1).toEqual(multiplied('P-256', a.inPrivate.sensitive, b.inPublic.unique));
    await expect(ask(chip, tpm2.TPM2_ZGen_2Phase, toB)).rejects.toThrow('4c4');
  });

  it('refuses other schemes and points off the curve, and then keeps what was committed', async () => {
    const key = eccKey('P-256', { scheme: 'null' }, { decrypt: true });
    const keyA = await load(key);
    const { Q, counter } = await ask(chip, tpm2.TPM2_EC_Ephemeral, { curveID: 'P-256' });
    const off = { x: Q.x, y: Q.x };
    const asked = { keyA, inQsB: Q, inQeB: Q, inScheme: 'ecdh', counter } as const;
    await expect(ask(chip, tpm2.TPM2_ZGen_2Phase, { ...asked, inScheme: 'ecmqv' })).rejects.toThrow('3d2');
    await expect(ask(chip, tpm2.TPM2_ZGen_2Phase, { ...asked, inScheme: 'null' })).rejects.toThrow('3d2');
    await expect(ask(chip, tpm2.TPM2_ZGen_2Phase, { ...asked, inQsB: off })).rejects.toThrow('1e7');
    await expect(ask(chip, tpm2.TPM2_ZGen_2Phase, { ...asked, inQeB: off })).rejects.toThrow('2e7');
    await ask(chip, tpm2.TPM2_ZGen_2Phase, asked);
  });
});

describe.each(allCurves)('EC Schnorr on %s', (curve) => {
  it('verifies, and not when anything is changed', () => {
    const random = seededRandom('schnorr');
    const { inPrivate, inPublic } = eccKey(curve);
    const { n, size } = curves[curve];
    const chance = (count: number) => random.bytes(count);
    for (const hash of ['sha1', 'sha256', 'sha512'] as const) {
      const { r, s } = schnorrSign(curve, inPrivate.sensitive, hash, message, chance);
      const verifies = (change: Partial<{ r: Uint8Array; s: Uint8Array }>, value = message) =>
        schnorrVerify(curve, inPublic.unique, hash, value, { r, s, ...change });
      expect(verifies({})).toBe(true);
      expect(verifies({}, new Uint8Array(32))).toBe(false);
      for (const bad of [0n, 1n, n, n - 1n]) {
        expect(verifies({ r: fromInteger(bad, size) })).toBe(false);
        expect(verifies({ s: fromInteger(bad, size) })).toBe(false);
      }
    }
  });
});

describe('ECDH of the TPM', () => {
  it.each(allCurves)('shares a secret point on %s', async (curve) => {
    const keyHandle = await load(eccKey(curve, { scheme: 'null' }, { decrypt: true }));
    const { zPoint, pubPoint } = await ask(chip, tpm2.TPM2_ECDH_KeyGen, { keyHandle });
    expect(await ask(chip, tpm2.TPM2_ECDH_ZGen, { keyHandle, inPoint: pubPoint })).toEqual({
      outPoint: zPoint,
    });
  });

  it('is refused with a signing key and with a point off the curve', async () => {
    const { Q } = await ask(chip, tpm2.TPM2_EC_Ephemeral, { curveID: 'P-256' });
    const signs = await load(eccKey('P-256'));
    await expect(ask(chip, tpm2.TPM2_ECDH_ZGen, { keyHandle: signs, inPoint: Q })).rejects.toThrow('182');
    const keyHandle = await load(eccKey('P-256', { scheme: 'null' }, { decrypt: true }));
    const off = { x: Q.x, y: Q.x };
    await expect(ask(chip, tpm2.TPM2_ECDH_ZGen, { keyHandle, inPoint: off })).rejects.toThrow('1e7');
    const beyond = { x: fromInteger(toInteger(Q.x) + curves['P-256'].p, 33), y: Q.y };
    await expect(ask(chip, tpm2.TPM2_ECDH_ZGen, { keyHandle, inPoint: beyond })).rejects.toThrow('1e7');
  });

  it('names no curve it does not have', async () => {
    await expect(ask(chip, tpm2.TPM2_ECC_Parameters, { curveID: 'BN_P256' })).rejects.toThrow('1e6');
    const { capabilityData } = await ask(chip, tpm2.TPM2_GetCapability, {
      capability: 'eccCurves',
      property: 0,
      propertyCount: 20,
    });
    expect(capabilityData.data).toEqual([1, 2, 3, 4, 5]);
    const { parameters } = await ask(chip, tpm2.TPM2_ECC_Parameters, { curveID: 'P-224' });
    const generator = { x: parameters.gX, y: parameters.gY };
    expect(publicPoint('P-224', fromInteger(1n, 28))).toEqual(generator);
  });
});
