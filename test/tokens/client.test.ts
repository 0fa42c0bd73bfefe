import { describe, expect, it } from 'vitest';
import { generateKey } from '../../src/core/signer.ts';
import { verifyAccessToken } from '../../src/tokens/verifier.ts';
import { DOG, house, MOVE, VEHICLE } from './house.ts';

describe('a robot that asks for a token of its own', () => {
  it('gets one that the enforcing robot accepts offline (ID-05, OBO-self)', async () => {
    const home = await house();
    const family = await home.grant(DOG, MOVE);
    const dog = await home.agent(DOG);
    const vehicle = await home.agent(VEHICLE);
    const token = await dog.client.token({ authorizationDetails: [MOVE] });
    const verified = verifyAccessToken(token.accessToken, {
      bundles: home.bundles,
      audience: VEHICLE,
      at: home.clock.now(),
      presenterJkt: dog.key.kid,
      generations: vehicle.book,
    });
    expect(verified.claims).toMatchObject({
      sub: DOG,
      client_id: DOG,
      aud: [VEHICLE],
      'fealty/agent': true,
      cnf: { jkt: dog.key.kid },
      'fealty/family': [family],
    });
    expect(verified.held).toHaveLength(1);
    expect(verified.held[0]).toMatchObject({ family, subject: DOG, grant: MOVE, ancestors: [] });
  });

  it('gets a token for one of its functions, with the function as actor and its key (seed S1 figure 2)', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const dog = await home.agent(DOG);
    const key = generateKey(dog.platform.random);
    const narrowed = { ...MOVE, actions: ['stop'], arguments: undefined };
    const token = await dog.client.functionToken({
      function: 'planner',
      key,
      authorizationDetails: [narrowed],
    });
    const vehicle = await home.agent(VEHICLE);
    const verified = verifyAccessToken(token.accessToken, {
      bundles: home.bundles,
      audience: VEHICLE,
      at: home.clock.now(),
      presenterJkt: key.kid,
      generations: vehicle.book,
    });
    expect(verified.actor).toEqual({ sub: `${DOG}#planner` });
    expect(verified.claims.sub).toBe(DOG);
    expect(verified.held[0]?.grant.actions).toEqual(['stop']);
  });
});
