import type { BrokerFaults } from '../../simulator/broker.ts';
import { MemoryBroker } from '../../simulator/broker.ts';
import type { VirtualClock } from '../../simulator/clock.ts';
import { virtualClock } from '../../simulator/clock.ts';
import type { SimulatedPlatform } from '../../simulator/platform.ts';
import { simulatedPlatform } from '../../simulator/platform.ts';
import { seededRandom } from '../../simulator/random.ts';
import type { EarStatus } from '../../src/attestation/results.ts';
import { EAR_PROFILE, EAR_SUBMODULE, EAR_TYP } from '../../src/attestation/results.ts';
import type { AuditEntry, AuditLog } from '../../src/core/audit.ts';
import { base64url } from '../../src/core/bytes.ts';
import { signJws } from '../../src/core/jws.ts';
import { CLAIM, slugOf } from '../../src/core/names.ts';
import type { Random } from '../../src/core/platform.ts';
import type { SoftwareKey } from '../../src/core/signer.ts';
import { generateKey, thumbprint } from '../../src/core/signer.ts';
import type {
  Candidate,
  ConveneOptions,
  DomainIdentity,
  DomainTimes,
  LobbyOptions,
  Membership,
} from '../../src/domains/index.ts';
import { Lobby, TaskDomain } from '../../src/domains/index.ts';
import type { Grant } from '../../src/grants/grant.ts';
import type { TrustBundle } from '../../src/identity/bundle.ts';
import { NO_END } from '../../src/identity/certificate.ts';
import type { CertificateIssuer } from '../../src/identity/issue.ts';
import {
  createRoot,
  issueLDevIdCertificate,
  issueLobbyCertificate,
  issueWic,
} from '../../src/identity/issue.ts';
import { issueClientAttestation, issueWit } from '../../src/identity/wit.ts';
import type { Link } from '../../src/messaging/index.ts';
import type { GroupBounds } from '../../src/tokens/claims.ts';
import { GROUP_CLAIM, KIND } from '../../src/tokens/claims.ts';
import { Generations } from '../../src/tokens/status.ts';

export const NOW = Date.UTC(2026, 10, 24, 10);
export const HOUR = 3_600_000;

/** An owner's authority, as far as domains need one. */
export class Owner {
  readonly trustDomain: string;
  readonly random: Random;
  readonly root: CertificateIssuer;
  readonly wit: SoftwareKey;
  readonly issuer: SoftwareKey;
  readonly verifier: SoftwareKey;

  private constructor(trustDomain: string, random: Random, root: CertificateIssuer) {
    this.trustDomain = trustDomain;
    this.random = random;
    this.root = root;
    this.wit = generateKey(random);
    this.issuer = generateKey(random);
    this.verifier = generateKey(random);
  }

  static async make(trustDomain: string): Promise<Owner> {
    const random = seededRandom(trustDomain, 'owner');
    const signer = generateKey(random);
    const root = await createRoot({
      signer,
      random,
      commonName: `${trustDomain} root`,
      notBefore: NOW - HOUR,
      trustDomain,
    });
    return new Owner(trustDomain, random, root);
  }

  get bundle(): TrustBundle {
    return {
      trustDomain: this.trustDomain,
      sequence: 1,
      keys: [
        {
          use: 'x509-svid',
          kid: this.root.signer.kid,
          jwk: this.root.signer.publicJwk,
          certificate: this.root.certificate,
        },
        { use: 'wit-svid', kid: this.wit.kid, jwk: this.wit.publicJwk },
        { use: 'fealty/issuer', kid: this.issuer.kid, jwk: this.issuer.publicJwk },
        { use: 'fealty/verifier', kid: this.verifier.kid, jwk: this.verifier.publicJwk },
      ],
    };
  }

  id(name: string): string {
    return `spiffe://${this.trustDomain}/agent/${name}`;
  }

  ear(agentId: string, ldevid: string, options: { status?: EarStatus; from?: number; lifeMs?: number } = {}) {
    const { status = 'affirming', from = NOW - 60_000, lifeMs = HOUR } = options;
    return signJws(this.verifier, EAR_TYP, {
      eat_profile: EAR_PROFILE,
      iss: 'https://authority.example',
      sub: agentId,
      cnf: { jkt: ldevid },
      iat: Math.floor(from / 1000),
      exp: Math.floor((from + lifeMs) / 1000),
      eat_nonce: base64url(this.random.bytes(16)),
      ear_verifier_id: { developer: 'fealty', build: 'test' },
      submods: {
        [EAR_SUBMODULE]: { ear_status: status, ear_trustworthiness_vector: {}, ear_appraisal_policy_ids: [] },
      },
    });
  }

  async enrol(
    name: string,
    bundles: readonly TrustBundle[],
    options: {
      status?: EarStatus;
      from?: number;
      lifeMs?: number;
      earLifeMs?: number;
      ldevid?: SoftwareKey;
    } = {},
  ): Promise<DomainIdentity> {
    const { random } = this;
    const { from = NOW - 60_000, lifeMs = HOUR } = options;
    const agentId = this.id(name);
    const keys = {
      credential: generateKey(random),
      tls: generateKey(random),
      lobby: generateKey(random),
      ldevid: options.ldevid ?? generateKey(random),
    };
    const certified = { issuer: this.root, random, notBefore: from, notAfter: from + lifeMs, agentId };
    const common = {
      signer: this.wit,
      random,
      sub: agentId,
      key: keys.credential.publicJwk,
      issuedAt: from,
      expiresAt: from + lifeMs,
    };
    const ldevidChain = [
      await issueLDevIdCertificate({ ...certified, notAfter: NO_END, publicKey: keys.ldevid.publicJwk }),
    ];
    return {
      keys,
      credentials: {
        agentId,
        slug: slugOf(agentId),
        ldevidChain,
        wit: await issueWit(common),
        wic: [await issueWic({ ...certified, publicKey: keys.tls.publicJwk })],
        lobbyCertificate: await issueLobbyCertificate({ ...certified, publicKey: keys.lobby.publicJwk }),
        clientAttestation: await issueClientAttestation({ ...common, iss: 'https://authority.example' }),
        ear: await this.ear(agentId, thumbprint(keys.ldevid.publicJwk), {
          ...(options.status === undefined ? {} : { status: options.status }),
          from,
          lifeMs: options.earLifeMs ?? lifeMs,
        }),
        bundles,
        endpoints: { authority: 'https://authority.example' },
        notAfter: from + lifeMs,
      },
    };
  }

  groupGrant(
    coordinator: string,
    options: { bounds?: Partial<GroupBounds>; task?: string; lifeS?: number; jti?: string } = {},
  ) {
    const iat = NOW / 1000 - 60;
    const jti = options.jti ?? base64url(this.random.bytes(12));
    const task = options.task ?? 'rescue-7';
    return signJws(this.issuer, KIND.groupGrant.typ, {
      iss: 'https://authority.example',
      sub: coordinator,
      jti,
      iat,
      exp: iat + (options.lifeS ?? 7200),
      [CLAIM.agent]: true,
      [CLAIM.task]: task,
      [CLAIM.generations]: { [`task:${task}`]: 0 },
      [CLAIM.family]: [jti],
      [GROUP_CLAIM]: { ...bounds(this.trustDomain), ...options.bounds },
    });
  }
}

const lift: Grant = {
  type: 'fealty/action',
  locations: ['role:carrier'],
  device: 'arm',
  actions: ['lift'],
};

/** What the tests' group grant allows. */
export function bounds(...trustDomains: string[]): GroupBounds {
  return {
    trustDomains,
    roles: {
      scout: { capabilities: ['lidar'], authorization_details: [lift], max: 2 },
      carrier: { capabilities: ['arm.lift'], authorization_details: [], max: 4 },
    },
    maxMembers: 4,
    posture: 'affirming',
    assignLate: true,
    statusBoundS: 3600,
  };
}

/** Records that stay in memory. */
export class MemoryAudit implements AuditLog {
  readonly entries: AuditEntry[] = [];

  append(entry: AuditEntry) {
    this.entries.push(entry);
    return Promise.resolve({ ...entry, index: this.entries.length, at: 0, previous: '' });
  }

  head() {
    return { index: this.entries.length, hash: '' };
  }
}

/** A machine on the broker. */
export interface Machine {
  readonly name: string;
  readonly platform: SimulatedPlatform;
  readonly identity: DomainIdentity;
  readonly link: Link;
  readonly audit: MemoryAudit;
  readonly generations: Generations;
  readonly candidate: Candidate;
  /** Everything refused: check and topic or sender. */
  readonly refused: [string, string][];
  readonly events: string[];
  /** What this machine's network lets through; everything by default. */
  hears: (topic: string) => boolean;
  /** Told of everything it publishes. */
  sends: (payload: Uint8Array, topic: string) => void;
}

/** One owner, one broker, one clock, and as many machines as a test wants. */
export class World {
  readonly owner: Owner;
  readonly clock: VirtualClock;
  readonly broker: MemoryBroker;
  readonly warnings: string[] = [];

  private constructor(owner: Owner, faults: BrokerFaults, seed: number) {
    this.owner = owner;
    this.clock = virtualClock(NOW);
    this.broker = new MemoryBroker({ seed, clock: this.clock, faults });
  }

  static async make(faults: BrokerFaults = {}, seed = 1): Promise<World> {
    return new World(await Owner.make('fleet.example'), faults, seed);
  }

  async machine(
    name: string,
    options: Parameters<Owner['enrol']>[2] & {
      owner?: Owner;
      bundles?: readonly TrustBundle[];
      identity?: DomainIdentity;
    } = {},
  ): Promise<Machine> {
    const owner = options.owner ?? this.owner;
    const identity =
      options.identity ?? (await owner.enrol(name, options.bundles ?? [this.owner.bundle], options));
    const { credentials } = identity;
    const base = simulatedPlatform({ seed: 1, name, clock: this.clock });
    const platform: SimulatedPlatform = {
      ...base,
      log: {
        ...base.log,
        warn: (message, fields) => this.warnings.push(`${name}: ${message} ${JSON.stringify(fields ?? {})}`),
      },
    };
    const link = this.broker.connect(credentials.slug);
    const machine: Machine = {
      name,
      platform,
      identity,
      link: {
        publish: (topic, payload, how) => {
          machine.sends(payload, topic);
          return link.publish(topic, payload, how);
        },
        subscribe: (filter, handler, how) =>
          link.subscribe(filter, (message) => machine.hears(message.topic) && handler(message), how),
        on: (event, listener) => link.on(event, listener),
        off: (event, listener) => link.off(event, listener),
        close: () => link.close(),
        get connected() {
          return link.connected;
        },
      },
      audit: new MemoryAudit(),
      generations: await Generations.open({
        clock: this.clock,
        store: platform.store,
        trustDomain: owner.trustDomain,
      }),
      candidate: {
        agentId: credentials.agentId,
        slug: credentials.slug,
        lobbyCertificate: credentials.lobbyCertificate,
        wit: credentials.wit,
      },
      refused: [],
      events: [],
      hears: () => true,
      sends: () => {},
    };
    return machine;
  }

  async convene(
    console: Machine,
    options: Partial<ConveneOptions> & { bounds?: Partial<GroupBounds>; lifeS?: number } = {},
  ): Promise<TaskDomain> {
    const { bounds: bounded, lifeS, ...rest } = options;
    const { agentId, slug } = console.identity.credentials;
    const groupGrant = await this.owner.groupGrant(agentId, {
      ...(bounded === undefined ? {} : { bounds: bounded }),
      ...(lifeS === undefined ? {} : { lifeS }),
      task: options.task ?? 'rescue-7',
    });
    const domain = await TaskDomain.convene({
      platform: console.platform,
      link: console.link,
      broker: this.broker.authorizerFor(slug),
      identity: console.identity,
      generations: console.generations,
      audit: console.audit,
      groupGrant,
      task: 'rescue-7',
      mission: 'clear the road',
      ...rest,
    });
    domain.on('refused', (check, from) => console.refused.push([check, from]));
    domain.on('admitted', (agent, role) =>
      console.events.push(`admitted ${agent.split('/').at(-1)} ${role}`),
    );
    domain.on('evicted', (agent, reason) =>
      console.events.push(`evicted ${agent.split('/').at(-1)} ${reason}`),
    );
    domain.on('ended', (reason) => console.events.push(`ended ${reason}`));
    domain.membership.on('refused', (check, topic) => console.refused.push([check, topic]));
    return domain;
  }

  /** Opens a lobby that joins everything, unless the options say otherwise. */
  async lobby(
    machine: Machine,
    options: Partial<LobbyOptions> = {},
  ): Promise<{ lobby: Lobby; joined: Membership[] }> {
    const lobby = await Lobby.open({
      platform: machine.platform,
      link: machine.link,
      identity: machine.identity,
      generations: machine.generations,
      audit: machine.audit,
      joinPolicy: () => ({ join: true }),
      ...options,
    });
    const joined: Membership[] = [];
    lobby.on('refused', (check, from) => machine.refused.push([check, from]));
    lobby.on('joined', (membership) => {
      joined.push(membership);
      membership.on('refused', (check, topic) => machine.refused.push([check, topic]));
      membership.on('mode-changed', (mode, _, cause) => machine.events.push(`${mode}: ${cause}`));
      membership.on('evicted', (reason) => machine.events.push(`evicted: ${reason}`));
      membership.on('ended', (reason) => machine.events.push(`ended: ${reason}`));
      membership.on('rekeyed', (epoch) => machine.events.push(`epoch ${epoch}`));
    });
    return { lobby, joined };
  }

  /** Lets time pass until `promise` settles, at most `ms`. */
  async settle<T>(promise: Promise<T>, ms = 30_000): Promise<T> {
    let done = false;
    const watched = promise.finally(() => {
      done = true;
    });
    watched.catch(() => {});
    for (let passed = 0; !done && passed < ms; passed += 50) await this.clock.advance(50);
    if (!done) throw new Error(`nothing happened in ${ms} ms of virtual time`);
    return await watched;
  }

  /** A domain with a dog (scout) and a truck (carrier). */
  async rescue(times: DomainTimes = {}) {
    const console = await this.machine('console');
    const dog = await this.machine('dog');
    const truck = await this.machine('truck');
    const domain = await this.convene(console, { options: times });
    const dogs = await this.lobby(dog, { options: times });
    const trucks = await this.lobby(truck, { options: times });
    await this.settle(
      Promise.all([domain.invite(dog.candidate, 'scout'), domain.invite(truck.candidate, 'carrier')]),
    );
    const [dogIn] = dogs.joined;
    const [truckIn] = trucks.joined;
    if (dogIn === undefined || truckIn === undefined) throw new Error('nobody joined');
    return { console, dog, truck, domain, dogIn, truckIn, dogLobby: dogs.lobby, truckLobby: trucks.lobby };
  }
}
