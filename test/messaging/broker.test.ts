import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import type { EmbeddedBroker } from '../../src/hub/broker.ts';
import {
  BrokerRefused,
  brokerAuthorizerOver,
  ConnectRefused,
  inboxFilter,
  inboxTopic,
  lifeFilter,
  lifeTopic,
  lobbyTopic,
  logHeadTopic,
  logTopic,
  multicastFilter,
  multicastTopic,
  newsTopic,
  PublishRefused,
  SubscribeRefused,
} from '../../src/messaging/index.ts';
import type { Agent } from './broker-fixture.ts';
import { Fleet, HOUR, mailbox, next, platform } from './broker-fixture.ts';

const domain = 'rescue-7';
const grant = 'may convene';

let fleet: Fleet;
let console_: Agent;
let dog: Agent;
let truck: Agent;
let stranger: Agent;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  fleet = await Fleet.create();
  console_ = await fleet.agent('console-1');
  dog = await fleet.agent('dog-03');
  truck = await fleet.agent('truck-01');
  stranger = await fleet.agent('stranger');
});

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

const keep = <T extends { close(): Promise<void> }>(each: T): T => {
  open.push(each);
  return each;
};
const start = async (more: Parameters<Fleet['broker']>[0] = {}): Promise<EmbeddedBroker> =>
  keep(await fleet.broker(more));
const linkOf = async (broker: EmbeddedBroker, agent: Agent, more = {}) =>
  keep(await fleet.link(broker.port, agent, more));

/** A broker with an open domain of console, dog and truck. */
async function rescue() {
  const broker = await start();
  const [c, d, t] = [await linkOf(broker, console_), await linkOf(broker, dog), await linkOf(broker, truck)];
  const rights = await brokerAuthorizerOver(c, console_.slug, platform);
  await rights.openDomain(domain, { grant });
  await rights.admit(domain, [dog.slug, truck.slug]);
  return { broker, rights, c, d, t };
}

describe('a connection to the embedded broker', () => {
  it('is accepted with a WIC, under the slug of its identifier (AN-01)', async () => {
    const broker = await start();
    const link = await linkOf(broker, dog);
    expect(link.connected).toBe(true);
    expect(broker.connected).toEqual([dog.slug]);
  });

  it('is refused without a certificate, with a stranger’s, with an expired one', async () => {
    const broker = await start();
    const elsewhere = await Fleet.create();
    const foreign = await elsewhere.agent('dog-03');
    const old = await fleet.agent('old', {
      notBefore: platform.clock.now() - 2 * HOUR,
      notAfter: platform.clock.now() - HOUR,
    });
    const attempts = [
      fleet.link(broker.port, dog, { tls: fleet.tls() }),
      fleet.link(broker.port, foreign),
      fleet.link(broker.port, old),
    ];
    for (const attempt of await Promise.allSettled(attempts))
      expect(attempt).toMatchObject({
        status: 'rejected',
        reason: { code: 'messaging.connect-refused', returnCode: 5 },
      });
    expect(broker.connected).toEqual([]);
  });

  it('is refused under another agent’s client id, and leaves that agent connected', async () => {
    const broker = await start();
    const link = await linkOf(broker, dog);
    await expect(fleet.link(broker.port, stranger, { clientId: dog.slug })).rejects.toMatchObject({
      code: 'messaging.connect-refused',
      returnCode: 2,
    });
    await link.publish(lobbyTopic(truck.slug), utf8('still here'), { qos: 1 });
    expect(link.connected).toBe(true);
  });

  it('is refused with a will for anything but its own life', async () => {
    const broker = await start();
    const will = (topic: string) => () => ({ topic, payload: utf8('gone') });
    for (const topic of [
      lobbyTopic(truck.slug),
      lifeTopic(domain, truck.slug),
      multicastTopic(domain, dog.slug, 'state'),
      'home/kitchen',
    ])
      await expect(fleet.link(broker.port, dog, { will: will(topic) })).rejects.toThrow(ConnectRefused);
    expect((await linkOf(broker, dog, { will: will(lifeTopic(domain, dog.slug)) })).connected).toBe(true);
  });

  it('refuses a broker that shows another owner’s certificate', async () => {
    const elsewhere = await Fleet.create();
    const broker = await start();
    await expect(elsewhere.link(broker.port, dog)).rejects.toMatchObject({
      code: 'identity.certificate-refused',
    });
  });
});

describe('an agent outside of a domain', () => {
  it('may listen to its own lobby and write to others’, and to nothing else', async () => {
    const { broker } = await rescue();
    const link = await linkOf(broker, stranger);
    await link.subscribe(lobbyTopic(stranger.slug), () => {});
    for (const filter of [
      lobbyTopic(dog.slug),
      'td1/lobby/+',
      '#',
      'td1/#',
      '+/+/+',
      '$SYS/#',
      `td1/${domain}/#`,
      multicastFilter(domain),
      inboxFilter(domain, stranger.slug),
      inboxFilter(domain, dog.slug),
      lifeFilter(domain),
      logTopic(domain),
      logHeadTopic(domain),
      `td1/broker/answer/${dog.slug}`,
      'td1/broker/control',
      'td1/broker/dropped',
      'td1/+/log',
    ])
      await expect(
        link.subscribe(filter, () => {}),
        filter,
      ).rejects.toThrow(SubscribeRefused);
  });

  it('cannot publish into it: QoS 0 is dropped, QoS 1 refused', async () => {
    const { broker, t } = await rescue();
    const heard = mailbox();
    await t.subscribe(multicastFilter(domain), heard.handler);
    await t.subscribe(lobbyTopic(truck.slug), heard.handler);
    const link = await linkOf(broker, stranger);
    await link.publish(multicastTopic(domain, stranger.slug, 'state'), utf8('x'));
    await link.publish(multicastTopic(domain, dog.slug, 'state'), utf8('x'));
    await expect(
      link.publish(inboxTopic(domain, truck.slug, stranger.slug), utf8('x'), { qos: 1 }),
    ).rejects.toThrow(PublishRefused);
    await link.publish(lobbyTopic(truck.slug), utf8('hello'), { qos: 1 });
    expect(await heard.until(1)).toEqual([{ topic: lobbyTopic(truck.slug), text: 'hello', retained: false }]);
  });

  it('cannot open, change or destroy a domain without a grant or under another’s name', async () => {
    const { broker, c, t } = await rescue();
    const link = await linkOf(broker, stranger);
    const rights = await brokerAuthorizerOver(link, stranger.slug, platform);
    const refusals = [
      [() => rights.openDomain('other', { grant: 'forged' }), 'grant'],
      [() => rights.openDomain(domain, { grant }), 'owner'],
      [() => rights.openDomain('lobby', { grant }), 'form'],
      [() => rights.admit(domain, stranger.slug), 'owner'],
      [() => rights.admit('never-opened', stranger.slug), 'owner'],
      [() => rights.evict(domain, truck.slug), 'owner'],
      [() => rights.destroy(domain), 'owner'],
    ] as const;
    for (const [attempt, check] of refusals)
      await expect(attempt()).rejects.toMatchObject({ code: 'messaging.broker-refused', check });
    const heard = mailbox();
    await t.subscribe(multicastFilter(domain), heard.handler);
    await c.publish(multicastTopic(domain, console_.slug, 'order'), utf8('go'), { qos: 1 });
    expect(await heard.until(1)).toMatchObject([{ text: 'go' }]);
  });

  it('is limited in what it says to one lobby', async () => {
    const { broker, t } = await rescue();
    const heard = mailbox();
    await t.subscribe(lobbyTopic(truck.slug), heard.handler);
    await t.subscribe(multicastFilter(domain), heard.handler);
    const link = await linkOf(broker, stranger);
    const dropped: string[] = [];
    broker.on('refused', (_slug, _what, detail) => dropped.push(detail));
    for (let i = 0; i < 60; i++) await link.publish(lobbyTopic(truck.slug), utf8(`${i}`), { qos: 1 });
    expect(dropped.length).toBeGreaterThan(30);
    expect(new Set(dropped)).toEqual(new Set(['lobby rate']));
  });
});

describe('a member of a domain', () => {
  it('speaks and hears under its own name', async () => {
    const { d, t } = await rescue();
    const heard = mailbox();
    await t.subscribe(multicastFilter(domain), heard.handler);
    await t.subscribe(inboxFilter(domain, truck.slug), heard.handler);
    await d.publish(multicastTopic(domain, dog.slug, 'state'), utf8('walking'), { qos: 1 });
    await d.publish(inboxTopic(domain, truck.slug, dog.slug), utf8('psst'), { qos: 1 });
    expect((await heard.until(2)).map((each) => each.text).sort()).toEqual(['psst', 'walking']);
  });

  it('cannot speak for another, write the log, leave things behind, or read another’s inbox', async () => {
    const { d } = await rescue();
    const refused = [
      [multicastTopic(domain, truck.slug, 'state'), {}],
      [inboxTopic(domain, console_.slug, truck.slug), {}],
      [inboxTopic(domain, stranger.slug, dog.slug), {}],
      [logTopic(domain), {}],
      [logHeadTopic(domain), { retain: true }],
      [lifeTopic(domain, truck.slug), { retain: true }],
      [multicastTopic(domain, dog.slug, 'state'), { retain: true }],
      [lobbyTopic(truck.slug), { retain: true }],
      [newsTopic(dog.slug, 'status'), {}],
      [`td1/broker/answer/${truck.slug}`, {}],
      ['$SYS/broker', {}],
      ['home/kitchen', {}],
    ] as const;
    for (const [topic, how] of refused)
      await expect(d.publish(topic, utf8('x'), { qos: 1, ...how }), topic).rejects.toThrow(PublishRefused);
    for (const filter of [inboxFilter(domain, truck.slug), `td1/${domain}/in/+/+`, `td1/${domain}/#`])
      await expect(
        d.subscribe(filter, () => {}),
        filter,
      ).rejects.toThrow(SubscribeRefused);
  });

  it('reads the retained head of the log, which the coordinator alone writes', async () => {
    const { c, t } = await rescue();
    await c.publish(logHeadTopic(domain), utf8('head 1'), { qos: 1, retain: true });
    const heard = mailbox();
    await t.subscribe(`td1/${domain}/log/#`, heard.handler);
    expect(await heard.until(1)).toEqual([{ topic: logHeadTopic(domain), text: 'head 1', retained: true }]);
  });

  it('leaves its will behind when its connection breaks, and not when it closes it', async () => {
    const { broker, t } = await rescue();
    const lives = mailbox();
    await t.subscribe(lifeFilter(domain), lives.handler);
    const will = () => ({ topic: lifeTopic(domain, dog.slug), payload: utf8('death 1') });
    const first = await linkOf(broker, dog, { will });
    await first.close();
    // Takes the place of a connection that did not say goodbye.
    await linkOf(broker, dog, { will });
    await linkOf(broker, dog);
    expect(await lives.until(1)).toMatchObject([{ text: 'death 1' }]);
  });

  it('is thrown out at once: disconnected, hears and says nothing more (RV-11)', async () => {
    const { rights, c, d, t } = await rescue();
    const heard = mailbox();
    await d.subscribe(multicastFilter(domain), heard.handler);
    await c.publish(multicastTopic(domain, console_.slug, 'order'), utf8('before'), { qos: 1 });
    await heard.until(1);
    const lost = next(d, 'lost');
    const refused = next(d, 'refused');
    await rights.evict(domain, dog.slug);
    await lost;
    expect(await refused).toEqual(['subscribe', multicastFilter(domain)]);
    await expect(d.publish(multicastTopic(domain, dog.slug, 'state'), utf8('x'), { qos: 1 })).rejects.toThrow(
      PublishRefused,
    );
    const others = mailbox();
    await t.subscribe(multicastFilter(domain), others.handler);
    await c.publish(multicastTopic(domain, console_.slug, 'order'), utf8('after'), { qos: 1 });
    await others.until(1);
    await d.subscribe(lobbyTopic(dog.slug), heard.handler);
    await c.publish(lobbyTopic(dog.slug), utf8('come back'), { qos: 1 });
    expect((await heard.until(2)).map((each) => each.text)).toEqual(['before', 'come back']);
  });

  it('keeps its connection when it takes part in another domain, and hears of that one alone (RV-01)', async () => {
    const { rights, c, d, t } = await rescue();
    const beside = 'bridge2';
    await rights.openDomain(beside, { grant });
    await rights.admit(beside, [dog.slug]);
    const heard = mailbox();
    await d.subscribe(multicastFilter(domain), heard.handler);
    await d.subscribe(multicastFilter(beside), heard.handler);
    let lost = 0;
    d.on('lost', () => lost++);
    await rights.evict(domain, dog.slug);
    const others = mailbox();
    await t.subscribe(multicastFilter(domain), others.handler);
    await c.publish(multicastTopic(domain, console_.slug, 'order'), utf8('not for the dog'), { qos: 1 });
    await others.until(1);
    await c.publish(multicastTopic(beside, console_.slug, 'order'), utf8('for the dog'), { qos: 1 });
    expect((await heard.until(1)).map((each) => each.text)).toEqual(['for the dog']);
    expect(lost).toBe(0);
  });
});

describe('a domain at the broker', () => {
  it('ends for all in one call, with what it kept (GP-04)', async () => {
    const { rights, c, d, t } = await rescue();
    const heard = mailbox();
    await t.subscribe(multicastFilter(domain), heard.handler);
    await c.publish(logHeadTopic(domain), utf8('tombstone'), { qos: 1, retain: true });
    await rights.destroy(domain);
    await rights.destroy(domain);
    for (const [link, agent] of [
      [d, dog],
      [c, console_],
    ] as const)
      await expect(
        link.publish(multicastTopic(domain, agent.slug, 'state'), utf8('x'), { qos: 1 }),
      ).rejects.toThrow(PublishRefused);
    await expect(t.subscribe(logTopic(domain), () => {})).rejects.toThrow(SubscribeRefused);
    // Opened again, nothing of the former is left.
    const again = await brokerAuthorizerOver(c, console_.slug, platform);
    await again.openDomain(domain, { grant });
    await c.subscribe(`td1/${domain}/log/#`, heard.handler);
    await c.publish(logTopic(domain), utf8('genesis'), { qos: 1 });
    expect((await heard.until(1)).map((each) => each.text)).toEqual(['genesis']);
  });

  it('holds no more members than its grant says', async () => {
    const { rights } = await rescue();
    await rights.admit(domain, dog.slug);
    const more = await Promise.all(['a', 'b', 'c'].map((name) => fleet.agent(name)));
    await expect(
      rights.admit(
        domain,
        more.map((each) => each.slug),
      ),
    ).rejects.toMatchObject({ check: 'limit' });
    await rights.admit(
      domain,
      more.slice(0, 2).map((each) => each.slug),
    );
  });

  it('is opened and filled again when the broker starts anew, and those who were thrown out stay out', async () => {
    const { broker, rights, d, t } = await rescue();
    const heard = mailbox();
    await t.subscribe(multicastFilter(domain), heard.handler);
    await d.subscribe(multicastFilter(domain), heard.handler);
    await rights.evict(domain, dog.slug);
    const { port } = broker;
    const lost = next(t, 'lost');
    await broker.close();
    await lost;
    const anew = await start({ port });
    const others = await linkOf(anew, stranger);
    await expect(others.subscribe(multicastFilter(domain), () => {})).rejects.toThrow(SubscribeRefused);
    // The truck's subscription is refused until the console is back, and then granted without anybody's doing.
    const said = multicastTopic(domain, truck.slug, 'state');
    while (heard.messages.length === 0) {
      await t.publish(said, utf8('here again'));
      await t.publish(lobbyTopic(console_.slug), utf8('a round trip later'), { qos: 1 });
    }
    expect(heard.messages[0]).toMatchObject({ topic: said, text: 'here again' });
    await expect(d.publish(multicastTopic(domain, dog.slug, 'state'), utf8('x'), { qos: 1 })).rejects.toThrow(
      PublishRefused,
    );
  });

  it('passes to a successor whom the grant names, and to nobody else', async () => {
    const { broker, rights, t } = await rescue();
    const successor = await brokerAuthorizerOver(t, truck.slug, platform);
    await expect(successor.openDomain(domain, { grant })).rejects.toThrow(BrokerRefused);
    await successor.openDomain(domain, { grant: 'may convene as successor' });
    await expect(rights.evict(domain, dog.slug)).rejects.toMatchObject({ check: 'owner' });
    await successor.evict(domain, dog.slug);
    expect(broker.connected).toContain(truck.slug);
  });

  it('has the same rules for a coordinator in the broker’s own process', async () => {
    const { broker } = await rescue();
    const own = broker.authorizerFor(console_.slug);
    await own.admit(domain, stranger.slug);
    const link = await linkOf(broker, stranger);
    await link.subscribe(multicastFilter(domain), () => {});
    await expect(broker.authorizerFor(stranger.slug).destroy(domain)).rejects.toThrow(BrokerRefused);
  });
});

describe('news', () => {
  it('comes from those who may announce, to everybody, also to later ones', async () => {
    const broker = await start({ announcers: [console_.slug] });
    const c = await linkOf(broker, console_);
    await c.publish(newsTopic(console_.slug, 'status'), utf8('list 4'), { qos: 1, retain: true });
    const link = await linkOf(broker, stranger);
    const heard = mailbox();
    await link.subscribe(newsTopic(console_.slug, 'status'), heard.handler);
    expect(await heard.until(1)).toMatchObject([{ text: 'list 4', retained: true }]);
    await expect(link.publish(newsTopic(stranger.slug, 'status'), utf8('x'), { qos: 1 })).rejects.toThrow(
      PublishRefused,
    );
  });
});
