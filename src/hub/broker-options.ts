import type { Platform } from '../core/platform.ts';
import type { OpenPermit } from './broker-domains.ts';

/** Who is at the other end of a TLS connection. */
export interface BrokerClient {
  readonly agentId: string;
  readonly slug: string;
  /** When its certificate ends, milliseconds since 1970: the connection ends with it. */
  readonly notAfter: number;
}

/** What the embedded broker needs. */
export interface BrokerOptions {
  readonly platform: Pick<Platform, 'clock' | 'log'>;
  /** Certificate chain (DER, leaf first) and key of the server. */
  readonly tls: { readonly chain: readonly Uint8Array[]; readonly privateKeyPem: string };
  /** Judges a client's certificates (DER, leaf first; empty when it showed none); throws to refuse. */
  readonly verifyClient: (chain: readonly Uint8Array[]) => BrokerClient;
  /** Judges a group grant presented by `slug` to open `domain`; throws to refuse. */
  readonly mayOpen: (grant: string, slug: string, domain: string) => OpenPermit | Promise<OpenPermit>;
  /** Slugs that may publish news (`td1/news/<slug>/…`), for example the authority's. Default: none. */
  readonly announcers?: readonly string[];
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** Default: 0, a free one. */
  readonly port?: number;
  /** Most connections at a time. Default: 10,000. */
  readonly connectionsMax?: number;
}

/** What happens at the broker. */
export interface BrokerEvents {
  connected: [slug: string];
  disconnected: [slug: string];
  /** Something was not allowed. `slug` is empty when nobody was authenticated. */
  refused: [slug: string, what: 'connect' | 'publish' | 'subscribe' | 'control', detail: string];
}
