import { Attester } from '../attestation/index.ts';
import { CAPABILITIES_CLAIM, capabilitiesSchema } from '../core/capability.ts';
import { EventEmitter } from '../core/emitter.ts';
import { messageOf } from '../core/errors.ts';
import { peekPayload } from '../core/jws.ts';
import { check } from '../core/schema.ts';
import type { Membership } from '../domains/index.ts';
import type { Credentials } from '../identity/index.ts';
import { trustDomainOf } from '../identity/index.ts';
import type { ActionRequest, Outcome } from '../permissions/index.ts';
import type { Enrolled, EnrolmentState } from '../provisioning/index.ts';
import { Pledge, renewalTime } from '../provisioning/index.ts';
import type { Finding } from '../registry/index.ts';
import { register, seek } from '../registry/index.ts';
import type { HeldToken } from '../tokens/index.ts';
import type { Tpm } from '../tpm/index.ts';
import { openTpm } from '../tpm/index.ts';
import type { Answer, Ask } from './asking.ts';
import { askFor } from './asking.ts';
import type { Books } from './books.ts';
import { openBooks } from './books.ts';
import { AgentDomains } from './domains.ts';
import { NotReady } from './errors.ts';
import type { AgentEvents } from './events.ts';
import type { ConveneRequest } from './meeting.ts';
import { Meeting } from './meeting.ts';
import type { AgentOptions } from './options.ts';
import { VERSION } from './options.ts';
import { OwnStreams } from './streams.ts';
import type { KeptRequest } from './tokens.ts';
import { OwnTokens } from './tokens.ts';
import { ownersServer } from './trust.ts';

/** How long after a failed renewal the next one is tried, in milliseconds. */
const RENEWAL_RETRY_MS = 60_000;

/**
 * The runtime of a robot, a vehicle, a console. It is taken through its life step by step (`enrol`, `register`,
 * `authorize`, `connect`), or all at once by `start`; whatever ends is renewed by itself.
 */
export class Agent extends EventEmitter<AgentEvents> {
  readonly #options: AgentOptions;
  readonly #tpm: Tpm;
  readonly #pledge: Pledge;
  readonly #domains: AgentDomains;
  readonly #ending = new AbortController();
  readonly #repeated = new Set<() => void>();
  #enrolled: Enrolled | undefined;
  #books: Books | undefined;
  #tokens: OwnTokens | undefined;
  #meeting: Meeting | undefined;
  #cancelRenewal: () => void = () => {};
  #closing: Promise<void> | undefined;

  private constructor(options: AgentOptions, tpm: Tpm, pledge: Pledge, streams: OwnStreams) {
    super();
    this.#options = options;
    this.#tpm = tpm;
    this.#pledge = pledge;
    this.#domains = new AgentDomains(options.platform, streams);
  }

  /** Opens the TPM, measures what runs here, reads the stored state. Nothing is sent yet. */
  static async open(options: AgentOptions): Promise<Agent> {
    const { platform } = options;
    const streams = new OwnStreams(options.streams ?? {}, options.devices ?? [], platform);
    const { random, clock, store } = platform;
    const tpm = await openTpm({ transport: options.transport, random, clock });
    try {
      const attester = await Attester.open({ store, tpm });
      await attester.start(VERSION);
      for (const { kind, name, digest } of options.measurements ?? [])
        if (kind !== 'start') await attester.measured(kind, name, digest);
      const { authority, papers } = options;
      const pledge = await Pledge.open({ platform, tpm, authority, attester, ...papers });
      return new Agent({ ...options, devices: streams.heard(options.devices ?? []) }, tpm, pledge, streams);
    } catch (error) {
      await tpm.close();
      throw error;
    }
  }

  /** Its identifier, once it has one. */
  get id(): string | undefined {
    return this.#pledge.agentId;
  }

  /** Where it is in the life of a credential. */
  get state(): EnrolmentState {
    return this.#pledge.state;
  }

  /** What it holds, keys included: for programs that assemble their own ends, inside this process. */
  get enrolled(): Enrolled {
    return this.#need(this.#enrolled, 'credentials');
  }

  /** Audit log, revocations and permissions. */
  get books(): Books {
    return this.#need(this.#books, 'credentials');
  }

  /** The tokens it holds for itself, and their issuer. */
  get tokens(): OwnTokens {
    return this.#need(this.#tokens, 'credentials');
  }

  /** Its link to the broker, its lobby, and the domains it convened. */
  get meeting(): Meeting {
    return this.#need(this.#meeting, 'link');
  }

  /** The task domains it takes part in. */
  get memberships(): readonly Membership[] {
    return this.#domains.memberships;
  }

  /** Enrols, or takes up an earlier enrolment; from then on credentials renew themselves. @throws as `Pledge.obtain` */
  async enrol(): Promise<Credentials> {
    return await this.#become(await this.#pledge.obtain(this.#ending.signal));
  }

  /** Fresh credentials with a fresh appraisal, now. */
  async renew(): Promise<Credentials> {
    return await this.#become(await this.#pledge.renew(this.#ending.signal));
  }

  /** Tells the registry what the authority signed. @returns until when, milliseconds since 1970 */
  async register(): Promise<number> {
    const { credentials, keys } = this.enrolled;
    const until = await register(this.#options.platform, this.#registry(), {
      credentials,
      signer: keys.credential,
      capabilities: capabilitiesOf(credentials),
      title: this.#options.title,
    });
    this.emit('registered', until);
    return until;
  }

  /** Agents that offer all of `capabilities`, as far as the registry lets this one know. */
  async seek(capabilities: readonly string[]): Promise<readonly Finding[]> {
    const { credentials, keys } = this.enrolled;
    const me = { wit: credentials.wit, signer: keys.credential };
    return await seek(this.#options.platform, this.#registry(), me, { capabilities });
  }

  /** A token for itself, or for one of its functions, whose grants it holds and keeps fresh (OBO-self). */
  async authorize(request: KeptRequest = {}): Promise<HeldToken> {
    const token = await this.tokens.keep(request);
    await Promise.all(this.memberships.map(({ task }) => this.#domains.refresh(task)));
    return token;
  }

  /** Connects to the broker and listens in its lobby for invitations. */
  async connect(): Promise<void> {
    this.#meeting ??= await Meeting.open({
      options: this.#options,
      enrolled: () => this.enrolled,
      books: this.books,
      tokens: this.tokens,
      domains: this.#domains,
      signal: this.#ending.signal,
      joined: (task, domain) => this.emit('joined', task, domain),
      left: (task, reason) => this.emit('left', task, reason),
      refused: (check, from) => this.emit('refused', check, from),
    });
  }

  /** Asks the authority what was revoked and what time it is. */
  async sync(): Promise<void> {
    const { clock } = this.#options.platform;
    const { credentials } = this.enrolled;
    const { generations, permissions, status } = this.books;
    const sentAt = clock.elapsed();
    const { iat } = await this.tokens.client.refreshGenerations(generations, {
      trustDomain: trustDomainOf(credentials.agentId),
      bundles: credentials.bundles,
      signal: this.#ending.signal,
    });
    // It says whole seconds: the true time is up to one later.
    permissions.time.synchronised({ at: iat * 1000, withinMs: 1_000, sentAt });
    status.renewed();
  }

  /**
   * All of it: enrols, registers if it offers something, gets a token if it has devices, connects, and stays so. It may be
   * called again after it failed: what is there already is kept.
   */
  async start(): Promise<void> {
    const credentials = await this.enrol();
    if (capabilitiesOf(credentials).length > 0) await this.register();
    await this.sync();
    // What the owner has not granted yet keeps it from acting, not from its lobby.
    const [authorized] = await Promise.allSettled([
      (this.#options.devices?.length ?? 0) > 0
        ? this.authorize({ authorizationDetails: this.#options.authorizationDetails })
        : undefined,
    ]);
    if (this.#options.broker !== undefined || credentials.endpoints.broker !== undefined)
      await this.connect();
    if (authorized?.status === 'rejected') throw authorized.reason;
  }

  /** Makes one of its own devices do something, in its own name. @throws {PermissionDenied} */
  async act(request: Omit<ActionRequest, 'subjects'>): Promise<Outcome> {
    return await this.books.permissions.pep.act({
      ...request,
      subjects: [this.enrolled.credentials.agentId],
    });
  }

  /** Asks another member of a task's domain for an action on its device. */
  async ask(task: string, agentId: string, ask: Omit<Ask, 'op'>): Promise<Answer> {
    const membership = this.#domains.of(task);
    if (membership === undefined) throw new NotReady('domain', `not a member of the domain of \`${task}\``);
    return await askFor(membership, agentId, ask);
  }

  /** Opens a task domain under a group grant that it asks for; it coordinates it. */
  async convene(request: ConveneRequest): Promise<string> {
    return await this.meeting.convene(request);
  }

  /** Stops what runs, leaves domains, signs the log's head, lets go of the TPM. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#cancelRenewal();
      for (const cancel of this.#repeated) cancel();
      await this.#meeting?.close();
      this.#tokens?.close();
      await this.#books?.close();
      this.#ending.abort(new Error('the agent is closed'));
      await this.#tpm.close();
    })();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #become(enrolled: Enrolled): Promise<Credentials> {
    const { credentials } = enrolled;
    if (this.#enrolled === enrolled) return credentials;
    this.#enrolled = enrolled;
    if (this.#books === undefined) await this.#openBooks(enrolled);
    else {
      this.#books.posture.renewed(enrolled);
      this.#tokens?.renewed();
      await this.#meeting?.renewed();
    }
    this.#renewLater(credentials);
    this.emit('enrolled', credentials.agentId, credentials.notAfter);
    return credentials;
  }

  async #openBooks(enrolled: Enrolled): Promise<void> {
    const books = await openBooks(this.#options, this.#tpm, enrolled, this.#domains);
    this.#books = books;
    const { pep } = books.permissions;
    this.#domains.serve(books.permissions);
    books.generations.onRaised((raised) => {
      for (const { tag, generation } of raised)
        pep
          .revoke(tag, generation, 'revoked by the authority')
          .catch((error: unknown) => this.emit('failed', `revocation of ${tag}`, messageOf(error)));
    });
    pep.on('permitted', (decision) => this.emit('permitted', decision));
    pep.on('denied', (decision) => this.emit('denied', decision));
    pep.on('ended', (decision, end) => this.emit('ended', decision, end));
    pep.on('revoked', (tag, grants) => this.emit('revoked', tag, grants));
    this.#tokens = new OwnTokens({
      platform: this.#options.platform,
      enrolled: () => this.enrolled,
      books,
      authorized: ({ id, expiresAt }) => this.emit('authorized', id, expiresAt),
      failed: (reason) => this.emit('failed', 'token', reason),
    });
    this.#again('sync', this.#options.syncMs ?? 30_000, () => this.sync());
    this.#again('checkpoint', this.#options.checkpointMs ?? 300_000, async () => {
      await books.audit.checkpoint();
      // Archived while nothing is open: a log that is full would let nothing move any more.
      if (books.audit.full && books.audit.openIntents().length === 0) await books.audit.rotate();
    });
  }

  #renewLater({ notAfter }: Credentials): void {
    const { clock, random } = this.#options.platform;
    const at = renewalTime({ issuedAt: clock.now(), notAfter }, random);
    this.#renewIn(Math.max(1_000, at - clock.now()));
  }

  #renewIn(ms: number): void {
    // What was under way when the agent was closed fails afterwards, and must arm nothing.
    if (this.#closing !== undefined) return;
    this.#cancelRenewal();
    this.#cancelRenewal = this.#options.platform.clock.schedule(ms, () => {
      this.renew().catch((error: unknown) => {
        this.emit('failed', 'renewal', messageOf(error));
        // An expired credential can still be renewed, so there is no hurry and no end to trying.
        this.#renewIn(RENEWAL_RETRY_MS);
      });
    });
  }

  #again(what: string, everyMs: number, work: () => Promise<void>): void {
    const { clock } = this.#options.platform;
    let cancel = () => {};
    const stop = () => cancel();
    this.#repeated.add(stop);
    const arm = () => {
      cancel = clock.schedule(everyMs, () => {
        work()
          .catch((error: unknown) => this.emit('failed', what, messageOf(error)))
          .finally(() => {
            if (this.#closing === undefined) arm();
          });
      });
    };
    arm();
  }

  #registry() {
    const { credentials } = this.enrolled;
    const { authority } = credentials.endpoints;
    return {
      authority,
      tls: { verifyPeer: ownersServer(credentials, authority, this.#options.platform.clock) },
    };
  }

  #need<T>(value: T | undefined, missing: string): T {
    if (value === undefined) throw new NotReady(missing, `the agent has no ${missing} yet`);
    return value;
  }
}

/** What the authority signed into the WIT, which the pledge has verified. */
function capabilitiesOf({ wit }: Credentials): readonly string[] {
  return check(capabilitiesSchema, peekPayload(wit)[CAPABILITIES_CLAIM] ?? [], 'list of capabilities');
}
