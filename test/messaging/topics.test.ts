import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TopicRefused } from '../../src/messaging/errors.ts';
import { LobbyRate } from '../../src/messaging/lobby-rate.ts';
import type { Rights } from '../../src/messaging/rights.ts';
import { mayPublish, mayReceive, maySubscribe } from '../../src/messaging/rights.ts';
import type { Topic } from '../../src/messaging/topics.ts';
import {
  matches,
  parseTopic,
  readTopic,
  reservedDomains,
  topicLevelsMax,
  topicOf,
} from '../../src/messaging/topics.ts';

const slug = fc.stringMatching(/^[a-z2-7]{13}$/);
const level = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const domain = level.filter((each) => !reservedDomains.includes(each));
const topic: fc.Arbitrary<Topic> = fc.oneof(
  fc.record({ kind: fc.constant('lobby' as const), to: slug }),
  fc.record({ kind: fc.constant('multicast' as const), domain, from: slug, stream: level }),
  fc.record({ kind: fc.constant('inbox' as const), domain, to: slug, from: slug }),
  fc.record({ kind: fc.constant('log' as const), domain }),
  fc.record({ kind: fc.constant('log-head' as const), domain }),
  fc.record({ kind: fc.constant('life' as const), domain, from: slug }),
  fc.record({ kind: fc.constant('news' as const), from: slug, stream: level }),
  fc.constant({ kind: 'broker-control' as const }),
  fc.record({ kind: fc.constant('broker-answer' as const), to: slug }),
);

describe('a topic', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(topic, (each) => {
        expect(readTopic(topicOf(each))).toEqual(each);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it('has one spelling, at most seven levels and no character some broker refuses', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), topic.map(topicOf)), (each) => {
        const read = readTopic(each);
        if (read === undefined) return;
        expect(topicOf(read)).toBe(each);
        expect(each).toMatch(/^[A-Za-z0-9_/-]+$/);
        expect(each.split('/').length).toBeLessThanOrEqual(topicLevelsMax);
      }),
      { seed: 2, numRuns: 1000 },
    );
  });

  it.each([
    '',
    '/',
    'td1',
    'td2/lobby/jqe4eoq5pmbwq',
    'td1/lobby',
    'td1/lobby/JQE4EOQ5PMBWQ',
    'td1/lobby/jqe4eoq5pmbwq/',
    'td1/lobby/spiffe://fleet.example/agent/dog',
    'td1/broker/m/jqe4eoq5pmbwq/state',
    'td1/d.1/log',
    'td1/d 1/log',
    'td1/d/log/tail',
    'td1/d/m/jqe4eoq5pmbwq',
    'td1/d/m/jqe4eoq5pmbwq/+',
    'td1/d/m/jqe4eoq5pmbwq/a/b',
    'td1/d/in/jqe4eoq5pmbwq/console',
    '$SYS/broker/clients',
    'td1/\u0000/log',
    `td1/${'d'.repeat(65)}/log`,
  ])('is none of ours: `%s`', (each) => {
    expect(readTopic(each)).toBeUndefined();
    expect(() => parseTopic(each)).toThrow(TopicRefused);
  });

  it('is not made of levels that have another meaning', () => {
    const wrong = [
      { kind: 'log', domain: 'lobby' },
      { kind: 'log', domain: '+' },
      { kind: 'log', domain: 'a/b' },
      { kind: 'lobby', to: '#' },
      { kind: 'multicast', domain: 'd', from: 'jqe4eoq5pmbwq', stream: '' },
    ] as const;
    for (const each of wrong) expect(() => topicOf(each)).toThrow(TypeError);
  });

  it.each([
    ['td1/d/m/+/+', 'td1/d/m/a/b', true],
    ['td1/d/m/+/+', 'td1/d/m/a', false],
    ['td1/d/m/+/+', 'td1/d/m/a/b/c', false],
    ['td1/d/log/#', 'td1/d/log', true],
    ['td1/d/log/#', 'td1/d/log/head', true],
    ['#', 'td1/d', true],
    ['#', '$SYS/x', false],
    ['+/x', '$SYS/x', false],
    ['$SYS/#', '$SYS/x', true],
    ['a/#/b', 'a/x/b', false],
    ['a', 'a', true],
    ['a', 'A', false],
  ])('matches %s %s: %s', (filter, each, expected) => {
    expect(matches(filter, each)).toBe(expected);
  });
});

describe('rights at a broker', () => {
  const [coordinator, member, outsider] = ['aaaaaaaaaaaaa', 'bbbbbbbbbbbbb', 'ccccccccccccc'];
  const rights: Rights = {
    domain: (id) => (id === 'd' ? { coordinator, members: new Set([coordinator, member]) } : undefined),
    mayAnnounce: () => false,
  };
  const anySlug = fc.constantFrom(coordinator, member, outsider);
  const anyDomain = fc.constantFrom('d', 'e', outsider);
  const near: fc.Arbitrary<Topic> = fc.oneof(
    fc.record({ kind: fc.constant('lobby' as const), to: anySlug }),
    fc.record({ kind: fc.constant('multicast' as const), domain: anyDomain, from: anySlug, stream: level }),
    fc.record({ kind: fc.constant('inbox' as const), domain: anyDomain, to: anySlug, from: anySlug }),
    fc.record({ kind: fc.constant('log' as const), domain: anyDomain }),
    fc.record({ kind: fc.constant('log-head' as const), domain: anyDomain }),
    fc.record({ kind: fc.constant('life' as const), domain: anyDomain, from: anySlug }),
    fc.record({ kind: fc.constant('broker-answer' as const), to: anySlug }),
    fc.constant({ kind: 'broker-control' as const }),
  );

  it('never let a subscription receive what its subscriber may not receive', () => {
    const wild = fc.tuple(
      near.map(topicOf),
      fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }),
      fc.boolean(),
    );
    fc.assert(
      fc.property(wild, near, anySlug, ([base, plus, hash], heard, who) => {
        const levels = base.split('/').map((each, at) => (plus[at] ? '+' : each));
        const filter = hash ? [...levels.slice(0, -1), '#'].join('/') : levels.join('/');
        if (maySubscribe(rights, who, filter) && matches(filter, topicOf(heard)))
          expect(mayReceive(rights, who, heard), `${filter} ${topicOf(heard)}`).toBe(true);
      }),
      { seed: 3, numRuns: 20_000 },
    );
  });

  it('let nobody publish under another’s name, and an outsider publish nothing into a domain', () => {
    fc.assert(
      fc.property(near, anySlug, fc.boolean(), (each, who, retain) => {
        if (!mayPublish(rights, who, each, { retain })) return;
        if ('from' in each) expect(each.from).toBe(who);
        if ('domain' in each) expect(each.domain === 'd' && who !== outsider).toBe(true);
        if (each.kind === 'log' || each.kind === 'log-head') expect(who).toBe(coordinator);
        if (retain) expect(['life', 'log-head', 'news']).toContain(each.kind);
      }),
      { seed: 4, numRuns: 5000 },
    );
  });

  it('give nothing to what is no slug', () => {
    for (const who of ['', '+', '#', 'AAAAAAAAAAAAA']) {
      expect(maySubscribe(rights, who, `td1/lobby/${who}`)).toBe(false);
      expect(maySubscribe(rights, who, 'td1/d/m/+/+')).toBe(false);
    }
  });
});

describe('what is said in lobbies', () => {
  it('is limited for each pair and fills again with time', () => {
    const rate = new LobbyRate();
    const at = (ms: number) => rate.take('a', 'b', ms);
    expect(Array.from({ length: 20 }, () => at(0)).filter(Boolean)).toHaveLength(12);
    expect(at(999)).toBe(false);
    expect(at(2000)).toBe(true);
    expect(rate.take('a', 'c', 0)).toBe(true);
  });

  it('is limited for one sender to all, so that a flood stays small', () => {
    const rate = new LobbyRate();
    const passed = Array.from({ length: 5000 }, (_, i) => rate.take('flooder', `${i}`, 0)).filter(Boolean);
    expect(passed).toHaveLength(400);
  });

  it('keeps what it knows when more pairs talk than can be remembered', () => {
    const rate = new LobbyRate();
    for (let i = 0; i < 12; i++) rate.take('spent', 'x', 0);
    for (let i = 0; i < 30_000; i++) rate.take(`s${i}`, `t${i}`, 0);
    expect(rate.take('spent', 'x', 0)).toBe(false);
    expect(rate.take('latecomer', 'x', 0)).toBe(false);
    expect(rate.take('latecomer', 'x', 60_000)).toBe(true);
  });
});
