import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { fromBase64url, utf8 } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/hash.ts';
import { generateKey, pointOfJwk } from '../../src/core/signer.ts';
import { signDelegation } from '../../src/domains/delegation.ts';
import { LogRefused } from '../../src/domains/errors.ts';
import { makeGenesis } from '../../src/domains/genesis.ts';
import type { DomainIdentity } from '../../src/domains/index.ts';
import type { LogBody, LogEntry } from '../../src/domains/log-entry.ts';
import { headOf, readEntry, readHead, renewalInput, writeEntry } from '../../src/domains/log-entry.ts';
import { LogReader } from '../../src/domains/log-reader.ts';
import { writePapers } from '../../src/domains/papers.ts';
import { Roster } from '../../src/domains/roster.ts';
import { issueAssignment } from '../../src/tokens/assignment.ts';
import type { GroupBounds } from '../../src/tokens/claims.ts';
import { verifyGroupGrant } from '../../src/tokens/verifier.ts';
import { flipped } from './pair.ts';
import { HOUR, NOW, World } from './world.ts';

/** A dishonest coordinator's desk: it writes what it likes, and a member reads it. */
async function desk(bounds: Partial<GroupBounds> = {}) {
  const world = await World.make();
  const console = await world.machine('console');
  const { agentId } = console.identity.credentials;
  const groupGrant = verifyGroupGrant(await world.owner.groupGrant(agentId, { bounds }), {
    bundles: console.identity.credentials.bundles,
    at: NOW,
    generations: console.generations,
  });
  const { identity, platform } = console;
  const genesis = await makeGenesis({ platform, identity, groupGrant, role: 'coordinator', mission: 'm' });
  const { domain } = genesis;
  const roster: Roster = new Roster({
    domain,
    groupGrant,
    bundles: () => identity.credentials.bundles,
    generations: console.generations,
    hashAt: (index) => reader.hashAt(index),
  });
  const reader: LogReader = new LogReader({
    domain,
    genesis: genesis.entry.hash,
    coordinator: genesis.session.publicJwk,
    apply: (header, body) => roster.apply(header, body),
  });
  reader.addKey(1, genesis.logKey);
  reader.offer(genesis.entry);
  const write = (body: LogBody, over: Partial<LogEntry['header']> = {}, sign = genesis.session.signSync) =>
    writeEntry(
      {
        v: 1,
        domain,
        index: reader.index + 1,
        previous: reader.hashAt(reader.index) ?? new Uint8Array(32),
        kind: body.kind,
        at: NOW,
        key: 1,
        term: 1,
        ...over,
      },
      body,
      genesis.logKey,
      sign,
    );
  /** An honest admission of an agent that proved itself. */
  const admission = async (
    who: DomainIdentity,
    role = 'scout',
    over: { peer?: string; domain?: string; grant?: Uint8Array } = {},
  ) => {
    const { credentials, keys } = who;
    const session = generateKey(platform.random);
    const delegation = await signDelegation(keys.ldevid, {
      domain: over.domain ?? domain,
      grant: over.grant ?? fromBase64url(groupGrant.hash),
      wth: sha256(utf8(credentials.wit)),
      ear: sha256(utf8(credentials.ear)),
      agent: credentials.agentId,
      role,
      peer: over.peer ?? agentId,
      peerRole: 'coordinator',
      transcript: sha256(utf8('t')),
      session: session.publicJwk,
      agreement: generateKey(platform.random).publicJwk,
      nbf: NOW / 1000,
      exp: groupGrant.exp,
    });
    const body: LogBody = {
      kind: 'admit',
      agent: credentials.agentId,
      role,
      papers: writePapers(credentials),
      delegation,
      wpt: 'a.b.c',
    };
    return { body, session };
  };
  const enrol = (name: string, options = {}) =>
    world.owner.enrol(name, identity.credentials.bundles, options);
  return { world, console, groupGrant, genesis, roster, reader, write, admission, enrol };
}

/** The check at which the log is refused, or what became of it. */
function outcome(work: () => unknown): unknown {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof LogRefused) return cause.check;
    throw cause;
  }
}

describe('a domain log', () => {
  it('is read in order, whatever order it comes in, and only under its keys', async () => {
    const { reader, write, admission, enrol, roster } = await desk();
    const first = write((await admission(await enrol('dog'))).body);
    const second = write(
      { kind: 'epoch', epoch: 1, roster: roster.hash() },
      { index: 2, previous: first.hash, key: 2 },
    );
    expect(reader.offer(second)).toBe('waits');
    expect(reader.offer(first)).toBe('applied');
    expect(reader.offer(first)).toBe('known');
    expect(reader.index).toBe(1); // the second one's key is not here
    expect(outcome(() => reader.addKey(2, new Uint8Array(32)))).toBe('seal');
  });

  it('is refused when a stranger wrote it, or it is another domain’s', async () => {
    const { reader, write, admission, enrol } = await desk();
    const { body } = await admission(await enrol('dog'));
    const stranger = generateKey(seededRandom('stranger'));
    expect(outcome(() => reader.offer(write(body, {}, stranger.signSync)))).toBe('signature');
    expect(outcome(() => reader.offer(write(body, { domain: 'domain-2' })))).toBe('domain');
    expect(outcome(() => reader.offerHead(headOf(write(body, {}, stranger.signSync))))).toBe('signature');
    expect(reader.index).toBe(0);
  });

  it('that tells two stories is a fork: two entries, two heads, another beginning, another past', async () => {
    const { reader, write, admission, enrol } = await desk();
    const one = write((await admission(await enrol('dog'))).body);
    const other = write((await admission(await enrol('cat'))).body);
    expect(reader.offer(one)).toBe('applied');
    expect(outcome(() => reader.offer(other))).toBe('fork');
    expect(outcome(() => reader.offerHead(headOf(other)))).toBe('fork');
    expect(reader.offerHead(headOf(one))).toBe('known');
    const end: LogBody = { kind: 'end', reason: 'x' };
    expect(outcome(() => reader.offer(write(end, { previous: other.hash })))).toBe('fork');
    const beginning = await desk();
    expect(outcome(() => beginning.reader.offer(beginning.write(end, { index: 0 })))).toBe('fork');
  });

  it('ends by the signed head of its tombstone, even with a gap before it', async () => {
    const { reader, write } = await desk();
    const end = write({ kind: 'end', reason: 'over' }, { index: 9, previous: sha256(utf8('unknown')) });
    expect(reader.offerHead(readHead(headOf(end).bytes))).toBe('ended');
    expect(reader.offer(end)).toBe('ended');
    expect(reader.index).toBe(0);
  });

  it('never goes back in time', async () => {
    const { reader, write, admission, enrol } = await desk();
    expect(outcome(() => reader.offer(write({ kind: 'end', reason: 'x' }, { at: NOW - 1 })))).toBe('link');
    const { body } = await admission(await enrol('dog'));
    expect(reader.offer(write(body))).toBe('applied');
  });

  it('is not read when one byte of it is another', async () => {
    const { write, admission, enrol } = await desk();
    const { bytes } = write((await admission(await enrol('dog'))).body);
    const at = fc.nat(bytes.length - 1);
    const setting = await desk();
    fc.assert(
      fc.property(at, fc.integer({ min: 1, max: 255 }), (place, bit) => {
        const check = outcome(() => setting.reader.offer(readEntry(flipped(bytes, place, bit))));
        expect(['form', 'signature', 'domain']).toContain(check);
      }),
      { seed: 4, numRuns: 200 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        expect(outcome(() => readEntry(noise))).toBe('form');
        expect(outcome(() => readHead(noise))).toBe('form');
      }),
      { seed: 4, numRuns: 200 },
    );
  });
});

describe('a member that reads what a dishonest coordinator wrote (GP-06, GP-08)', () => {
  it('refuses members who did not prove themselves', async () => {
    const { write, admission, enrol, reader, console } = await desk();
    const dog = await enrol('dog');
    const impostor = { ...dog, keys: { ...dog.keys, ldevid: generateKey(console.platform.random) } };
    const stale = await enrol('owl', { from: NOW - 2 * HOUR, lifeMs: 3 * HOUR, earLifeMs: HOUR });
    const cases: LogBody[] = [
      (await admission(impostor)).body,
      (await admission(stale)).body,
      (await admission(dog, 'scout', { domain: 'domain-2' })).body,
      (await admission(dog, 'scout', { grant: new Uint8Array(32) })).body,
      (await admission(dog, 'scout', { peer: 'spiffe://fleet.example/agent/cat' })).body,
      { ...(await admission(dog, 'scout')).body, role: 'carrier' } as LogBody,
      { ...(await admission(dog)).body, agent: 'spiffe://fleet.example/agent/cat' } as LogBody,
    ];
    for (const body of cases) expect(outcome(() => reader.offer(write(body)))).toBe('chain');
    expect(outcome(() => reader.offer(write({ kind: 'end', reason: 'x' })))).toBe('ended');
  });

  it('refuses more than the group grant allows', async () => {
    const few = await desk({ maxMembers: 1 });
    const dog = await few.enrol('dog');
    expect(
      outcome(() =>
        few.reader.offer(
          few.write({
            kind: 'admit',
            agent: dog.credentials.agentId,
            role: 'pilot',
            papers: writePapers(dog.credentials),
            delegation: new Uint8Array(),
            wpt: 'a.b.c',
          }),
        ),
      ),
    ).toBe('limits');
    expect(few.reader.offer(few.write((await few.admission(dog)).body))).toBe('applied');
    const cat = (await few.admission(await few.enrol('cat'))).body;
    expect(outcome(() => few.reader.offer(few.write(cat)))).toBe('limits');

    const posture = await desk();
    const warned = (await posture.admission(await posture.enrol('dog', { status: 'warning' }))).body;
    expect(outcome(() => posture.reader.offer(posture.write(warned)))).toBe('limits');

    const late = await desk({ assignLate: false });
    const soon = (await late.admission(await late.enrol('dog'))).body;
    expect(outcome(() => late.reader.offer(late.write(soon, { at: NOW + 60_001 })))).toBe('limits');

    const elsewhere = await desk({ trustDomains: ['rescue.example'] });
    const body = (await elsewhere.admission(await elsewhere.enrol('dog'))).body;
    expect(outcome(() => elsewhere.reader.offer(elsewhere.write(body)))).toBe('limits');
  });

  it('refuses one agent twice, strangers’ renewals, and an epoch that does not rise or is for others', async () => {
    const { write, admission, enrol, reader, roster } = await desk();
    const dog = await enrol('dog');
    const { body } = await admission(dog);
    expect(reader.offer(write(body))).toBe('applied');
    expect(outcome(() => reader.offer(write(body)))).toBe('member');
    expect(
      outcome(() =>
        reader.offer(write({ kind: 'evict', agent: 'spiffe://fleet.example/agent/cat', reason: '' })),
      ),
    ).toBe('member');
    expect(outcome(() => reader.offer(write({ kind: 'epoch', epoch: 1, roster: new Uint8Array(32) })))).toBe(
      'epoch',
    );
    expect(reader.offer(write({ kind: 'epoch', epoch: 2, roster: roster.hash() }))).toBe('applied');
    expect(outcome(() => reader.offer(write({ kind: 'epoch', epoch: 2, roster: roster.hash() })))).toBe(
      'epoch',
    );
  });

  it('refuses assignments outside the group grant, for another member, or by somebody else', async () => {
    const { write, admission, enrol, reader, console, groupGrant } = await desk();
    const dog = await enrol('dog');
    const cat = await enrol('cat');
    reader.offer(write((await admission(dog)).body));
    reader.offer(write((await admission(cat, 'carrier')).body));
    const issue = (over: Partial<Parameters<typeof issueAssignment>[0]>) =>
      issueAssignment({
        signer: console.identity.keys.credential,
        random: console.platform.random,
        groupGrant,
        member: dog.credentials.agentId,
        memberLdevid: dog.keys.ldevid.kid,
        role: 'scout',
        authorizationDetails: [],
        at: NOW,
        ...over,
      });
    const agent = dog.credentials.agentId;
    const bad = [
      await issue({ memberLdevid: cat.keys.ldevid.kid }),
      await issue({ member: cat.credentials.agentId }),
      await issue({ signer: dog.keys.credential }),
      await issue({ role: 'carrier' }),
    ];
    for (const assignment of bad)
      expect(outcome(() => reader.offer(write({ kind: 'assign', agent, assignment })))).toBe('assignment');
    expect(reader.offer(write({ kind: 'assign', agent, assignment: await issue({}) }))).toBe('applied');
  });

  it('takes renewed papers only when the same LDevID signed them over this very log', async () => {
    const { write, admission, enrol, reader, genesis, roster } = await desk();
    const dog = await enrol('dog');
    const { body, session } = await admission(dog);
    reader.offer(write(body));
    const renewed = await enrol('dog', { from: NOW + 60_000, ldevid: dog.keys.ldevid });
    const other = await enrol('dog', { from: NOW + 60_000 });
    const renewal = async (
      who: DomainIdentity,
      over: { seenHash?: Uint8Array; signer?: DomainIdentity } = {},
    ): Promise<LogBody> => {
      const papers = writePapers(who.credentials);
      const claims = {
        papers,
        seenIndex: 1,
        seenHash: over.seenHash ?? reader.hashAt(1) ?? new Uint8Array(32),
      };
      const { agentId } = who.credentials;
      const signature = await (over.signer ?? who).keys.ldevid.sign(
        renewalInput({
          ...claims,
          domain: genesis.domain,
          agent: agentId,
          session: pointOfJwk(session.publicJwk),
        }),
      );
      return { kind: 'renew', agent: agentId, ...claims, signature };
    };
    const at = NOW + 90_000;
    for (const bad of [
      await renewal(renewed, { seenHash: sha256(utf8('another branch')) }),
      await renewal(renewed, { signer: other }),
      await renewal(other),
    ])
      expect(outcome(() => reader.offer(write(bad, { at })))).toBe('chain');
    expect(reader.offer(write(await renewal(renewed), { at }))).toBe('applied');
    expect(roster.members.get(dog.credentials.agentId)?.papers.currentUntil).toBe(NOW + 60_000 + HOUR);
  });
});
