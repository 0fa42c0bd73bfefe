import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hex } from '../../src/core/bytes.ts';
import { Malformed } from '../../src/core/errors.ts';
import { generateKey } from '../../src/core/signer.ts';
import { sealToLobby } from '../../src/domains/lobby-seal.ts';
import { readFrame, writeFrame } from '../../src/domains/messages.ts';
import { bodyOf, checkOf, flipped, pair } from './pair.ts';
import { HOUR, NOW, Owner, World } from './world.ts';

const setting = async () => {
  const world = await World.make();
  return { world, console: await world.machine('console'), dog: await world.machine('dog') };
};

describe('a handshake between a convener and a candidate (AN-06)', () => {
  it('gives both the same pairwise secret, and each the other’s delegated session key', async () => {
    const { world, console, dog } = await setting();
    const { initiation, accept, convenerKeys, dogKeys } = await pair(world, console, dog);
    const acceptance = await accept();
    const atConvener = await initiation.answer(bodyOf(acceptance.frame));
    const atDog = await acceptance.complete(bodyOf(atConvener.frame));
    expect(hex(atDog.pairwise)).toBe(hex(atConvener.pairwise));
    expect(hex(atDog.transcript)).toBe(hex(atConvener.transcript));
    expect(atDog.delegation.sessionKey).toEqual(convenerKeys.session.publicJwk);
    expect(atConvener.delegation.sessionKey).toEqual(dogKeys.session.publicJwk);
    expect(atConvener.papers.agentId).toBe(dog.identity.credentials.agentId);
  });

  it('gives another secret each time', async () => {
    const { world, console, dog } = await setting();
    const secrets = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const { initiation, accept } = await pair(world, console, dog);
      secrets.add(hex((await initiation.answer(bodyOf((await accept()).frame))).pairwise));
    }
    expect(secrets.size).toBe(3);
  });

  it('refuses an impostor with every copy but the LDevID key, at `ldevid-signature` (UC-S1b)', async () => {
    const { world, console, dog } = await setting();
    const stolen = {
      credentials: dog.identity.credentials,
      keys: { ...dog.identity.keys, ldevid: generateKey(dog.platform.random) },
    };
    const { initiation, accept } = await pair(world, console, dog, { as: stolen });
    const acceptance = await accept();
    expect(await checkOf(() => initiation.answer(bodyOf(acceptance.frame)))).toBe('ldevid-signature');
  });

  it('refuses an impostor convener without its LDevID key at message 3', async () => {
    const { world, console, dog } = await setting();
    const stolen = {
      ...console.identity,
      keys: { ...console.identity.keys, ldevid: generateKey(console.platform.random) },
    };
    const { initiation, accept } = await pair(world, { ...console, identity: stolen }, dog);
    const acceptance = await accept();
    const { frame } = await initiation.answer(bodyOf(acceptance.frame));
    expect(await checkOf(() => acceptance.complete(bodyOf(frame)))).toBe('ldevid-signature');
  });

  it('refuses who has the LDevID but not the credential key, at `wpt`', async () => {
    const { world, console, dog } = await setting();
    const stolen = {
      credentials: dog.identity.credentials,
      keys: { ...dog.identity.keys, credential: generateKey(dog.platform.random) },
    };
    const { initiation, accept } = await pair(world, console, dog, { as: stolen });
    expect(await checkOf(async () => initiation.answer(bodyOf((await accept()).frame)))).toBe('wpt');
  });

  it('refuses a machine of the fleet that answers for another one', async () => {
    const { world, console, dog } = await setting();
    const cat = await world.machine('cat');
    // It got hold of the dog's lobby key, and answers with its own papers.
    const mixed = {
      credentials: { ...cat.identity.credentials, agentId: dog.identity.credentials.agentId },
      keys: { ...cat.identity.keys, lobby: dog.identity.keys.lobby },
    };
    const { initiation, accept } = await pair(world, console, dog, { as: mixed });
    expect(await checkOf(async () => initiation.answer(bodyOf((await accept()).frame)))).toBe('identity');
  });

  it('refuses papers put together from two agents', async () => {
    const { world, console, dog } = await setting();
    const cat = await world.machine('cat');
    const mixes = {
      ear: { ...dog.identity.credentials, ear: cat.identity.credentials.ear },
      identity: { ...dog.identity.credentials, ldevidChain: cat.identity.credentials.ldevidChain },
    };
    for (const [check, credentials] of Object.entries(mixes)) {
      const { initiation, accept } = await pair(world, console, dog, {
        as: { ...dog.identity, credentials },
      });
      expect(await checkOf(async () => initiation.answer(bodyOf((await accept()).frame)))).toBe(check);
    }
  });

  it('refuses an attestation result that is stale, bad, or of another LDevID key', async () => {
    const { world, console, dog } = await setting();
    const { agentId } = dog.identity.credentials;
    const ldevid = dog.identity.keys.ldevid.kid;
    const { owner } = world;
    const cases: [string, string][] = [
      ['ear', await owner.ear(agentId, ldevid, { from: NOW - 2 * HOUR, lifeMs: HOUR })],
      ['ear', await owner.ear(agentId, console.identity.keys.ldevid.kid)],
      ['posture', await owner.ear(agentId, ldevid, { status: 'warning' })],
      ['posture', await owner.ear(agentId, ldevid, { status: 'contraindicated' })],
    ];
    for (const [check, ear] of cases) {
      const as = { ...dog.identity, credentials: { ...dog.identity.credentials, ear } };
      const { initiation, accept } = await pair(world, console, dog, { as });
      expect(await checkOf(async () => initiation.answer(bodyOf((await accept()).frame)))).toBe(check);
    }
  });

  it('refuses an expired token, and one of an unknown authority', async () => {
    const { world, console, dog } = await setting();
    const old = await world.owner.enrol('dog', [world.owner.bundle], { from: NOW - 3 * HOUR, lifeMs: HOUR });
    const forged = await Owner.make('elsewhere.example').then((owner) =>
      owner.enrol('dog', [world.owner.bundle]),
    );
    for (const [wit, check] of [
      [old.credentials.wit, 'wit'],
      [forged.credentials.wit, 'wit'],
    ] as const) {
      const as = { ...dog.identity, credentials: { ...dog.identity.credentials, wit } };
      const { initiation, accept } = await pair(world, console, dog, { as });
      expect(await checkOf(async () => initiation.answer(bodyOf((await accept()).frame)))).toBe(check);
    }
  });

  it('refuses a chain that no anchor issued', async () => {
    const { world, console, dog } = await setting();
    const other = await Owner.make('elsewhere.example').then((owner) => owner.enrol('dog', []));
    const as = {
      ...dog.identity,
      credentials: { ...dog.identity.credentials, ldevidChain: other.credentials.ldevidChain },
    };
    const { initiation, accept } = await pair(world, console, dog, { as });
    expect(await checkOf(async () => initiation.answer(bodyOf((await accept()).frame)))).toBe('ldevid-chain');
  });

  it('tells the candidate, sealed, at what it was refused', async () => {
    const { world, console, dog } = await setting();
    const as = { ...dog.identity, keys: { ...dog.identity.keys, ldevid: generateKey(dog.platform.random) } };
    const { initiation, accept } = await pair(world, console, dog, { as });
    const acceptance = await accept();
    const refusal = await initiation
      .answer(bodyOf(acceptance.frame))
      .catch((cause: { frame: Uint8Array }) => cause.frame);
    expect(acceptance.refusal(bodyOf(refusal as Uint8Array))).toBe('ldevid-signature');
    expect(acceptance.refusal(flipped(bodyOf(refusal as Uint8Array), 3))).toBeUndefined();
  });
});

describe('an invitation', () => {
  it('opens for the lobby key it was sealed to, and no other', async () => {
    const { world, console, dog } = await setting();
    const { open, initiation } = await pair(world, console, dog);
    expect(open().invitation.role).toBe('scout');
    const cat = await world.machine('cat');
    const asCat = await pair(world, console, dog, { as: cat.identity });
    expect(await checkOf(() => asCat.open(initiation.frame))).toBe('seal');
  });

  it('is refused when it is old, or for another agent', async () => {
    const { world, console, dog } = await setting();
    const { open, initiation } = await pair(world, console, dog);
    const cat = await world.machine('cat');
    const shared = { ...cat.identity, keys: { ...cat.identity.keys, lobby: dog.identity.keys.lobby } };
    const asCat = await pair(world, console, dog, { as: shared });
    expect(await checkOf(() => asCat.open(initiation.frame))).toBe('identity');
    await world.clock.advance(60_001);
    expect(await checkOf(() => open())).toBe('replay');
  });

  it('is refused for an unknown role, and for a trust domain the group does not take', async () => {
    const { world, console, dog } = await setting();
    expect(await checkOf(async () => (await pair(world, console, dog, { role: 'pilot' })).open())).toBe(
      'role',
    );
    expect(
      await checkOf(async () => (await pair(world, console, dog, { convenerRole: 'boss' })).open()),
    ).toBe('role');
    const elsewhere = { trustDomains: ['elsewhere.example'] };
    expect(await checkOf(async () => (await pair(world, console, dog, { bounds: elsewhere })).open())).toBe(
      'trust-domain',
    );
  });

  it('is refused when the group grant was revoked, has expired, or is another coordinator’s', async () => {
    const { world, console, dog } = await setting();
    const { open, groupGrant } = await pair(world, console, dog);
    await dog.generations.raise([{ tag: `group:${groupGrant.id}`, generation: 1, until: groupGrant.exp }]);
    expect(await checkOf(() => open())).toBe('group-grant');
    expect(await checkOf(async () => (await pair(world, console, dog)).open())).toBe('accepted');
    const late = await pair(world, console, dog, { lifeS: 60 });
    expect(await checkOf(() => late.open())).toBe('group-grant');
    const cat = await world.machine('cat');
    const theft = await pair(world, cat, dog, { coordinator: console.identity.credentials.agentId });
    expect(await checkOf(() => theft.open())).toBe('group-grant');
  });

  it('is refused with another version, method or suite', async () => {
    const { world, console, dog } = await setting();
    const { open } = await pair(world, console, dog);
    const seal = (bytes: Uint8Array) => {
      const lobbyKey = dog.identity.keys.lobby.publicJwk;
      return writeFrame({ kind: 1, ...sealToLobby(console.platform.random, lobbyKey, bytes) });
    };
    // METHOD 3, then suite 2: what follows does not matter any more but for its form.
    const rest = new Uint8Array([
      ...new Uint8Array([0x58, 0x20]),
      ...new Uint8Array(32),
      0x48,
      ...new Uint8Array(8),
      0x40,
    ]);
    expect(await checkOf(() => open(seal(new Uint8Array([3, 0x34, ...rest]))))).toBe('suite');
    expect(await checkOf(() => open(seal(new Uint8Array([0, 2, ...rest]))))).toBe('suite');
    expect(await checkOf(() => open(seal(new Uint8Array([0, 0x34, ...rest]))))).toBe('form');
  });
});

describe('every byte of a handshake', () => {
  it('counts: flipped in message 1, 2 or 3, it is refused', async () => {
    const { world, console, dog } = await setting();
    const { initiation, open, accept } = await pair(world, console, dog);
    const acceptance = await accept();
    const body2 = bodyOf(acceptance.frame);
    const { frame: frame3 } = await initiation.answer(body2);
    const body3 = bodyOf(frame3);
    const mask = fc.integer({ min: 1, max: 255 });
    await fc.assert(
      fc.asyncProperty(fc.nat(initiation.frame.length - 1), mask, async (at, bit) => {
        const bytes = flipped(initiation.frame, at, bit);
        const check = await checkOf(() => open(bytes)).catch((cause: unknown) => {
          expect(cause).toBeInstanceOf(Malformed); // the frame itself cannot be read
          return 'form';
        });
        expect(['seal', 'form']).toContain(check);
      }),
      { seed: 5, numRuns: 150 },
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(body2.length - 1), mask, async (at, bit) => {
        // The MAC covers everything but the proof, whose parts cover themselves.
        const proof = ['transcript', 'delegation', 'identity', 'ldevid-signature', 'wpt'];
        const check = await checkOf(() => initiation.answer(flipped(body2, at, bit)));
        expect(['mac', 'form', ...proof]).toContain(check);
      }),
      { seed: 5, numRuns: 150 },
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(body3.length - 1), mask, async (at, bit) => {
        expect(await checkOf(() => acceptance.complete(flipped(body3, at, bit)))).toBe('seal');
      }),
      { seed: 5, numRuns: 150 },
    );
  });

  it('belongs to its run: messages of another one are refused', async () => {
    const { world, console, dog } = await setting();
    const one = await pair(world, console, dog);
    const two = await pair(world, console, dog);
    const [first, second] = [await one.accept(), await two.accept()];
    expect(await checkOf(() => two.initiation.answer(bodyOf(first.frame)))).toBe('mac');
    const { frame } = await one.initiation.answer(bodyOf(first.frame));
    expect(await checkOf(() => second.complete(bodyOf(frame)))).toBe('seal');
  });

  it('is read without a crash, whatever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          writeFrame(readFrame(bytes));
        } catch (cause) {
          expect(cause).toBeInstanceOf(Malformed);
        }
      }),
      { seed: 9, numRuns: 500 },
    );
  });
});
