import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/index.ts';
import { EarRefused } from '../../src/attestation/errors.ts';
import type { EarExpectations } from '../../src/attestation/results.ts';
import { EAR_PROFILE, EAR_SUBMODULE, isAtLeast, tierOf, verifyEar } from '../../src/attestation/results.ts';
import { signJws } from '../../src/core/jws.ts';
import { generateKey, thumbprint } from '../../src/core/signer.ts';

const random = seededRandom('ear');
const verifier = generateKey(random);
const ldevid = thumbprint(generateKey(random).publicJwk);
const at = Date.UTC(2026, 10, 24, 10);
const agentId = 'spiffe://home.test/agent/dog';
const nonce = 'A'.repeat(43);

const payload = {
  eat_profile: EAR_PROFILE,
  iss: 'https://authority.test',
  sub: agentId,
  cnf: { jkt: ldevid },
  iat: at / 1000,
  exp: at / 1000 + 3600,
  eat_nonce: nonce,
  ear_verifier_id: { developer: 'fealty', build: 'test' },
  submods: {
    [EAR_SUBMODULE]: {
      ear_status: 'affirming',
      ear_trustworthiness_vector: { 'instance-identity': 2, configuration: 2 },
      ear_appraisal_policy_ids: ['test@abc'],
    },
  },
};
const bundle = (
  key = verifier,
  use: 'fealty/verifier' | 'wit-svid' = 'fealty/verifier',
  trustDomain = 'home.test',
) => ({
  trustDomain,
  sequence: 1,
  keys: [{ use, kid: key.kid, jwk: key.publicJwk }],
});
const expected: EarExpectations = {
  bundles: [bundle()],
  trustDomain: 'home.test',
  agentId,
  ldevid,
  nonce,
  at: at + 1000,
};
const make = (changes: Record<string, unknown> = {}, key = verifier, typ = 'eat+jwt') =>
  signJws(key, typ, { ...payload, ...changes });

describe('an attestation result', () => {
  it('tells the posture of the agent it is about, and its age', async () => {
    const ear = await make();
    expect(verifyEar(ear, expected)).toMatchObject({
      agentId,
      ldevid,
      status: 'affirming',
      vector: { 'instance-identity': 2, configuration: 2 },
      policies: ['test@abc'],
      nonce,
      issuedAt: at,
      expiresAt: at + 3_600_000,
    });
  });

  it('may say that it is bad: what a status is good for, the reader decides', async () => {
    const submods = {
      [EAR_SUBMODULE]: { ...payload.submods[EAR_SUBMODULE], ear_status: 'contraindicated' },
    };
    expect(verifyEar(await make({ submods }), expected).status).toBe('contraindicated');
  });

  it.each([
    ['attached to another agent', 'subject', {}, { agentId: 'spiffe://home.test/agent/cat' }],
    ['attached to another LDevID', 'key', {}, { ldevid: thumbprint(generateKey(random).publicJwk) }],
    ['that answers another nonce', 'nonce', {}, { nonce: 'B'.repeat(43) }],
    ['of yesterday', 'expired', {}, { at: at + 86_400_000 }],
    ['of tomorrow', 'not-yet', {}, { at: at - 86_400_000 }],
    ['of another profile', 'profile', { eat_profile: 'tag:github.com,2023:veraison/ear' }, {}],
    [
      'with the names of older libraries',
      'form',
      { submods: { [EAR_SUBMODULE]: { 'ear.status': 'affirming' } } },
      {},
    ],
    ['about more than one thing', 'form', { submods: { ...payload.submods, other: {} } }, {}],
    ['without a key it is about', 'form', { cnf: undefined }, {}],
    [
      'with claims nobody defined',
      'form',
      {
        submods: {
          [EAR_SUBMODULE]: {
            ...payload.submods[EAR_SUBMODULE],
            ear_trustworthiness_vector: { 'executables ': 2 },
          },
        },
      },
      {},
    ],
    ['of a verifier nobody knows', 'signature', {}, { bundles: [bundle(generateKey(random))] }],
    ['signed by a key for something else', 'signature', {}, { bundles: [bundle(verifier, 'wit-svid')] }],
    [
      'of another trust domain',
      'signature',
      {},
      { bundles: [bundle(verifier, 'fealty/verifier', 'elsewhere.test')] },
    ],
  ] as const)('%s is refused at `%s`', async (_, check, claims, changes) => {
    const ear = await make(claims);
    expect(() => verifyEar(ear, { ...expected, ...changes })).toThrowError(
      expect.objectContaining({ code: 'attestation.result-refused', check }),
    );
  });

  it('is refused when a claim was changed after signing, or it is another kind of token', async () => {
    const [head, , signature] = (await make()).split('.');
    const other = (await make({ sub: 'spiffe://home.test/agent/cat' })).split('.')[1];
    expect(() =>
      verifyEar(`${head}.${other}.${signature}`, { ...expected, agentId: 'spiffe://home.test/agent/cat' }),
    ).toThrowError(expect.objectContaining({ check: 'signature' }));
    const wit = await make({}, verifier, 'wit+jwt');
    expect(() => verifyEar(wit, expected)).toThrowError(expect.objectContaining({ check: 'form' }));
  });

  it('of any bytes gives a result or a refusal, never another error', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String().map((s) => `${s}.${s}.${s}`),
        ),
        (text) => {
          expect(() => verifyEar(text, expected)).toThrow(EarRefused);
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe('the tiers of AR4SI', () => {
  it('are ordered by what they are worth', () => {
    expect([0, 1, -1, 2, 31, 32, 95, 96, 127, -128].map(tierOf)).toEqual([
      'none',
      'none',
      'none',
      'affirming',
      'affirming',
      'warning',
      'warning',
      'contraindicated',
      'contraindicated',
      'contraindicated',
    ]);
    expect(isAtLeast('affirming', 'warning')).toBe(true);
    expect(isAtLeast('none', 'affirming')).toBe(false);
    expect(isAtLeast('warning', 'warning')).toBe(true);
    expect(isAtLeast('contraindicated', 'warning')).toBe(false);
  });
});
