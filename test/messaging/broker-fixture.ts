import { tmpdir } from 'node:os';
import { slugOf } from '../../src/core/names.ts';
import { nodePlatform } from '../../src/core/node.ts';
import type { TlsOptions } from '../../src/core/platform.ts';
import type { SoftwareKey } from '../../src/core/signer.ts';
import { generateKey, pemOfKey } from '../../src/core/signer.ts';
import { EmbeddedBroker } from '../../src/hub/broker.ts';
import { wicClients } from '../../src/hub/broker-clients.ts';
import { validateChain } from '../../src/identity/index.ts';
import type { CertificateIssuer } from '../../src/identity/issue.ts';
import { createRoot, issueServerCertificate, issueWic } from '../../src/identity/issue.ts';
import type { LinkEvents, MqttLinkOptions } from '../../src/messaging/index.ts';
import { BrokerRefused, MqttLink } from '../../src/messaging/index.ts';

export const platform = nodePlatform({ directory: `${tmpdir()}/fealty-test-unused` });
export const HOUR = 3_600_000;

export interface Agent {
  readonly agentId: string;
  readonly slug: string;
  readonly key: SoftwareKey;
  readonly chain: readonly Uint8Array[];
}

/** An owner's certificate authority, its broker's certificate, and agents. Real time: real sockets. */
export class Fleet {
  readonly root: CertificateIssuer;
  readonly serverKey: SoftwareKey;
  readonly serverChain: readonly Uint8Array[];

  private constructor(root: CertificateIssuer, serverKey: SoftwareKey, serverCertificate: Uint8Array) {
    this.root = root;
    this.serverKey = serverKey;
    this.serverChain = [serverCertificate];
  }

  static async create(): Promise<Fleet> {
    const { random, clock } = platform;
    const notBefore = clock.now() - HOUR;
    const root = await createRoot({
      signer: generateKey(random),
      random,
      commonName: 'fleet root',
      notBefore,
      trustDomain: 'fleet.example',
    });
    const serverKey = generateKey(random);
    const server = await issueServerCertificate({
      issuer: root,
      random,
      notBefore,
      notAfter: notBefore + 20 * HOUR,
      hosts: ['127.0.0.1'],
      publicKey: serverKey.publicJwk,
    });
    return new Fleet(root, serverKey, server);
  }

  async agent(name: string, life: { notBefore?: number; notAfter?: number } = {}): Promise<Agent> {
    const { random, clock } = platform;
    const key = generateKey(random);
    const agentId = `spiffe://fleet.example/agent/${name}`;
    const certificate = await issueWic({
      issuer: this.root,
      random,
      notBefore: life.notBefore ?? clock.now() - HOUR,
      notAfter: life.notAfter ?? clock.now() + HOUR,
      agentId,
      publicKey: key.publicJwk,
    });
    return { agentId, slug: slugOf(agentId), key, chain: [certificate] };
  }

  tls(agent?: Agent): TlsOptions {
    return {
      ...(agent ? { chain: agent.chain, privateKeyPem: pemOfKey(agent.key) } : {}),
      verifyPeer: ([leaf, ...intermediates]) => {
        validateChain({
          leaf: leaf ?? new Uint8Array(),
          intermediates,
          anchors: [this.root.certificate],
          at: platform.clock.now(),
          purpose: 'server',
        });
      },
    };
  }

  /** A broker that opens any domain for who presents the grant `may convene`. */
  broker(
    more: { announcers?: readonly string[]; until?: number; port?: number } = {},
  ): Promise<EmbeddedBroker> {
    return EmbeddedBroker.start({
      platform,
      tls: { chain: this.serverChain, privateKeyPem: pemOfKey(this.serverKey) },
      verifyClient: wicClients({ anchors: () => [this.root.certificate], now: () => platform.clock.now() }),
      mayOpen: (grant) => {
        if (!grant.startsWith('may convene')) throw new BrokerRefused('grant', 'no such grant');
        return {
          until: more.until ?? platform.clock.now() + HOUR,
          membersMax: 5,
          takeover: grant === 'may convene as successor',
        };
      },
      port: more.port ?? 0,
      announcers: more.announcers ?? [],
    });
  }

  link(port: number, agent: Agent, more: Partial<MqttLinkOptions> = {}): Promise<MqttLink> {
    return MqttLink.connect({
      platform,
      url: `mqtts://127.0.0.1:${port}`,
      tls: this.tls(agent),
      clientId: agent.slug,
      ...more,
    });
  }
}

/** Resolves at the next such event. */
export function next<E extends keyof LinkEvents>(link: MqttLink, event: E): Promise<LinkEvents[E]> {
  return new Promise((resolve) => {
    link.once(event, (...args: LinkEvents[E]) => resolve(args));
  });
}

/** Collects messages and lets a test wait for the n-th. */
export function mailbox() {
  const messages: { topic: string; text: string; retained: boolean }[] = [];
  const waiting: (() => void)[] = [];
  return {
    messages,
    handler: (message: { topic: string; payload: Uint8Array; retained: boolean }) => {
      const { topic, retained } = message;
      messages.push({ topic, retained, text: Buffer.from(message.payload).toString() });
      for (const wake of waiting.splice(0)) wake();
    },
    async until(count: number): Promise<readonly { topic: string; text: string; retained: boolean }[]> {
      while (messages.length < count)
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
        });
      return messages;
    },
  };
}
