import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { signJws } from '../../src/core/jws.ts';
import { CLAIM } from '../../src/core/names.ts';
import { generateKey } from '../../src/core/signer.ts';
import type { Grant } from '../../src/grants/grant.ts';
import type { AssignmentRequest } from '../../src/tokens/assignment.ts';
import { issueAssignment, verifyAssignment } from '../../src/tokens/assignment.ts';
import type { ConveneGrant, GroupBounds } from '../../src/tokens/claims.ts';
import { ASSIGNMENT_CLAIM } from '../../src/tokens/claims.ts';
import { expandRoles } from '../../src/tokens/details.ts';
import { verifyGenerations } from '../../src/tokens/status.ts';
import type { VerifiedGroupGrant } from '../../src/tokens/verifier.ts';
import { verifyGroupGrant } from '../../src/tokens/verifier.ts';
import type { House } from './house.ts';
import { CONSOLE, DOG, DOMAIN, house, VEHICLE } from './house.ts';

/** The vehicle's arm may lift while the dog's lidar says clear; members are known by role alone. */
const LIFT: Grant = {
  type: 'fealty/action',
  locations: ['role:lifter'],
  device: 'arm',
  actions: ['lift', 'stop'],
  condition: {
    op: 'state',
    source: { peer: 'role:scout', stream: 'lidar' },
    property: 'clear',
    is: true,
    maxAgeMs: 2_000,
  },
  limits: [{ kind: 'count', max: 10 }],
};

const BOUNDS: GroupBounds = {
  trustDomains: [DOMAIN],
  roles: {
    scout: { capabilities: ['lidar'], authorization_details: [], max: 2 },
    lifter: { capabilities: ['arm.lift'], authorization_details: [LIFT], max: 1 },
  },
  maxMembers: 3,
  posture: 'warning',
  assignLate: true,
  statusBoundS: 60,
};

const RIGHT: ConveneGrant = {
  type: 'fealty/convene',
  trustDomains: [DOMAIN],
  authorization_details: [LIFT],
  maxMembers: 5,
};

/** What the coordinator assigns the vehicle once the members are known. */
const ASSIGNED: Grant = {
  ...LIFT,
  locations: [VEHICLE],
  condition: {
    op: 'state',
    source: { peer: DOG, stream: 'lidar' },
    property: 'clear',
    is: true,
    maxAgeMs: 2_000,
  },
};

const ldevid = generateKey(seededRandom(1, 'ldevid'));
const coordinatorKey = generateKey(seededRandom(2, 'coordinator'));

async function convened(over: Partial<GroupBounds> = {}) {
  const home = await house();
  const family = await home.grant(CONSOLE, RIGHT);
  const console = await home.agent(CONSOLE);
  const vehicle = await home.agent(VEHICLE);
  const compact = await console.client.groupGrant({ task: 'rescue-7', bounds: { ...BOUNDS, ...over } });
  const groupGrant = verifyGroupGrant(compact, {
    bundles: home.bundles,
    at: home.clock.now(),
    generations: vehicle.book,
    coordinator: CONSOLE,
  });
  return { home, console, vehicle, compact, groupGrant, family };
}

const assign = (home: House, groupGrant: VerifiedGroupGrant, over: Partial<AssignmentRequest> = {}) =>
  issueAssignment({
    signer: coordinatorKey,
    random: seededRandom(9, JSON.stringify(over.role ?? '')),
    groupGrant,
    member: VEHICLE,
    memberLdevid: ldevid.kid,
    role: 'lifter',
    authorizationDetails: [ASSIGNED],
    roles: { [VEHICLE]: 'lifter', [DOG]: 'scout' },
    at: home.clock.now(),
    ...over,
  });

describe('a group grant', () => {
  it('is one grant for a whole group, within what the owner lets this console convene (GP-01)', async () => {
    const { home, groupGrant, family } = await convened();
    expect(groupGrant).toMatchObject({
      coordinator: CONSOLE,
      task: 'rescue-7',
      trustDomain: DOMAIN,
      bounds: BOUNDS,
    });
    expect(groupGrant.exp - groupGrant.iat).toBe(14_400);
    expect(Object.keys(groupGrant.tags).sort()).toEqual(
      [
        `client:${CONSOLE}`,
        `family:${family}`,
        `group:${groupGrant.id}`,
        'owner:fleet.example',
        'task:rescue-7',
      ].sort(),
    );
    expect(home.audit.records.at(-1)).toMatchObject({
      kind: 'group-grant',
      decision: 'permit',
      task: 'rescue-7',
    });
  });

  it.each([
    ['another trust domain', { trustDomains: [DOMAIN, 'other.example'] }, 'group-trust-domains'],
    ['more members', { maxMembers: 6 }, 'group-max-members'],
    [
      'a role larger than the group',
      { roles: { ...BOUNDS.roles, scout: { capabilities: [], authorization_details: [], max: 4 } } },
      'group-role-max',
    ],
    [
      'a role that may do more',
      {
        roles: {
          scout: { capabilities: [], authorization_details: [], max: 1 },
          lifter: {
            capabilities: [],
            authorization_details: [{ ...LIFT, actions: ['lift', 'throw'] }],
            max: 1,
          },
        },
      },
      'group-role-details',
    ],
    [
      'a role without the condition',
      {
        roles: {
          scout: { capabilities: [], authorization_details: [], max: 1 },
          lifter: { capabilities: [], authorization_details: [{ ...LIFT, condition: undefined }], max: 1 },
        },
      },
      'group-role-details',
    ],
    [
      'a role that names a role nobody has',
      { roles: { lifter: { capabilities: [], authorization_details: [LIFT], max: 1 } } },
      'group-form',
    ],
    ['no role at all', { roles: {} }, 'group-form'],
    [
      'a place that is neither agent nor role',
      {
        roles: {
          lifter: { capabilities: [], authorization_details: [{ ...LIFT, locations: ['anybody'] }], max: 1 },
        },
      },
      'group-form',
    ],
    ['successors from outside', { successors: ['spiffe://other.example/agent/x'] }, 'group-successors'],
    ['a member nobody knows', { admin: true }, 'group-form'],
  ])('is refused for %s', async (_name, over, check) => {
    const home = await house();
    await home.grant(CONSOLE, RIGHT);
    const { client } = await home.agent(CONSOLE);
    const bounds = { ...BOUNDS, ...over } as GroupBounds;
    await expect(client.groupGrant({ task: 'rescue-7', bounds })).rejects.toMatchObject({ check });
  });

  it("is refused to whom the owner gave no right, for too long a life, and for another's task", async () => {
    const { home } = await convened();
    const dog = await home.agent(DOG);
    await expect(dog.client.groupGrant({ task: 'x', bounds: BOUNDS })).rejects.toMatchObject({
      check: 'no-right-to-convene',
      remedy: 'ask-owner',
    });
    await home.grant(DOG, { ...RIGHT, maxLifeS: 600 });
    await expect(dog.client.groupGrant({ task: 'x', bounds: BOUNDS, lifeS: 601 })).rejects.toMatchObject({
      check: 'group-life',
    });
    await expect(dog.client.groupGrant({ task: 'rescue-7', bounds: BOUNDS })).rejects.toMatchObject({
      check: 'group-task',
    });
    await expect(dog.client.groupGrant({ task: 'x', bounds: BOUNDS })).resolves.toContain('.');
  });

  it("is refused by members when it is expired, another coordinator's, forged or unknown", async () => {
    const { home, vehicle, compact } = await convened();
    const expected = { bundles: home.bundles, at: home.clock.now(), generations: vehicle.book };
    expect(() => verifyGroupGrant(compact, { ...expected, at: home.clock.now() + 14_400_000 })).toThrow(
      expect.objectContaining({ check: 'expired' }),
    );
    expect(() => verifyGroupGrant(compact, { ...expected, coordinator: DOG })).toThrow(
      expect.objectContaining({ check: 'coordinator' }),
    );
    expect(() => verifyGroupGrant(compact, { ...expected, issuer: 'https://other.example' })).toThrow(
      expect.objectContaining({ check: 'issuer' }),
    );
    expect(() => verifyGroupGrant(compact, { ...expected, bundles: [] })).toThrow(
      expect.objectContaining({ check: 'trust-domain' }),
    );
    const [head, body, signature = ''] = compact.split('.');
    const flipped = `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    expect(() => verifyGroupGrant(flipped, expected)).toThrow(
      expect.objectContaining({ check: 'signature' }),
    );
  });

  it("ends as one unit: the coordinator revokes it, and every member's authority is gone (GP-04, GP-08)", async () => {
    const { home, console, vehicle, compact, groupGrant } = await convened();
    const assignment = await assign(home, groupGrant);
    const expected = {
      groupGrant,
      coordinatorKeys: [coordinatorKey.publicJwk],
      member: { agentId: VEHICLE, ldevid: ldevid.kid },
      at: home.clock.now(),
      generations: vehicle.book,
      roles: { [DOG]: 'scout' },
    };
    expect(verifyAssignment(assignment, expected).held).toHaveLength(1);
    await console.client.revoke(compact);
    const [statement = ''] = home.statements;
    await vehicle.book.apply(await verifyGenerations(statement, home.bundles));
    expect([vehicle.book.of(`group:${groupGrant.id}`), vehicle.book.of('task:rescue-7')]).toEqual([1, 1]);
    expect(() => verifyAssignment(assignment, expected)).toThrow(
      expect.objectContaining({ check: 'revoked' }),
    );
    await expect(console.client.groupGrant({ task: 'rescue-7', bounds: BOUNDS })).rejects.toMatchObject({
      check: 'revoked',
    });
  });

  it('may be ended by a named successor, and by nobody else', async () => {
    const { home, compact, vehicle } = await convened({ successors: [VEHICLE] });
    const dog = await home.agent(DOG);
    await expect(dog.client.revoke(compact)).rejects.toMatchObject({ check: 'token-owner' });
    await vehicle.client.revoke(compact);
    expect(home.statements).toHaveLength(1);
  });
});

describe('a task assignment', () => {
  it("is verified offline, as a subset of its role, under the group's limits (GP-02, GP-03, GP-07)", async () => {
    const { home, vehicle, groupGrant } = await convened();
    const verified = verifyAssignment(await assign(home, groupGrant), {
      groupGrant,
      coordinatorKeys: [generateKey(seededRandom(3)).publicJwk, coordinatorKey.publicJwk],
      member: { agentId: VEHICLE, ldevid: ldevid.kid },
      at: home.clock.now(),
      generations: vehicle.book,
      roles: { [DOG]: 'scout' },
    });
    expect(verified).toMatchObject({ member: VEHICLE, role: 'lifter', task: 'rescue-7' });
    const [held] = verified.held;
    expect(held).toMatchObject({ grant: ASSIGNED, subject: VEHICLE, family: `${groupGrant.id}#lifter.0` });
    expect(held?.ancestors).toMatchObject([{ grant: ASSIGNED, family: `${groupGrant.id}#lifter.0` }]);
    expect(held?.tags).toMatchObject({
      'task:rescue-7': 0,
      [`group:${groupGrant.id}`]: 0,
      [`token:${verified.id}`]: 0,
    });
  });

  it('is not even signed when it would be wider than its role', async () => {
    const { home, groupGrant } = await convened();
    const throwing = { ...ASSIGNED, actions: ['lift', 'throw'] };
    await expect(assign(home, groupGrant, { authorizationDetails: [throwing] })).rejects.toMatchObject({
      check: 'subset',
    });
    const anyPeer = { ...ASSIGNED, condition: LIFT.condition };
    await expect(assign(home, groupGrant, { authorizationDetails: [anyPeer] })).rejects.toMatchObject({
      check: 'authorization-details',
    });
    const elsewhere = { ...ASSIGNED, locations: [DOG] };
    await expect(assign(home, groupGrant, { authorizationDetails: [elsewhere] })).rejects.toMatchObject({
      check: 'subset',
    });
    await expect(assign(home, groupGrant, { role: 'king' })).rejects.toMatchObject({ check: 'role' });
    await expect(assign(home, groupGrant, { exp: groupGrant.exp + 1 })).rejects.toMatchObject({
      check: 'life',
    });
    await expect(
      assign(home, groupGrant, { member: 'spiffe://other.example/agent/x' }),
    ).rejects.toMatchObject({
      check: 'trust-domain-of-member',
    });
  });

  it('is refused in each way a coordinator or a thief could cheat', async () => {
    const { home, vehicle, groupGrant } = await convened();
    const { groupGrant: otherGrant } = await convened({ maxMembers: 2 });
    const good = {
      groupGrant,
      coordinatorKeys: [coordinatorKey.publicJwk],
      member: { agentId: VEHICLE, ldevid: ldevid.kid },
      at: home.clock.now(),
      generations: vehicle.book,
      roles: { [DOG]: 'scout' },
    };
    const iat = Math.floor(home.clock.now() / 1000);
    const claims = {
      iss: CONSOLE,
      sub: VEHICLE,
      jti: 'a1',
      iat,
      exp: iat + 60,
      cnf: { jkt: ldevid.kid },
      authorization_details: [ASSIGNED],
      [CLAIM.task]: 'rescue-7',
      [ASSIGNMENT_CLAIM]: { role: 'lifter', group: groupGrant.id, hash: groupGrant.hash },
    };
    const checkOf = async (over: object, expected: object = {}, signer = coordinatorKey) => {
      const compact = await signJws(signer, 'task-assignment+jwt', { ...claims, ...over });
      try {
        verifyAssignment(compact, { ...good, ...expected });
        return 'accepted';
      } catch (error) {
        return (error as { check: string }).check;
      }
    };
    expect(await checkOf({})).toBe('accepted');
    expect(await checkOf({}, {}, ldevid)).toBe('signature');
    expect(await checkOf({}, { coordinatorKeys: [] })).toBe('key');
    expect(await checkOf({ iss: DOG })).toBe('coordinator');
    expect(await checkOf({ sub: DOG })).toBe('subject');
    expect(await checkOf({}, { member: { agentId: DOG, ldevid: ldevid.kid } })).toBe('subject');
    expect(await checkOf({}, { member: { agentId: VEHICLE, ldevid: coordinatorKey.kid } })).toBe('presenter');
    expect(await checkOf({ exp: iat })).toBe('expired');
    expect(await checkOf({ iat: iat + 600, exp: iat + 900 })).toBe('not-yet-valid');
    expect(await checkOf({ exp: groupGrant.exp + 1 })).toBe('life');
    expect(await checkOf({ [CLAIM.task]: 'picnic' })).toBe('task');
    expect(await checkOf({}, { groupGrant: otherGrant })).toBe('group');
    expect(
      await checkOf({ [ASSIGNMENT_CLAIM]: { role: 'scout', group: groupGrant.id, hash: groupGrant.hash } }),
    ).toBe('subset');
    expect(
      await checkOf({
        [ASSIGNMENT_CLAIM]: { role: 'constructor', group: groupGrant.id, hash: groupGrant.hash },
      }),
    ).toBe('role');
    expect(
      await checkOf({ authorization_details: [{ ...ASSIGNED, limits: [{ kind: 'count', max: 11 }] }] }),
    ).toBe('subset');
    expect(await checkOf({ authorization_details: [{ ...ASSIGNED, condition: undefined }] })).toBe('subset');
    expect(await checkOf({}, { roles: { [DOG]: 'lifter' } })).toBe('subset');
    expect(await checkOf({ unknown: 1 })).toBe('claims');
  });

  it('ends with its member, or with the device it concerns, and works again once they are given back', async () => {
    const { home, console, vehicle, groupGrant } = await convened();
    const expected = (grant: VerifiedGroupGrant) => ({
      groupGrant: grant,
      coordinatorKeys: [coordinatorKey.publicJwk],
      member: { agentId: VEHICLE, ldevid: ldevid.kid },
      at: home.clock.now(),
      generations: vehicle.book,
      roles: { [DOG]: 'scout' },
    });
    const first = await assign(home, groupGrant);
    const held = () => verifyAssignment(first, expected(groupGrant)).held[0]?.tags ?? {};
    expect(vehicle.book.revoked(held())).toBeUndefined();

    const learn = async () =>
      vehicle.book.apply(await verifyGenerations(await home.issuer.statement(), home.bundles));
    const arm = { format: 'fealty/device', uri: VEHICLE, device: 'arm' } as const;
    await home.issuer.revoke(arm, 'owner', 'broken');
    await learn();
    expect(vehicle.book.revoked(held())).toBe(`device:${VEHICLE}#arm`);
    await home.issuer.revoke({ format: 'uri', uri: VEHICLE }, 'owner', 'lost');
    await learn();
    expect(() => verifyAssignment(first, expected(groupGrant))).toThrow(/client:/);

    await home.issuer.reopen(arm, 'owner');
    await home.issuer.reopen({ format: 'uri', uri: VEHICLE }, 'owner');
    expect(() => verifyAssignment(first, expected(groupGrant))).toThrow(/client:/);
    const compact = await console.client.groupGrant({ task: 'rescue-8', bounds: BOUNDS });
    const later = verifyGroupGrant(compact, {
      bundles: home.bundles,
      at: home.clock.now(),
      generations: vehicle.book,
    });
    const anew = verifyAssignment(await assign(home, later), expected(later));
    expect(vehicle.book.revoked(anew.held[0]?.tags ?? {})).toBeUndefined();
  });
});

describe('the roles of a group', () => {
  it('are filled in with who holds them: every place, one peer at a time, nobody for nobody', () => {
    const grants = expandRoles([LIFT], { [VEHICLE]: 'lifter', [DOG]: 'scout', [CONSOLE]: 'scout' });
    expect(grants.map(({ grant }) => grant.locations)).toEqual([[VEHICLE], [VEHICLE]]);
    expect(grants.map(({ grant }) => JSON.stringify(grant.condition).includes(DOG))).toEqual([true, false]);
    expect(expandRoles([LIFT], { [DOG]: 'scout' })).toEqual([]);
    expect(expandRoles([LIFT], { [VEHICLE]: 'lifter' })).toEqual([]);
  });

  it('are bounded: roles that expand without end are refused', () => {
    const scouts = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [`spiffe://fleet.example/agent/s${i}`, 'scout']),
    );
    expect(() => expandRoles([LIFT, LIFT], { ...scouts, [VEHICLE]: 'lifter' })).toThrow(/more than 256/);
  });
});
