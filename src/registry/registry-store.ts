/** An agent that registered. */
export interface RegistryRecord {
  /** The key of the record. */
  readonly agentId: string;
  readonly slug: string;
  readonly trustDomain: string;
  /** Sorted. */
  readonly capabilities: readonly string[];
  /** The WIT it registered with. */
  readonly wit: string;
  /** DER, base64url. */
  readonly lobbyCertificate: string;
  readonly title?: string | undefined;
  /** Milliseconds since 1970: the record is dropped then. */
  readonly expiresAt: number;
}

/** Where the registry keeps its records; the authority implements it with SQL. */
export interface RegistryStore {
  put(record: RegistryRecord): Promise<void>;
  /** False when there was none. */
  remove(agentId: string): Promise<boolean>;
  /** Records that offer *all* of `capabilities` and do not expire before `at`, by `agentId`. */
  find(capabilities: readonly string[], at: number): Promise<readonly RegistryRecord[]>;
  /** Drops records that expired before `at`. */
  sweep(at: number): Promise<void>;
  /**
   * Remembers the `jti` of `agentId` until `expiresAt`, by a unique constraint.
   * @returns false when it is known already: a replay.
   */
  useOnce(agentId: string, jti: string, expiresAt: number): Promise<boolean>;
}
