import { beforeAll, describe, expect, it } from 'vitest';
import { fromBase64url } from '../../src/core/bytes.ts';
import { generateKey } from '../../src/core/signer.ts';
import type { Credentials } from '../../src/identity/credentials.ts';
import type { Enrolled } from '../../src/provisioning/pledge.ts';
import type { CredentialExpectations } from '../../src/provisioning/pledge-credentials.ts';
import { judgeCredentials } from '../../src/provisioning/pledge-credentials.ts';
import { World } from './world.ts';

let world: World;
let dog: Enrolled;
let again: Enrolled;
let cat: Enrolled;
let good: CredentialExpectations;

beforeAll(async () => {
  world = await World.create('credentials');
  const device = await world.device('DOG-0001');
  let nonce = '';
  const honest = world.registrar;
  world.registrar = {
    ...honest,
    handle: async (request) => {
      const answer = await honest.handle(request);
      if (request.url.endsWith('/begin')) nonce = ((await answer.clone().json()) as { nonce: string }).nonce;
      return answer;
    },
  };
  const pledge = await device.pledge();
  dog = await pledge.obtain();
  good = {
    pinned: world.ca.certificate,
    ldevid: dog.keys.ldevid.publicJwk,
    keys: {
      credential: dog.keys.credential as CredentialExpectations['keys']['credential'],
      tls: dog.keys.tls,
      lobby: dog.keys.lobby,
    },
    nonce: fromBase64url(nonce),
    agentId: dog.credentials.agentId,
    bundles: dog.credentials.bundles,
    at: world.clock.now(),
  };
  again = await pledge.renew();
  cat = await (await (await world.device('CAT-0001')).pledge()).obtain();
});

function judged(credentials: Partial<Credentials>, expected: Partial<CredentialExpectations> = {}) {
  return () => judgeCredentials({ ...dog.credentials, ...credentials }, { ...good, ...expected });
}

const refused = expect.objectContaining({ code: 'provisioning.credentials-refused' });

describe('what the registrar sends', () => {
  it('is accepted when it is what was asked for', () => {
    expect(judged({})).not.toThrow();
  });

  it('is refused with another slug, or another identifier than before', () => {
    expect(judged({ slug: cat.credentials.slug })).toThrow(refused);
    expect(judged({}, { agentId: cat.credentials.agentId })).toThrow(refused);
  });

  it('is refused where a document is of another agent', () => {
    for (const name of ['ldevidChain', 'wic', 'lobbyCertificate', 'wit', 'clientAttestation', 'ear'] as const)
      expect([name, throwsRefusal(judged({ [name]: cat.credentials[name] }))]).toEqual([name, true]);
  });

  it('is refused where a document is for keys of an earlier attempt', () => {
    for (const name of ['wic', 'lobbyCertificate', 'wit', 'clientAttestation', 'ear'] as const)
      expect([name, throwsRefusal(judged({ [name]: again.credentials[name] }))]).toEqual([name, true]);
    const other = generateKey(world.platform.random).publicJwk;
    expect(judged({}, { ldevid: other })).toThrow(refused);
  });

  it('is refused when the trust bundle lacks the authority of the voucher', async () => {
    const other = await World.create('another authority');
    expect(judged({}, { pinned: other.ca.certificate })).toThrow(refused);
    expect(judged({ bundles: [] })).toThrow(refused);
  });

  it('is refused when a trust bundle goes back', () => {
    const newer = dog.credentials.bundles.map((bundle) => ({ ...bundle, sequence: bundle.sequence + 1 }));
    expect(judged({}, { bundles: newer })).toThrow(refused);
    expect(judged({ bundles: newer })).not.toThrow();
  });

  it('is refused when it has expired', () => {
    expect(judged({}, { at: dog.credentials.notAfter + 1 })).toThrow(refused);
  });
});

function throwsRefusal(judge: () => void): boolean {
  try {
    judge();
    return false;
  } catch (error) {
    return (error as { code?: string }).code === 'provisioning.credentials-refused';
  }
}
