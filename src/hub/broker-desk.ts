import { FealtyError, Malformed, messageOf } from '../core/errors.ts';
import type { Clock } from '../core/platform.ts';
import type { BrokerAuthorizer } from '../messaging/authorizer.ts';
import type { BrokerQuestion } from '../messaging/broker-messages.ts';
import { encodeBrokerMessage, readBrokerRequest, requestIdOf } from '../messaging/broker-messages.ts';
import { BrokerRefused } from '../messaging/errors.ts';
import { LobbyRate } from '../messaging/lobby-rate.ts';
import { lifeTopic } from '../messaging/topics.ts';
import type { BrokerDomains, OpenPermit } from './broker-domains.ts';

/** What the desk may do to the broker. */
export interface BrokerDeskOptions {
  readonly clock: Clock;
  readonly domains: BrokerDomains;
  /** Judges a group grant; throws to refuse. */
  readonly mayOpen: (grant: string, slug: string, domain: string) => OpenPermit | Promise<OpenPermit>;
  /** Breaks the connection of an agent, if there is one. */
  readonly kick: (slug: string) => void;
  /** Forgets a retained message. */
  readonly clear: (topic: string) => void;
}

/** Where coordinators have domains opened, changed and destroyed, from the same process or over MQTT. */
export class BrokerDesk {
  readonly #options: BrokerDeskOptions;
  readonly #retained = new Map<string, Set<string>>();
  readonly #ends = new Map<string, () => void>();
  readonly #rate = new LobbyRate();
  #closed = false;

  constructor(options: BrokerDeskOptions) {
    this.#options = options;
  }

  authorizerFor(slug: string): BrokerAuthorizer {
    return {
      openDomain: (domain, { grant }) => this.#run(slug, { op: 'open', domain, grant }),
      admit: (domain, slugs) =>
        this.#run(slug, { op: 'admit', domain, slugs: typeof slugs === 'string' ? [slugs] : [...slugs] }),
      evict: (domain, evicted) => this.#run(slug, { op: 'evict', domain, slugs: [evicted] }),
      destroy: (domain) => this.#run(slug, { op: 'destroy', domain }),
    };
  }

  /** Does what a request says. Never rejects; `check` names what was refused. */
  async answer(
    slug: string,
    payload: Uint8Array,
  ): Promise<{ readonly answer: Uint8Array; readonly check?: string }> {
    const id = requestIdOf(payload) ?? 'unreadable';
    try {
      await this.#run(slug, readBrokerRequest(payload));
      return { answer: encodeBrokerMessage({ id, ok: true }) };
    } catch (error) {
      const check = checkOf(error);
      const message = messageOf(error).slice(0, 256);
      return { answer: encodeBrokerMessage({ id, ok: false, check, message }), check };
    }
  }

  /** Notes that a domain has a retained message, to forget it when the domain ends. */
  retained(domain: string, topic: string): void {
    const topics = this.#retained.get(domain) ?? new Set();
    this.#retained.set(domain, topics.add(topic));
  }

  /** Stops all timers. */
  close(): void {
    this.#closed = true;
    for (const cancel of this.#ends.values()) cancel();
    this.#ends.clear();
  }

  async #run(slug: string, asked: BrokerQuestion): Promise<void> {
    const { domains, kick } = this.#options;
    const { domain } = asked;
    switch (asked.op) {
      case 'open':
        await this.#open(slug, domain, asked.grant);
        return;
      case 'admit':
        domains.admit(domain, slug, asked.slugs);
        return;
      case 'evict':
        domains.evict(domain, slug, asked.slugs);
        for (const evicted of asked.slugs) {
          // Its rights are gone from the next packet on. Who takes part elsewhere keeps the connection: being thrown out
          // of one task must not be felt in another.
          if (!domains.partakes(evicted)) kick(evicted);
          this.#clear(domain, lifeTopic(domain, evicted));
        }
        return;
      case 'destroy':
        domains.destroy(domain, slug);
        this.#forget(domain);
    }
  }

  async #open(slug: string, domain: string, grant: string): Promise<void> {
    const { clock, domains, mayOpen } = this.#options;
    // Before the grant's signature is verified.
    if (!this.#rate.take(slug, 'open', clock.elapsed()))
      throw new BrokerRefused('limit', 'too many domains are opened at once');
    const permit = await mayOpen(grant, slug, domain);
    const left = permit.until - clock.now();
    if (!(left > 0) || this.#closed) throw new BrokerRefused('grant', 'the grant has ended');
    domains.open(domain, slug, permit);
    this.#ends.get(domain)?.();
    this.#ends.set(
      domain,
      clock.schedule(left, () => {
        domains.end(domain);
        this.#forget(domain);
      }),
    );
  }

  /** Its retained messages nobody could read any more, but they would wait for ever. */
  #forget(domain: string): void {
    this.#ends.get(domain)?.();
    this.#ends.delete(domain);
    for (const topic of this.#retained.get(domain) ?? []) this.#clear(domain, topic);
    this.#retained.delete(domain);
  }

  #clear(domain: string, topic: string): void {
    if (this.#retained.get(domain)?.delete(topic)) this.#options.clear(topic);
  }
}

function checkOf(error: unknown): string {
  if (error instanceof BrokerRefused) return error.check;
  if (error instanceof Malformed) return 'form';
  return error instanceof FealtyError ? 'grant' : 'fault';
}
