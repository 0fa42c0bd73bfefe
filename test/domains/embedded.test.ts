import { describe, expect, it } from 'vitest';
import type { Platform } from '../../src/core/platform.ts';
import type { Membership } from '../../src/domains/index.ts';
import { Lobby, TaskDomain } from '../../src/domains/index.ts';
import type { Fleet as FleetType } from '../messaging/broker-fixture.ts';
import { Fleet, platform as real } from '../messaging/broker-fixture.ts';
import { NOW, Owner } from './world.ts';

/** Real timers and sockets; the wall clock is the one that the tests' certificates are for. */
const started = real.clock.elapsed();
const platform: Platform = {
  ...real,
  clock: { ...real.clock, now: () => NOW + Math.floor(real.clock.elapsed() - started) },
};

async function station(fleet: FleetType, owner: Owner, port: number, name: string) {
  const agent = await fleet.agent(name);
  const link = await fleet.link(port, agent);
  const identity = await owner.enrol(name, [owner.bundle]);
  const { agentId, slug, lobbyCertificate, wit } = identity.credentials;
  return { link, identity, candidate: { agentId, slug, lobbyCertificate, wit } };
}

describe('a task domain over MQTT, TLS and the embedded broker', () => {
  it('forms, tells, asks, evicts and ends', async () => {
    const fleet = await Fleet.create();
    const owner = await Owner.make('fleet.example');
    const broker = await fleet.broker();
    const console = await station(fleet, owner, broker.port, 'console');
    const dog = await station(fleet, owner, broker.port, 'dog');
    const truck = await station(fleet, owner, broker.port, 'truck');
    const options = { heartbeatMs: 100, tenureMs: 4_000, handshakeMs: 10_000 };
    const authorizer = broker.authorizerFor(console.candidate.slug);
    const grant = await owner.groupGrant(console.candidate.agentId);
    const domain = await TaskDomain.convene({
      platform,
      ...console,
      options,
      // The fixture's broker opens domains for its own word; the group grant is the domain's business.
      broker: {
        openDomain: (id) => authorizer.openDomain(id, { grant: 'may convene' }),
        admit: (id, slug) => authorizer.admit(id, slug),
        evict: (id, slug) => authorizer.evict(id, slug),
        destroy: (id) => authorizer.destroy(id),
      },
      groupGrant: grant,
      task: 'rescue-7',
      mission: 'clear the road',
    });
    const join = async (station: typeof dog) => {
      const lobby = await Lobby.open({ platform, ...station, options, joinPolicy: () => ({ join: true }) });
      return new Promise<Membership>((resolve) => lobby.once('joined', resolve));
    };
    const listening = [await fleetLobby(join, dog), await fleetLobby(join, truck)];
    await Promise.all([domain.invite(dog.candidate, 'scout'), domain.invite(truck.candidate, 'carrier')]);
    const [dogIn, truckIn] = await Promise.all(listening.map(({ joined }) => joined));
    if (dogIn === undefined || truckIn === undefined) throw new Error('nobody joined');
    expect(truckIn.roster()).toEqual(domain.roster());

    const heard = new Promise(
      (resolve) => void truckIn.subscribe('lidar', (body, from) => resolve([body, from])),
    );
    await new Promise<void>((resolve) => {
      void truckIn.subscribe('ready', () => resolve());
      const again = () => {
        void dogIn.publish('ready', 1);
        platform.clock.schedule(50, () => dogIn.mode !== 'ended' && again());
      };
      again();
    });
    await dogIn.publish('lidar', { clear: true }, { control: true });
    expect(await heard).toEqual([{ clear: true }, dogIn.agentId]);
    truckIn.answer((body) => ({ did: body }));
    expect(await dogIn.ask(truckIn.agentId, 'lift')).toEqual({ did: 'lift' });

    const out = new Promise<string>((resolve) => dogIn.once('ended', resolve));
    await domain.evict(dogIn.agentId, 'it barks');
    expect(await out).toBe('it barks');
    const over = new Promise<string>((resolve) => truckIn.once('ended', resolve));
    await domain.end('the road is clear');
    expect(await over).toBe('the road is clear');
    for (const { link } of [console, dog, truck]) await link.close();
    await broker.close();
  }, 30_000);
});

/** Opens a lobby and hands out the promise of who joins, unawaited. */
async function fleetLobby<T>(join: (station: T) => Promise<Membership>, station: T) {
  return { joined: join(station) };
}
