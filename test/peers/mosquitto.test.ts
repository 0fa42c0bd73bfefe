import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { generateKey, pemOfKey } from '../../src/core/signer.ts';
import type { RunningMosquitto } from '../../src/hub/broker-mosquitto.ts';
import { startMosquitto } from '../../src/hub/broker-mosquitto.ts';
import type { MqttLink } from '../../src/messaging/index.ts';
import {
  BrokerRefused,
  EpochKeys,
  inboxFilter,
  inboxTopic,
  lifeTopic,
  lobbyTopic,
  logHeadTopic,
  multicastFilter,
  multicastTopic,
  OwnSession,
  open as openEnvelope,
  Peer,
  SubscribeRefused,
  seal,
} from '../../src/messaging/index.ts';
import { mosquittoAuthorizer } from '../../src/messaging/mosquitto.ts';
import type { Agent } from '../messaging/broker-fixture.ts';
import { Fleet, mailbox, next, platform } from '../messaging/broker-fixture.ts';
import { present } from './present.ts';

describe.skipIf(!present('mosquitto'))('a Mosquitto configured by us', () => {
  let directory: string;
  let fleet: Fleet;
  let broker: RunningMosquitto;
  let [console_, dog, truck, stranger]: Agent[] = [];
  const links: { close(): Promise<void> }[] = [];
  let serial = 0;

  const the = (agent: Agent | undefined): Agent => {
    if (agent === undefined) throw new TypeError('no such agent');
    return agent;
  };
  const linkOf = async (agent: Agent | undefined, more = {}): Promise<MqttLink> => {
    const link = await fleet.link(broker.port, the(agent), more);
    links.push(link);
    return link;
  };
  /** Console, dog and truck, enrolled, in a domain of their own. */
  async function rescue() {
    serial += 1;
    const domain = `rescue-${serial}`;
    const c = await linkOf(console_);
    const rights = await mosquittoAuthorizer(c, the(console_).slug, platform);
    for (const agent of [dog, truck, stranger]) await rights.enrol(the(agent).slug);
    await rights.openDomain(domain, { grant: 'unread' });
    await rights.admit(domain, [the(dog).slug, the(truck).slug]);
    return { domain, c, rights, d: await linkOf(dog), t: await linkOf(truck) };
  }

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fealty-mosquitto-'));
    fleet = await Fleet.create();
    [console_, dog, truck, stranger] = await Promise.all(
      ['console-1', 'dog-03', 'truck-01', 'stranger'].map((name) => fleet.agent(name)),
    );
    broker = await startMosquitto({
      directory,
      tls: { chain: fleet.serverChain, privateKeyPem: pemOfKey(fleet.serverKey) },
      anchors: [fleet.root.certificate],
      administrators: [the(console_).slug],
    });
  });
  afterEach(async () => {
    for (const link of links.splice(0).reverse()) await link.close();
  });
  afterAll(async () => {
    await broker?.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('knows agents by the CN of their WIC, and nobody else', async () => {
    const { t } = await rescue();
    expect(t.connected).toBe(true);
    const elsewhere = await Fleet.create();
    const foreign = await elsewhere.agent('dog-03');
    await expect(fleet.link(broker.port, foreign)).rejects.toMatchObject({ code: /unreachable|refused/ });
    await expect(fleet.link(broker.port, the(dog), { tls: fleet.tls() })).rejects.toMatchObject({
      code: /unreachable|refused/,
    });
  });

  it('lets no agent take another’s client id', async () => {
    const { t } = await rescue();
    const s = await linkOf(stranger, { clientId: the(truck).slug });
    expect(s.connected).toBe(true);
    await t.publish(lobbyTopic(the(dog).slug), utf8('still here'), { qos: 1 });
    expect(t.connected).toBe(true);
  });

  it('carries sealed messages between members', async () => {
    const { domain, d, t } = await rescue();
    const session = new OwnSession(the(dog).slug, generateKey(platform.random));
    const keys = EpochKeys.group({
      domain,
      epoch: 1,
      secret: platform.random.bytes(32),
      confirmation: platform.random.bytes(16),
    });
    const peer = new Peer(the(dog).slug, session.publicJwk);
    const topic = multicastTopic(domain, the(dog).slug, 'state');
    const now = platform.clock.now();
    let heard: (body: unknown) => void = () => {};
    const got = new Promise<unknown>((resolve) => {
      heard = resolve;
    });
    await t.subscribe(multicastFilter(domain), ({ topic: on, payload }) =>
      heard(openEnvelope(payload, { topic: on, now, sender: () => peer, epoch: () => keys }).body),
    );
    const message = seal({ session, keys, topic, type: 'state', ts: now, exp: now + 60_000, body: 'ok' });
    await d.publish(topic, message, { qos: 1 });
    expect(await got).toBe('ok');
  });

  it('keeps strangers out of a domain, and members out of others’ inboxes', async () => {
    const { domain, c, d, t } = await rescue();
    const s = await linkOf(stranger);
    for (const filter of [
      multicastFilter(domain),
      `td1/${domain}/#`,
      `td1/${domain}/log/#`,
      '#',
      '$SYS/#',
      '$CONTROL/#',
      '$CONTROL/dynamic-security/v1/response',
      inboxFilter(domain, the(dog).slug),
      lobbyTopic(the(dog).slug),
      'td1/lobby/+',
    ])
      await expect(
        s.subscribe(filter, () => {}),
        filter,
      ).rejects.toThrow(SubscribeRefused);
    await expect(d.subscribe(inboxFilter(domain, the(truck).slug), () => {})).rejects.toThrow(
      SubscribeRefused,
    );
    const heard = mailbox();
    await t.subscribe(multicastFilter(domain), heard.handler);
    await t.subscribe(inboxFilter(domain, the(truck).slug), heard.handler);
    // Mosquitto acknowledges what it then drops.
    await s.publish(multicastTopic(domain, the(stranger).slug, 'state'), utf8('from outside'), { qos: 1 });
    await s.publish(inboxTopic(domain, the(truck).slug, the(stranger).slug), utf8('from outside'), {
      qos: 1,
    });
    await d.publish(logHeadTopic(domain), utf8('forged head'), { qos: 1, retain: true });
    await c.publish(multicastTopic(domain, the(console_).slug, 'order'), utf8('go'), { qos: 1 });
    expect(await heard.until(1)).toMatchObject([{ text: 'go' }]);
    const log = mailbox();
    await t.subscribe(`td1/${domain}/log/#`, log.handler);
    await c.publish(logHeadTopic(domain), utf8('head'), { qos: 1, retain: true });
    expect(await log.until(1)).toMatchObject([{ text: 'head' }]);
  });

  it('throws an agent out at once, and the rest go on', async () => {
    const { domain, c, rights, d, t } = await rescue();
    const [out, stay] = [mailbox(), mailbox()];
    await d.subscribe(multicastFilter(domain), out.handler);
    await d.subscribe(lobbyTopic(the(dog).slug), out.handler);
    await t.subscribe(multicastFilter(domain), stay.handler);
    const [lost, refused] = [next(d, 'lost'), next(d, 'refused')];
    await rights.evict(domain, the(dog).slug);
    await lost;
    expect(await refused).toEqual(['subscribe', multicastFilter(domain)]);
    await c.publish(multicastTopic(domain, the(console_).slug, 'order'), utf8('after'), { qos: 1 });
    await stay.until(1);
    if (!d.connected) await next(d, 'connected');
    await d.publish(multicastTopic(domain, the(dog).slug, 'state'), utf8('from outside'), { qos: 1 });
    // From itself: Mosquitto 2.0.11 acknowledges what it denies and then closes, so another's could come meanwhile.
    await d.publish(lobbyTopic(the(dog).slug), utf8('come back'), { qos: 1 });
    expect((await out.until(1)).map((each) => each.text)).toEqual(['come back']);
    expect(stay.messages.map((each) => each.text)).toEqual(['after']);
  });

  it('ends a domain for all in one message, with what it kept', async () => {
    const { domain, c, rights, t } = await rescue();
    await t.publish(lifeTopic(domain, the(truck).slug), utf8('birth'), { qos: 1, retain: true });
    await c.publish(logHeadTopic(domain), utf8('tombstone'), { qos: 1, retain: true });
    await rights.destroy(domain);
    await rights.destroy(domain);
    if (!t.connected) await next(t, 'connected');
    await expect(t.subscribe(`td1/${domain}/log/#`, () => {})).rejects.toThrow(SubscribeRefused);
    await rights.openDomain(domain, { grant: 'unread' });
    const heard = mailbox();
    await c.subscribe(`td1/${domain}/log/#`, heard.handler);
    await c.subscribe(`td1/${domain}/life/+`, heard.handler);
    await c.publish(logHeadTopic(domain), utf8('genesis'), { qos: 1, retain: true });
    expect(await heard.until(1)).toMatchObject([{ text: 'genesis' }]);
  });

  it('names what it refuses', async () => {
    const { domain, c, rights } = await rescue();
    const again = await mosquittoAuthorizer(c, the(console_).slug, platform);
    await expect(again.openDomain(domain, { grant: '' })).rejects.toMatchObject({ check: 'owner' });
    await expect(again.admit(domain, the(dog).slug)).rejects.toMatchObject({ check: 'owner' });
    const unknown = await fleet.agent('never-enrolled');
    await expect(rights.admit(domain, unknown.slug)).rejects.toMatchObject({ check: 'unknown-agent' });
    await expect(rights.openDomain('lobby', { grant: '' })).rejects.toThrow(BrokerRefused);
    const s = await linkOf(stranger);
    await expect(mosquittoAuthorizer(s, the(stranger).slug, platform)).rejects.toThrow(SubscribeRefused);
  });

  it('forgets an agent that is withdrawn', async () => {
    const { rights } = await rescue();
    const robot = await fleet.agent('scrapped');
    await rights.enrol(robot.slug);
    await rights.enrol(robot.slug);
    const link = await linkOf(robot);
    await link.subscribe(lobbyTopic(robot.slug), () => {});
    const lost = next(link, 'lost');
    await rights.withdraw(robot.slug);
    await rights.withdraw(robot.slug);
    await lost;
  });
});
