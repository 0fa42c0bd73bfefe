import { describe, expect, it } from 'vitest';
import { twin as robotDog } from '../../devices/robot-dog/twin.ts';
import { simulatedPlatform } from '../../simulator/platform.ts';
import { BadConfiguration } from '../../src/agent/errors.ts';
import { OwnStreams, PeerStreams, sourcesOf } from '../../src/agent/streams.ts';
import type { Membership, MessageMeta } from '../../src/domains/index.ts';
import type { HeldGrant } from '../../src/grants/index.ts';
import { DeviceHost, Inputs } from '../../src/permissions/index.ts';

const dog = 'spiffe://rescue.example/agent/dog';
const streams = {
  lidar: { device: 'robot-dog', properties: ['lidar-clear', 'lidar-distance'], events: ['obstacle-seen'] },
};

/** A membership that writes down what it is told, and can speak as the others. */
function membership() {
  const said: { stream: string; body: unknown; control: boolean | undefined }[] = [];
  const handlers = new Map<string, (body: unknown, from: string, meta: MessageMeta) => void>();
  const self = {
    publish: async (stream: string, body: unknown, options: { control?: boolean }) => {
      said.push({ stream, body, control: options.control });
    },
    subscribe: async (stream: string, handler: (body: unknown, from: string, meta: MessageMeta) => void) => {
      handlers.set(stream, handler);
      return async () => {
        handlers.delete(stream);
      };
    },
  };
  return { said, handlers, membership: self as unknown as Membership };
}

function held(stream: string): HeldGrant {
  return {
    id: 'g',
    grant: {
      type: 'fealty/action',
      locations: ['spiffe://rescue.example/agent/vehicle'],
      device: 'rescue-vehicle',
      actions: ['drive'],
      condition: {
        op: 'and',
        of: [
          {
            op: 'not',
            of: { op: 'state', source: { peer: dog, stream }, property: 'p', is: 1, maxAgeMs: 1000 },
          },
          { op: 'event', source: { device: 'thermostat' }, event: 'alarm-off', withinMs: 5 },
        ],
      },
    },
    subject: dog,
    family: 'g',
    ancestors: [],
    tags: {},
    exp: 1,
  };
}

describe('the streams of an agent', () => {
  it('are refused when they are of something that is not there', () => {
    const platform = simulatedPlatform({ seed: 1 });
    const of = (stream: object) => () =>
      new OwnStreams({ x: { device: 'robot-dog', properties: [], ...stream } }, [robotDog()], platform);
    expect(of({ device: 'cat' })).toThrow(BadConfiguration);
    expect(of({ properties: ['wings'] })).toThrow(BadConfiguration);
    expect(of({ events: ['flew'] })).toThrow(BadConfiguration);
    expect(of({ properties: ['battery'] })).not.toThrow();
  });

  it('tell what one report says as one message, and an event as control', async () => {
    const platform = simulatedPlatform({ seed: 1 });
    const body = robotDog();
    const own = new OwnStreams(streams, [body], platform);
    const { said, membership: member } = membership();
    const leave = own.join(member);
    const inputs = new Inputs(platform.clock);
    const { clock, log, network } = platform;
    const host = await DeviceHost.open(own.heard([body]), { clock, log, network, inputs });
    await clock.advance(0);
    expect(said).toEqual([
      {
        stream: 'lidar',
        control: false,
        body: { properties: { 'lidar-clear': true, 'lidar-distance': 8 }, events: [] },
      },
    ]);
    body.happen('obstacle-seen', { distance: 1 });
    await clock.advance(0);
    expect(said.at(-1)).toMatchObject({ control: true, body: { events: ['obstacle-seen'] } });
    leave();
    await clock.advance(500);
    expect(said).toHaveLength(2);
    await host.close();
  });

  it('of others are followed only where a held grant names them', async () => {
    const platform = simulatedPlatform({ seed: 1 });
    const { handlers, membership: member } = membership();
    const peers = new PeerStreams(member, new Inputs(platform.clock), platform);
    await peers.follow([held('lidar')]);
    expect([...handlers.keys()]).toEqual(['lidar']);
    await peers.follow([held('odometry')]);
    expect([...handlers.keys()]).toEqual(['odometry']);
    await peers.follow([]);
    expect([...handlers.keys()]).toEqual([]);
  });

  it('age from when they were made, however long a broker held them back, and nothing odd gets in', async () => {
    const platform = simulatedPlatform({ seed: 1 });
    const { clock } = platform;
    const inputs = new Inputs(clock);
    const cell = inputs.hold({ peer: dog, stream: 'lidar' }, 'property', 'p');
    const { handlers, membership: member } = membership();
    await new PeerStreams(member, inputs, platform).follow([held('lidar')]);
    const hear = handlers.get('lidar');
    const meta = (sentAt: number) => ({ sentAt }) as MessageMeta;
    await clock.advance(10_000);
    hear?.({ properties: { p: 1 } }, dog, meta(clock.now() - 4_000));
    expect([cell.value, clock.elapsed() - cell.at]).toEqual([1, 4_000]);
    // From the future, by a clock that is ahead: as old as now, never younger.
    hear?.({ properties: { p: 2 } }, dog, meta(clock.now() + 60_000));
    expect([cell.value, clock.elapsed() - cell.at]).toEqual([2, 0]);
    for (const odd of [
      null,
      7,
      { properties: { p: { nested: true } } },
      { properties: {}, extra: 1 },
      { events: [1] },
    ])
      hear?.(odd, dog, meta(clock.now()));
    expect(cell.value).toBe(2);
    // Another peer's word is another input.
    hear?.({ properties: { p: 3 } }, 'spiffe://rescue.example/agent/cat', meta(clock.now()));
    expect(cell.value).toBe(2);
  });

  it('are found in conditions of any depth', () => {
    expect(sourcesOf(held('lidar').grant.condition)).toEqual([
      { peer: dog, stream: 'lidar' },
      { device: 'thermostat' },
    ]);
    expect(sourcesOf(undefined)).toEqual([]);
  });
});
