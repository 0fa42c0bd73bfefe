/** What a coordinator needs of a broker: rights for the length of a domain. Defence in depth only; keys decide. */
export interface BrokerAuthorizer {
  /**
   * Opens a domain on the broker; the caller becomes its coordinator and first member. Idempotent for the same caller.
   *
   * @param grant the group grant (JWT) that permits it, for brokers that check it.
   * @throws {BrokerRefused} `messaging.broker-refused`.
   */
  openDomain(domain: string, options: { readonly grant: string }): Promise<void>;
  /** Lets agents take part; batches are faster than single calls. Idempotent. @throws {BrokerRefused} */
  admit(domain: string, slug: string | readonly string[]): Promise<void>;
  /** Takes all rights in the domain away and breaks the agent's connection. Idempotent. @throws {BrokerRefused} */
  evict(domain: string, slug: string): Promise<void>;
  /** Ends all rights of all members in one call and forgets retained messages. Idempotent. @throws {BrokerRefused} */
  destroy(domain: string): Promise<void>;
}
