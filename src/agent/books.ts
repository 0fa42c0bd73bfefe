import { verifyEar } from '../attestation/index.ts';
import type { AuditJournal } from '../audit/index.ts';
import { auditCounter, AuditJournal as Journal, tpmCheckpoints } from '../audit/index.ts';
import type { Platform } from '../core/platform.ts';
import { trustDomainOf } from '../identity/index.ts';
import type { DomainSource, Permissions, PostureSource, StatusSource } from '../permissions/index.ts';
import { openPermissions } from '../permissions/index.ts';
import type { Enrolled } from '../provisioning/index.ts';
import { openDeviceIdentity } from '../provisioning/index.ts';
import { Generations } from '../tokens/index.ts';
import type { Tpm } from '../tpm/index.ts';
import { encode, TPMT_PUBLIC } from '../tpm/index.ts';
import type { AgentOptions } from './options.ts';

const COUNTER_AUTH = 'agent/audit-counter';
/** Public area of the LAK, with which anybody can check the log's checkpoints. */
export const AUDIT_KEY = 'agent/lak';

/** What an agent keeps under its identifier: the audit log, what was revoked, and the permissions over both. */
export interface Books {
  readonly audit: AuditJournal;
  readonly generations: Generations;
  readonly permissions: Permissions;
  /** The verifier's newest opinion of this agent. */
  readonly posture: Posture;
  /** How fresh the knowledge of revocations is. */
  readonly status: Status;
  close(): Promise<void>;
}

/** Opens them for an agent that has just learned who it is. */
export async function openBooks(
  options: AgentOptions,
  tpm: Tpm,
  enrolled: Enrolled,
  domains: DomainSource,
): Promise<Books> {
  const { platform } = options;
  const { agentId } = enrolled.credentials;
  const audit = await openAudit(platform, tpm, enrolled);
  const generations = await Generations.open({
    clock: platform.clock,
    store: platform.store,
    trustDomain: trustDomainOf(agentId),
  });
  const posture = new Posture(platform);
  posture.renewed(enrolled);
  const status = new Status(platform, generations, trustDomainOf(agentId));
  const permissions = await openPermissions({
    platform,
    self: agentId,
    audit,
    devices: options.devices ?? [],
    posture,
    domains,
    status,
    trustClock: options.trustClock,
  });
  for (const rule of options.houseRules ?? []) permissions.pdp.prohibit(rule);
  return {
    audit,
    generations,
    permissions,
    posture,
    status,
    close: async () => {
      await permissions.close();
      await audit.close();
    },
  };
}

/** The log with checkpoints of the TPM's own counter; that a counter was made anew is itself recorded. */
async function openAudit(platform: Platform, tpm: Tpm, enrolled: Enrolled): Promise<AuditJournal> {
  const { store, random, clock } = platform;
  let auth = await store.read(COUNTER_AUTH);
  if (auth === undefined) {
    auth = random.bytes(32);
    await store.write(COUNTER_AUTH, auth);
  }
  await store.write(AUDIT_KEY, encode(TPMT_PUBLIC, enrolled.lak.public));
  const { ek } = await openDeviceIdentity(tpm);
  const { counter, made } = await auditCounter(tpm, { auth, saltedTo: ek });
  const audit = await Journal.open({
    store,
    clock,
    agent: enrolled.credentials.agentId,
    checkpointer: tpmCheckpoints(tpm, enrolled.lak, counter),
  });
  if (made)
    await audit.append({
      kind: 'configuration',
      agent: enrolled.credentials.agentId,
      cause: audit.head().index === 0 ? 'first start' : 'the TPM has lost the counter of this log',
      detail: { counter: `0x${counter.handle.toString(16)}` },
    });
  return audit;
}

/**
 * How old the newest word of the authority about revocations is: beyond a bound for each risk class, grants of that class
 * are unknown (60 s for motion, an hour for comfort).
 */
export class Status implements StatusSource {
  readonly #platform: Platform;
  readonly #generations: Generations;
  readonly #trustDomain: string;
  readonly #listeners = new Set<() => void>();

  constructor(platform: Platform, generations: Generations, trustDomain: string) {
    this.#platform = platform;
    this.#generations = generations;
    this.#trustDomain = trustDomain;
  }

  freshAt(): number | undefined {
    const age = this.#generations.ageMs(this.#trustDomain);
    return Number.isFinite(age) ? this.#platform.clock.elapsed() - age : undefined;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The authority was asked, and answered. */
  renewed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The verifier's attestation result as a source of conditions: its status, and how old it is. */
export class Posture implements PostureSource {
  readonly #platform: Platform;
  readonly #listeners = new Set<() => void>();
  #now: ReturnType<PostureSource['current']>;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  current(): ReturnType<PostureSource['current']> {
    return this.#now;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A new credential came with a new appraisal. */
  renewed({ credentials }: Enrolled): void {
    const { clock } = this.#platform;
    const at = clock.now();
    const { status, issuedAt } = verifyEar(credentials.ear, {
      bundles: credentials.bundles,
      trustDomain: trustDomainOf(credentials.agentId),
      agentId: credentials.agentId,
      at,
    });
    this.#now = { status, at: clock.elapsed() - Math.max(0, at - issuedAt) };
    for (const listener of this.#listeners) listener();
  }
}
