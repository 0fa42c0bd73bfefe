import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BadConfiguration } from '../../src/agent/index.ts';
import { readConfig } from '../../src/cli/config.ts';
import { millisecondsOf } from '../../src/cli/duration.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { root } from '../house/sources.ts';

const base = { authority: 'https://127.0.0.1:8443' };
const read = (value: unknown) => readConfig(utf8(JSON.stringify(value)), '/robot/fealty.json');

describe('fealty.json', () => {
  it('needs the authority and nothing else; paths begin where the file is', () => {
    expect(read(base)).toEqual({
      file: '/robot/fealty.json',
      state: '/robot/state',
      tpm: 'device:/dev/tpmrm0',
      authority: 'https://127.0.0.1:8443',
      broker: undefined,
      brokerKind: 'embedded',
      title: undefined,
      papers: {
        aibom: '/robot/papers/aibom.json',
        endorsement: '/robot/papers/endorsement.jwt',
        binding: undefined,
      },
      devices: [],
      streams: {},
      houseRules: [],
      grants: undefined,
      join: 'own',
      trustClock: false,
      syncMs: 30_000,
    });
  });

  it('takes durations, and conditions as text', () => {
    const config = read({
      ...base,
      sync: '20 min',
      devices: [{ folder: 'devices/dog', options: { url: 'http://127.0.0.1:8081' } }],
      streams: { lidar: { device: 'robot-dog', properties: ['lidar-clear'], life: '500 ms' } },
      houseRules: [
        { id: 'night', device: '*', actions: '*', when: 'domain("rescue-7")', reason: 'not during it' },
      ],
      grants: [
        {
          type: 'fealty/action',
          locations: ['spiffe://fleet.example/agent/dog'],
          device: 'robot-dog',
          actions: ['walk'],
          when: 'domain("rescue-7")',
        },
      ],
    });
    expect(config.syncMs).toBe(1_200_000);
    expect(config.streams['lidar']?.lifeMs).toBe(500);
    expect(config.devices).toEqual([
      { folder: '/robot/devices/dog', twin: false, options: { url: 'http://127.0.0.1:8081' } },
    ]);
    expect(config.houseRules[0]?.condition).toMatchObject({ op: 'domain', task: 'rescue-7' });
    expect(config.grants?.[0]?.condition).toMatchObject({ op: 'domain' });
  });

  it.each([
    ['an unknown option', { ...base, brokr: 'mqtts://a:1' }, /there is no option `brokr`/],
    [
      'an unknown member of a device',
      { ...base, devices: [{ folder: 'x', twn: true }] },
      /no option `devices.0.twn`/,
    ],
    ['no authority', {}, /`authority` is missing/],
    ['an authority without TLS', { authority: 'http://a' }, /`authority` expects/],
    ['a broker without TLS', { ...base, broker: 'mqtt://a:1' }, /`broker` expects/],
    ['a number for a duration', { ...base, sync: 30 }, /`sync` expects/],
    ['a duration without a unit', { ...base, sync: '30' }, /`sync` expects/],
    [
      'a negative life',
      { ...base, streams: { a: { device: 'd', properties: [], life: '-1 s' } } },
      /`streams.a.life`/,
    ],
    [
      'a house rule with a misspelt member',
      { ...base, houseRules: [{ id: 'a', device: '*', actions: '*', whn: 'x', reason: 'r' }] },
      /houseRules.0/,
    ],
    [
      'a house rule whose condition cannot be read',
      { ...base, houseRules: [{ id: 'a', device: '*', actions: '*', when: 'always()', reason: 'r' }] },
      /houseRules.0/,
    ],
    [
      'a condition said twice',
      {
        ...base,
        houseRules: [
          {
            id: 'a',
            device: '*',
            actions: '*',
            when: 'domain("a")',
            condition: { op: 'domain', task: 'a' },
            reason: 'r',
          },
        ],
      },
      /instead of `condition`/,
    ],
    ['a grant that is none', { ...base, grants: [{ type: 'payment' }] }, /grants.0/],
    ['something that is no object', [], /fealty.json/],
  ])('is refused with %s', (_what, value, says) => {
    expect(() => read(value)).toThrow(BadConfiguration);
    expect(() => read(value)).toThrow(says);
  });

  it('refuses any bytes with a BadConfiguration and nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          readConfig(utf8(text), '/robot/fealty.json');
        } catch (error) {
          expect(error).toBeInstanceOf(BadConfiguration);
        }
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it('with every option at its default is docs/fealty.full.json', () => {
    const full = JSON.parse(readFileSync(join(root, 'docs/fealty.full.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    const { broker, title, grants, ...defaults } = full;
    const filled = read(full);
    expect(filled.broker).toBe(broker);
    expect(filled.title).toBe(title);
    expect(filled.grants).toEqual(grants);
    // What is left is what is meant when nothing is said, but for the examples of lists.
    const { devices, streams, houseRules, papers, ...same } = filled;
    const { binding } = papers;
    expect(devices.length * Object.keys(streams).length * houseRules.length).toBeGreaterThan(0);
    expect(binding).toBe('/robot/papers/binding.jwt');
    expect({ ...same, papers: { ...papers, binding: undefined } }).toEqual({
      ...read({ authority: defaults['authority'] }),
      broker,
      title,
      grants,
      devices: undefined,
      streams: undefined,
      houseRules: undefined,
    });
    expect(Object.keys(full).sort()).toEqual(
      [
        '$schema',
        ...Object.keys(filled).filter((name) => name !== 'file' && name !== 'syncMs'),
        'sync',
      ].sort(),
    );
  });
});

describe('a duration', () => {
  it.each([
    ['20 min', 1_200_000],
    ['500ms', 500],
    ['1.5 h', 5_400_000],
    ['365 d', 31_536_000_000],
  ])('%s', (text, ms) => {
    expect(millisecondsOf(text)).toBe(ms);
  });

  it.each(['', '20', 'min', '0 s', '-1 s', '1 week', '1e3 s', '9999999999999 d', ' 1 s', '1 s '])(
    'is not `%s`',
    (text) => {
      expect(millisecondsOf(text)).toBeUndefined();
    },
  );
});
