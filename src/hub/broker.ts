import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Server, TLSSocket } from 'node:tls';
import { createServer } from 'node:tls';
import type { AuthErrorCode, AuthenticateError, Client, PublishPacket } from 'aedes';
import { Aedes } from 'aedes';
import { EventEmitter } from '../core/emitter.ts';
import { FealtyError, messageOf } from '../core/errors.ts';
import { presentedChain } from '../core/node-network.ts';
import { pemOfCertificates } from '../core/pem.ts';
import type { BrokerAuthorizer } from '../messaging/authorizer.ts';
import { payloadMax } from '../messaging/link.ts';
import { LobbyRate } from '../messaging/lobby-rate.ts';
import { limitPackets } from '../messaging/packet-limit.ts';
import { mayPublish, mayReceive, maySubscribe } from '../messaging/rights.ts';
import type { Topic } from '../messaging/topics.ts';
import { readTopic, topicLevelsMax, topicOf } from '../messaging/topics.ts';
import { BrokerDesk } from './broker-desk.ts';
import { BrokerDomains } from './broker-domains.ts';
import type { BrokerClient, BrokerEvents, BrokerOptions } from './broker-options.ts';

/** Where dropped messages go: nobody may subscribe to it. */
const nowhere = 'td1/broker/dropped';
const willMax = 4096;

/**
 * An MQTT 3.1.1 broker inside the process: TLS with client certificates, everything denied that no rule allows.
 * A refused QoS 1 publish closes the connection, as MQTT 3.1.1 §3.3.5 leaves open and clients can notice; refused
 * QoS 0 and lobby messages above the rate are dropped. Start it with {@link EmbeddedBroker.start}.
 */
export class EmbeddedBroker extends EventEmitter<BrokerEvents> {
  readonly #options: BrokerOptions;
  readonly #aedes: Aedes;
  readonly #server: Server;
  readonly #domains: BrokerDomains;
  readonly #lobbies = new LobbyRate();
  readonly #sockets = new Set<TLSSocket>();
  readonly #judged = new WeakMap<Duplex, BrokerClient | Error>();
  readonly #clients = new Map<string, Client>();
  readonly #slugs = new WeakMap<Client, string>();
  readonly #faults = new WeakMap<Client, string>();
  readonly #ends = new WeakMap<Client, () => void>();
  readonly #desk: BrokerDesk;
  #closing: Promise<void> | undefined;

  private constructor(options: BrokerOptions) {
    super();
    this.#options = options;
    this.#domains = new BrokerDomains(options.announcers ?? []);
    this.#desk = new BrokerDesk({
      clock: options.platform.clock,
      domains: this.#domains,
      mayOpen: options.mayOpen,
      kick: (slug) => this.#clients.get(slug)?.close(),
      clear: (topic) =>
        this.#aedes.publish(
          { cmd: 'publish', topic, payload: Buffer.alloc(0), qos: 0, retain: true, dup: false },
          () => {},
        ),
    });
    this.#aedes = new Aedes({
      concurrency: 1000,
      heartbeatInterval: 60_000,
      connectTimeout: 5000,
      drainTimeout: 10_000,
      queueLimit: 64,
      maxTopicLevels: topicLevelsMax,
      maxClientsIdLength: 64,
      keepaliveLimit: 300,
      preConnect: (client, packet, done) => {
        const fault = faultOf(packet);
        if (fault) this.#faults.set(client, fault);
        done(null, true);
      },
      authenticate: (client, _username, _password, done) => {
        const refusal = this.#authenticate(client);
        done(refusal ?? null, refusal === undefined);
      },
      authorizePublish: (client, packet, done) => done(this.#authorizePublish(client, packet)),
      authorizeSubscribe: (client, subscription, done) => {
        const slug = this.#slugs.get(client) ?? '';
        const granted = subscription.qos < 2 && maySubscribe(this.#domains, slug, subscription.topic);
        if (!granted) this.#refused(slug, 'subscribe', subscription.topic);
        done(null, granted ? subscription : null);
      },
      authorizeForward: (client, packet) =>
        mayReceive(this.#domains, this.#slugs.get(client) ?? '', readOnce(packet.topic)) ? packet : null,
    });
    this.#aedes.on('client', (client) => {
      const slug = this.#slugs.get(client) ?? '';
      this.#clients.set(slug, client);
      this.#tell(() => this.emit('connected', slug));
    });
    this.#aedes.on('clientDisconnect', (client) => {
      const slug = this.#slugs.get(client);
      this.#ends.get(client)?.();
      if (slug === undefined) return;
      if (this.#clients.get(slug) === client) this.#clients.delete(slug);
      this.#tell(() => this.emit('disconnected', slug));
    });
    this.#server = createServer(
      {
        cert: pemOfCertificates(options.tls.chain),
        key: options.tls.privateKeyPem,
        minVersion: 'TLSv1.3',
        requestCert: true,
        // Judged by our own validator, so that a refusal has a name on both ends.
        rejectUnauthorized: false,
        handshakeTimeout: 5000,
        noDelay: true,
      },
      (socket) => this.#accept(socket),
    );
    this.#server.maxConnections = options.connectionsMax ?? 10_000;
    // A client that fails in the handshake is its own problem.
    this.#server.on('tlsClientError', () => {});
  }

  /** Listens and returns the running broker. */
  static async start(options: BrokerOptions): Promise<EmbeddedBroker> {
    const broker = new EmbeddedBroker(options);
    await broker.#aedes.listen();
    broker.#server.listen(options.port ?? 0, options.host ?? '127.0.0.1');
    await once(broker.#server, 'listening');
    return broker;
  }

  /** The port it listens on. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Slugs connected at this moment. */
  get connected(): readonly string[] {
    return [...this.#clients.keys()];
  }

  /** Rights of domains for a coordinator in the same process, under the same rules as over MQTT. */
  authorizerFor(slug: string): BrokerAuthorizer {
    return this.#desk.authorizerFor(slug);
  }

  /** Closes all connections and the port. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#desk.close();
    const closed = this.#server.listening ? once(this.#server, 'close') : Promise.resolve();
    this.#server.close();
    await new Promise<void>((resolve) => {
      this.#aedes.close(resolve);
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: TLSSocket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.setNoDelay(true);
    const stream = limitPackets(socket);
    try {
      this.#judged.set(stream, this.#options.verifyClient(presentedChain(socket)));
    } catch (error) {
      this.#judged.set(stream, error instanceof Error ? error : new Error(String(error)));
    }
    this.#aedes.handle(stream);
  }

  #authenticate(client: Client): AuthenticateError | undefined {
    const judged = this.#judged.get(client.conn as Duplex) ?? new Error('not judged');
    if (judged instanceof Error) return this.#turnAway('', judged, 5);
    const { slug, notAfter } = judged;
    const fault = this.#faults.get(client);
    if (fault) return this.#turnAway(slug, new Error(fault), 5);
    if (client.id !== slug)
      return this.#turnAway(slug, new Error('the client id is not the slug of the certificate'), 2);
    const left = notAfter - this.#options.platform.clock.now();
    if (!(left > 0)) return this.#turnAway(slug, new Error('the certificate has expired'), 5);
    const wills = willOf(client);
    if (wills && !isOwnLife(wills, slug))
      return this.#turnAway(slug, new Error('the will is not for a life topic of its own'), 5);
    this.#slugs.set(client, slug);
    this.#ends.set(
      client,
      this.#options.platform.clock.schedule(left, () => client.close()),
    );
    return undefined;
  }

  #turnAway(slug: string, error: Error, returnCode: AuthErrorCode): AuthenticateError {
    this.#refused(slug, 'connect', error instanceof FealtyError ? error.code : error.message);
    return Object.assign(new Error('not accepted'), { returnCode });
  }

  #authorizePublish(client: Client | null, packet: PublishPacket): Error | null {
    if (client === null) return null;
    const slug = this.#slugs.get(client) ?? '';
    const topic = readOnce(packet.topic);
    const { payload } = packet;
    const allowed =
      packet.qos < 2 &&
      payload.length <= payloadMax &&
      mayPublish(this.#domains, slug, topic, { retain: packet.retain });
    if (!allowed || topic === undefined) {
      this.#refused(slug, 'publish', packet.topic);
      if (packet.qos === 0) return drop(packet);
      return new Error('not authorized');
    }
    if (
      topic.kind === 'lobby' &&
      !this.#lobbies.take(slug, topic.to, this.#options.platform.clock.elapsed())
    ) {
      this.#refused(slug, 'publish', 'lobby rate');
      return drop(packet);
    }
    if (topic.kind === 'broker-control') {
      void this.#control(client, slug, Buffer.from(payload));
      return drop(packet);
    }
    if (packet.retain && 'domain' in topic) this.#desk.retained(topic.domain, packet.topic);
    return null;
  }

  async #control(client: Client, slug: string, payload: Uint8Array): Promise<void> {
    const { answer, check } = await this.#desk.answer(slug, payload);
    if (check) this.#refused(slug, 'control', check);
    if (client.closed) return;
    client.publish(
      {
        cmd: 'publish',
        topic: topicOf({ kind: 'broker-answer', to: slug }),
        payload: Buffer.from(answer),
        qos: 1,
        retain: false,
        dup: false,
      },
      () => {},
    );
  }

  #refused(slug: string, what: 'connect' | 'publish' | 'subscribe' | 'control', detail: string): void {
    const short = detail.slice(0, 128);
    this.#options.platform.log.info('broker refused', { slug, what, detail: short });
    this.#tell(() => this.emit('refused', slug, what, short));
  }

  #tell(emit: () => void): void {
    try {
      emit();
    } catch (error) {
      this.#options.platform.log.warn('a listener of the broker failed', { reason: messageOf(error) });
    }
  }
}

/** Why a CONNECT is not one of ours: sessions are clean, the will is small. */
function faultOf(packet: {
  clean?: boolean;
  will?: { qos?: number; payload?: unknown };
}): string | undefined {
  if (packet.clean !== true) return 'sessions must be clean';
  const { will } = packet;
  if (will && (will.qos === 2 || Buffer.byteLength(will.payload as Buffer) > willMax))
    return 'the will is too large, or of QoS 2';
  return undefined;
}

function willOf(client: Client): string | undefined {
  // aedes keeps the will of a connection that is not yet accepted here, and offers no other way to see it.
  const { _will: will } = client as Client & { readonly _will?: { readonly topic?: string } | null };
  return will ? (will.topic ?? '') : undefined;
}

function isOwnLife(topic: string, slug: string): boolean {
  const read = readTopic(topic);
  return read?.kind === 'life' && read.from === slug;
}

/** Lets the packet be acknowledged and go where nobody listens. */
function drop(packet: PublishPacket): null {
  packet.topic = nowhere;
  packet.payload = Buffer.alloc(0);
  packet.retain = false;
  return null;
}

let lastTopic = '';
let lastRead: Topic | undefined;

/** One message goes to many receivers one after the other: the topic is read once for all. */
function readOnce(topic: string): Topic | undefined {
  if (topic !== lastTopic) {
    lastRead = readTopic(topic);
    lastTopic = topic;
  }
  return lastRead;
}
