import type { Duplex } from 'node:stream';
import { MqttClient } from 'mqtt';
import { Unreachable } from '../core/errors.ts';
import { ConnectRefused } from './errors.ts';
import type { Will } from './link.ts';
import { limitPackets } from './packet-limit.ts';

/** One MQTT 3.1.1 session over one byte stream: mqtt.js without its reconnection, stores and queues. */
export interface Connection {
  /** Resolves with the reason once the stream is closed, by whomever; never rejects. */
  readonly closed: Promise<string>;
  /** Bytes that wait in the socket. */
  readonly backlog: number;
  /** Sends one message; `acknowledged` is called when QoS 1 is, and not at all when the stream closes first. */
  publish(
    topic: string,
    payload: Uint8Array,
    how: { readonly qos: 0 | 1; readonly retain: boolean },
    acknowledged: () => void,
  ): void;
  /** Whether the broker granted it. Rejects with `Unreachable` when the stream closes first. */
  subscribe(filter: string, qos: 0 | 1): Promise<boolean>;
  unsubscribe(filter: string): Promise<void>;
  /** Says goodbye (the will is not published), then closes. */
  end(): void;
  /** Closes without goodbye. */
  destroy(): void;
}

/** What one connection is made of. */
export interface ConnectionOptions {
  /** Connected, and handshaken if it is TLS. */
  readonly stream: Duplex;
  readonly clientId: string;
  readonly username?: string | undefined;
  readonly password?: Uint8Array | undefined;
  readonly will?: Will | undefined;
  /** Seconds. */
  readonly keepalive: number;
  /** Milliseconds until CONNACK. */
  readonly connectTimeoutMs: number;
  readonly onMessage: (topic: string, payload: Uint8Array, retained: boolean) => void;
  /** The socket took everything that waited. */
  readonly onDrain: () => void;
}

/**
 * Speaks CONNECT and waits for CONNACK.
 *
 * @throws {ConnectRefused} `messaging.connect-refused`.
 * @throws {Unreachable} closed or silent before CONNACK.
 */
export function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { will } = options;
  const stream = limitPackets(options.stream);
  const client = new MqttClient(() => stream, {
    clientId: options.clientId,
    protocolVersion: 4,
    protocolId: 'MQTT',
    clean: true,
    keepalive: options.keepalive,
    connectTimeout: options.connectTimeoutMs,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    // A cache of numbers made at first use would cost 10 MB.
    writeCache: false,
    timerVariant: 'native',
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: Buffer.from(options.password) }),
    ...(will === undefined
      ? {}
      : {
          will: {
            topic: will.topic,
            payload: Buffer.from(will.payload),
            qos: will.qos ?? 1,
            retain: will.retain ?? true,
          },
        }),
  });
  let reason = 'closed by the broker';
  const closed = new Promise<string>((resolve) => {
    client.once('close', () => resolve(reason));
  });
  const gone = closed.then((why) => {
    throw new Unreachable(`the connection to the broker is gone: ${why}`);
  });
  // Often nobody waits for it.
  gone.catch(() => {});
  client.on('message', (topic, payload, packet) => {
    options.onMessage(topic, new Uint8Array(payload), packet.retain);
  });
  stream.on('drain', options.onDrain);
  const connection: Connection = {
    closed,
    get backlog() {
      return stream.writableLength + options.stream.writableLength;
    },
    publish: (topic, payload, how, acknowledged) => {
      client.publish(topic, Buffer.from(payload.buffer, payload.byteOffset, payload.length), how, (error) => {
        if (!error) acknowledged();
      });
    },
    subscribe: (filter, qos) => {
      const answer = new Promise<boolean>((resolve, reject) => {
        client.subscribe(filter, { qos }, (error, _granted, packet) => {
          // mqtt.js makes an error of 0x80 (MQTT 3.1.1 §3.9.3), with the SUBACK beside it.
          const [code] = packet?.granted ?? [];
          if (typeof code === 'number' && code >= 0x80) resolve(false);
          else if (error) reject(new Unreachable('no answer to a subscription', { cause: error }));
          else resolve(true);
        });
      });
      return Promise.race([answer, gone]);
    },
    unsubscribe: (filter) => {
      const answer = new Promise<void>((resolve) => {
        client.unsubscribe(filter, () => resolve());
      });
      return Promise.race([answer, closed.then(() => {})]);
    },
    end: () => {
      // What is not acknowledged would keep it open.
      for (const id of Object.keys(client.outgoing)) client.removeOutgoingMessage(Number(id));
      client.end(false);
    },
    destroy: () => {
      client.end(true);
      stream.destroy();
    },
  };
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      connection.destroy();
      reject(error);
    };
    client.on('error', (error: Error & { readonly code?: unknown }) => {
      reason = error.message;
      fail(
        typeof error.code === 'number'
          ? new ConnectRefused(error.code)
          : new Unreachable('the broker did not accept the connection', { cause: error }),
      );
    });
    client.once('connect', () => resolve(connection));
    closed.then((why) => fail(new Unreachable(`the broker did not answer: ${why}`))).catch(() => {});
  });
}
