import { hex, wipe } from '../core/bytes.ts';
import { encodeCbor } from '../core/cbor.ts';
import { hkdf, sha256 } from '../core/hash.ts';
import type { Clock } from '../core/platform.ts';
import type { PublicJwk, SoftwareKey } from '../core/signer.ts';
import { agree, pointOfJwk } from '../core/signer.ts';
import type { Link, LinkMessage, Opened, OwnSession } from '../messaging/index.ts';
import {
  EpochKeys,
  inboxTopic,
  MessageRefused,
  multicastTopic,
  open,
  Peer,
  seal,
} from '../messaging/index.ts';
import type { EpochRing } from './epochs.ts';
import { NotAMember } from './errors.ts';

/** What is said again and again until it is heard. */
const repeated: readonly string[] = ['beat', 'echo', 'log-get'];

/** Another member, as messages need it. */
export interface ChannelPeer {
  readonly agentId: string;
  readonly slug: string;
  readonly session: PublicJwk;
  readonly agreement: PublicJwk;
}

interface Held {
  readonly agentId: string;
  readonly slug: string;
  readonly peer: Peer;
  readonly agreement: PublicJwk;
  pairwise: EpochKeys | undefined;
}

/** Our end of everything that is said in one domain. */
export interface ChannelOptions {
  readonly domain: string;
  readonly genesis: Uint8Array;
  readonly clock: Clock;
  readonly link: Link;
  readonly session: OwnSession;
  /** Per-domain ECDH key, delegated together with the session key. */
  readonly agreement: SoftwareKey;
  readonly ring: EpochRing;
}

/**
 * Seals and opens in one domain: to all under the epoch's keys, to one under a pairwise key. With the coordinator the
 * pairwise key comes from the handshake; with other members from ECDH between the two delegated agreement keys.
 */
export class Channel {
  readonly #options: ChannelOptions;
  readonly #byId = new Map<string, Held>();
  readonly #byKey = new Map<string, Held>();

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** Adds a member. `pairwise` is given for a channel that a handshake made; the secret is copied. Idempotent. */
  add(peer: ChannelPeer, pairwise?: { readonly secret: Uint8Array; readonly transcript: Uint8Array }): void {
    const made = new Peer(peer.slug, peer.session);
    const known = this.#byId.get(peer.agentId);
    if (known?.peer.keyId === made.keyId) return;
    if (known !== undefined) this.remove(peer.agentId);
    const { domain } = this.#options;
    const held: Held = {
      agentId: peer.agentId,
      slug: peer.slug,
      peer: made,
      agreement: peer.agreement,
      pairwise:
        pairwise === undefined
          ? undefined
          : EpochKeys.pairwise({ domain, secret: pairwise.secret, confirmation: pairwise.transcript }),
    };
    this.#byId.set(held.agentId, held);
    this.#byKey.set(made.keyId, held);
  }

  /** Whether a member with that session key is known under that identifier. */
  has(agentId: string): boolean {
    return this.#byId.has(agentId);
  }

  /** Forgets a member and its keys. Idempotent. */
  remove(agentId: string): void {
    const held = this.#byId.get(agentId);
    if (held === undefined) return;
    held.pairwise?.close();
    this.#byId.delete(agentId);
    this.#byKey.delete(held.peer.keyId);
  }

  /** The agent behind a slug. */
  agentOf(slug: string): string | undefined {
    return [...this.#byId.values()].find((held) => held.slug === slug)?.agentId;
  }

  /** A message for one member, sealed. @throws {NotAMember} */
  sealFor(
    agentId: string,
    type: string,
    body: unknown,
    lifeMs: number,
  ): { topic: string; payload: Uint8Array } {
    const held = this.#byId.get(agentId);
    if (held === undefined) throw new NotAMember(agentId);
    const { domain, session } = this.#options;
    const topic = inboxTopic(domain, held.slug, session.slug);
    return { topic, payload: this.#seal(this.#pairwise(held), topic, type, body, lifeMs) };
  }

  /**
   * Tells one member: QoS 1, or 0 for what is said again anyway. (A broker closes the connection of who publishes with
   * QoS 1 where it may not; a heartbeat must not do that to somebody who does not know yet that it was evicted.)
   *
   * @throws {NotAMember}
   */
  async tell(agentId: string, type: string, body: unknown, lifeMs: number): Promise<void> {
    const { topic, payload } = this.sealFor(agentId, type, body, lifeMs);
    await this.#options.link.publish(topic, payload, { qos: repeated.includes(type) ? 0 : 1 });
  }

  /** Tells all members. */
  async multicast(stream: string, control: boolean, body: unknown, lifeMs: number): Promise<void> {
    const { domain, session, ring, link } = this.#options;
    const keys = ring.current;
    if (keys === undefined) throw new TypeError('there is no epoch yet');
    const topic = multicastTopic(domain, session.slug, stream);
    const payload = this.#seal(keys, topic, control ? 'control' : 'data', body, lifeMs);
    await link.publish(topic, payload, control ? { qos: 1 } : { qos: 0, latestOnly: true });
  }

  /** Checks and opens what came. @throws {MessageRefused} naming the check */
  open(message: LinkMessage): Opened & { readonly from: string } {
    const { clock, ring } = this.#options;
    const opened = open(message.payload, {
      topic: message.topic,
      now: clock.now(),
      sender: (keyId) => this.#byKey.get(keyId)?.peer,
      epoch: (epoch, sender) => {
        const held = this.#byKey.get(sender.keyId);
        if (held === undefined) return undefined;
        return epoch === 0 ? this.#pairwise(held) : ring.keys(epoch);
      },
    });
    const from = this.#byKey.get(opened.sender.keyId)?.agentId;
    if (from === undefined) throw new MessageRefused('unknown-sender', 'the session key is not a member’s');
    return { ...opened, from };
  }

  /** Wipes all keys. Idempotent. */
  close(): void {
    for (const agentId of [...this.#byId.keys()]) this.remove(agentId);
    this.#options.ring.close();
    this.#options.session.close();
  }

  #seal(keys: EpochKeys, topic: string, type: string, body: unknown, lifeMs: number): Uint8Array {
    const { session, clock } = this.#options;
    const ts = Math.floor(clock.now());
    return seal({ session, keys, topic, type, ts, exp: Math.ceil(ts + lifeMs), body });
  }

  #pairwise(held: Held): EpochKeys {
    if (held.pairwise === undefined) {
      const { domain, genesis, agreement, session } = this.#options;
      const shared = agree(agreement, held.agreement);
      const ours = [session.publicJwk, agreement.publicJwk];
      const theirs = [held.peer.publicJwk, held.agreement];
      // Both ends must write the two pairs of keys in one order.
      const pairs = [ours, theirs].map((pair) => pair.map(pointOfJwk));
      const sorted = pairs.sort((a, b) =>
        hex(a[0] ?? new Uint8Array()) < hex(b[0] ?? new Uint8Array()) ? -1 : 1,
      );
      const facts = encodeCbor(['td1 pair', domain, genesis, sorted]);
      const secret = hkdf(shared, new Uint8Array(), facts, 32);
      held.pairwise = EpochKeys.pairwise({ domain, secret, confirmation: sha256(facts) });
      wipe(shared);
      wipe(secret);
    }
    return held.pairwise;
  }
}
