import { hex } from '../core/bytes.ts';
import { EventEmitter } from '../core/emitter.ts';
import { FealtyError, messageOf } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { slugOf } from '../core/names.ts';
import { generateKey } from '../core/signer.ts';
import type { LinkMessage, Subscription } from '../messaging/index.ts';
import { lobbyTopic } from '../messaging/index.ts';
import type { Generations } from '../tokens/status.ts';
import type { HandshakeCheck } from './errors.ts';
import { DomainEnded, HandshakeRefused } from './errors.ts';
import type { Completed } from './handshake-common.ts';
import type { Membership } from './membership.ts';
import { Memberships } from './memberships.ts';
import type { Frame } from './messages.ts';
import { FRAME_MAX, readFrame } from './messages.ts';
import { emptyGenerations } from './no-generations.ts';
import { Rate, SeenOnce } from './rate.ts';
import type { Acceptance, OpenedInvitation } from './responder.ts';
import { INVITATION_LIFE_MS, openInvitation, RefusedInvitation } from './responder.ts';
import type { Times } from './times.ts';
import { timesOf } from './times.ts';
import type { DomainIdentity, JoinDecision, LobbyOptions } from './types.ts';

/** What happens in a lobby. Telling is all they do. */
export interface LobbyEvents {
  /** An invitation was accepted, the handshake is complete and the first epoch held. */
  joined: [membership: Membership];
  /** Something was refused: the name of the check, and who it claims to come from (`unknown` before it is opened). */
  refused: [check: string, from: string];
}

/** Invitations remembered at a time, and how often an answer to one is repeated. */
const SEEN_MAX = 4096;
const REPEATS_MAX = 8;

interface Waiting {
  readonly opened: OpenedInvitation;
  readonly acceptance: Acceptance;
  readonly session: ReturnType<typeof generateKey>;
  readonly agreement: ReturnType<typeof generateKey>;
  readonly cancel: () => void;
  busy: boolean;
}

/**
 * Where an agent receives sealed invitations: `td1/lobby/<slug>`. Length and rate are judged before any asymmetric work;
 * then the invitation is opened, checked, decided on, and the handshake made.
 */
export class Lobby extends EventEmitter<LobbyEvents> {
  readonly #options: LobbyOptions;
  readonly #generations: Generations;
  readonly #times: Times;
  readonly #rate: Rate;
  readonly #seen: SeenOnce<{
    readonly frame: Uint8Array;
    readonly to: string;
    repeats: number;
    /** C_R of our acceptance: when that exchange is over, nothing is repeated. */
    readonly exchange?: string;
  }>;
  readonly #waiting = new Map<string, Waiting>();
  readonly #memberships: Memberships;
  #identity: DomainIdentity;
  #subscription: Subscription | undefined;
  #closed = false;

  private constructor(options: LobbyOptions, generations: Generations) {
    super();
    const { clock } = options.platform;
    const { perSecond = 10, burst = 20 } = options.options ?? {};
    this.#options = options;
    this.#identity = options.identity;
    this.#generations = generations;
    this.#times = timesOf(options.options);
    this.#memberships = new Memberships(options, generations, this.#times);
    this.#rate = new Rate(clock, perSecond, burst);
    this.#seen = new SeenOnce(clock, 2 * INVITATION_LIFE_MS, SEEN_MAX);
  }

  /** Listens for invitations. @throws {SubscribeRefused} */
  static async open(options: LobbyOptions): Promise<Lobby> {
    const { platform, identity, link } = options;
    const generations =
      options.generations ?? (await emptyGenerations(platform.clock, identity.credentials.agentId));
    const lobby = new Lobby(options, generations);
    lobby.#subscription = await link.subscribe(
      lobbyTopic(identity.credentials.slug),
      (message) => lobby.#heard(message),
      { qos: 1 },
    );
    link.on('connected', lobby.#back);
    return lobby;
  }

  /** Memberships that are not over. */
  get memberships(): readonly Membership[] {
    return this.#memberships.live;
  }

  /** Uses renewed credentials from now on, also in the domains it takes part in. */
  async renew(identity: DomainIdentity): Promise<void> {
    this.#identity = identity;
    await this.#memberships.renew(identity);
  }

  /** Leaves every domain and stops listening. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.link.off('connected', this.#back);
    for (const id of [...this.#waiting.keys()]) this.#drop(id);
    await this.#subscription?.close().catch(() => {});
    await this.#memberships.leave('the agent stops');
  }

  /** = `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #heard(message: LinkMessage): void {
    if (this.#closed) return;
    if (message.payload.length > FRAME_MAX) {
      this.#refuse('form', 'unknown');
      return;
    }
    let frame: Frame;
    try {
      frame = readFrame(message.payload);
    } catch (cause) {
      if (!(cause instanceof FealtyError)) throw cause;
      this.#refuse('form', 'unknown');
      return;
    }
    if (frame.kind === 1) this.#invited(frame, hex(sha256(message.payload)));
    else if (frame.kind === 3 || frame.kind === 5) {
      const id = hex(frame.connection);
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) {
        this.#refuse('replay', 'unknown');
        return;
      }
      if (frame.kind === 3) void this.#complete(id, waiting, frame.body);
      else this.#refusedByConvener(id, waiting, frame.body);
    } else if (frame.kind === 6) this.#memberships.deliver(frame.connection, frame.body);
    // Kinds 2 and 4 are answers to a convener on the same link.
  }

  #invited(frame: Frame & { readonly kind: 1 }, id: string): void {
    const repeated = this.#seen.valueOf(id);
    if (repeated !== undefined) {
      // The same invitation again: our answer may have been lost. No asymmetric work.
      const over = repeated.exchange !== undefined && !this.#waiting.has(repeated.exchange);
      if (!over && repeated.repeats++ < REPEATS_MAX) this.#send(repeated.to, repeated.frame);
      else this.#refuse('replay', repeated.to);
      return;
    }
    if (!this.#rate.take()) {
      this.#refuse('rate', 'unknown');
      return;
    }
    const admitted = this.#seen.admit(id);
    if (admitted === 'seen') {
      this.#refuse('replay', 'unknown');
      return;
    }
    if (admitted === 'full') {
      this.#refuse('rate', 'unknown');
      return;
    }
    this.#answer(frame, id).catch((cause: unknown) => this.#failed(cause, 'unknown'));
  }

  async #answer(frame: Frame & { readonly kind: 1 }, id: string): Promise<void> {
    const { clock, random } = this.#options.platform;
    let opened: OpenedInvitation;
    try {
      opened = openInvitation({ identity: this.#identity, clock, random }, frame, this.#generations);
    } catch (cause) {
      if (!(cause instanceof RefusedInvitation)) throw cause;
      this.#refuse(cause.check, cause.from);
      this.#seen.keep(id, { frame: cause.frame, to: cause.from, repeats: 0 });
      this.#send(cause.from, cause.frame);
      return;
    }
    const { invitation } = opened;
    const no = await this.#decide(opened);
    if (this.#closed) return;
    if (no !== undefined) {
      const refusal = opened.refuse(no);
      this.#refuse(no, invitation.from);
      this.#seen.keep(id, { frame: refusal, to: invitation.from, repeats: 0 });
      this.#send(invitation.from, refusal);
      return;
    }
    const session = generateKey(random);
    const agreement = generateKey(random);
    const acceptance = await opened.accept({ session: session.publicJwk, agreement: agreement.publicJwk });
    if (this.#closed) return;
    const cancel = clock.schedule(this.#times.handshakeMs, () => {
      if (!this.#waiting.has(acceptance.id)) return;
      this.#drop(acceptance.id);
      this.#refuse('silent', invitation.from);
    });
    this.#waiting.set(acceptance.id, { opened, acceptance, session, agreement, cancel, busy: false });
    const { id: exchange, frame: message2 } = acceptance;
    this.#seen.keep(id, { frame: message2, to: invitation.from, repeats: 0, exchange });
    this.#send(invitation.from, message2);
  }

  /** The check at which the invitation is declined, or `undefined`. */
  async #decide(opened: OpenedInvitation): Promise<HandshakeCheck | undefined> {
    const { maxDomains = 16 } = this.#options.options ?? {};
    const { invitation, groupGrant } = opened;
    if (this.#memberships.count + this.#waiting.size >= maxDomains) return 'rate';
    let decision: JoinDecision;
    try {
      decision = await this.#options.joinPolicy({
        domain: invitation.domain,
        task: invitation.task,
        mission: invitation.mission,
        role: invitation.role,
        convener: invitation.from,
        groupGrant,
        invitedAt: invitation.at,
      });
    } catch (cause) {
      this.#options.platform.log.warn('the join policy failed', { cause: messageOf(cause) });
      return 'declined';
    }
    if (decision.join) return undefined;
    this.#options.platform.log.info('an invitation is declined', {
      from: invitation.from,
      reason: decision.reason,
    });
    return 'declined';
  }

  async #complete(id: string, waiting: Waiting, body: Uint8Array): Promise<void> {
    if (waiting.busy) return;
    waiting.busy = true;
    const { invitation } = waiting.opened;
    let completed: Completed;
    try {
      completed = await waiting.acceptance.complete(body);
    } catch (cause) {
      waiting.busy = false;
      return this.#failed(cause, invitation.from);
    }
    if (this.#closed || this.#waiting.get(id) !== waiting) return;
    this.#drop(id);
    await this.#join(waiting, completed);
  }

  async #join({ opened, session, agreement }: Waiting, completed: Completed): Promise<void> {
    let membership: Membership | undefined;
    try {
      membership = await this.#memberships.join({ opened, completed, session, agreement }, this.#identity);
      this.emit('joined', membership);
    } catch (cause) {
      await membership?.leave(messageOf(cause)); // a listener threw
      this.#refuse(cause instanceof DomainEnded ? 'ended' : 'broker', opened.invitation.from);
    }
  }

  #refusedByConvener(id: string, waiting: Waiting, body: Uint8Array): void {
    const check = waiting.acceptance.refusal(body);
    if (check === undefined) {
      this.#refuse('seal', waiting.opened.invitation.from);
      return;
    }
    this.#drop(id);
    this.#refuse(check, waiting.opened.invitation.from);
  }

  #drop(id: string): void {
    this.#waiting.get(id)?.cancel();
    this.#waiting.delete(id);
  }

  /**
   * Message 3 may have come while the connection was broken, as Mosquitto breaks it when the convener gives us our
   * rights: message 2, sent again, brings it again.
   */
  readonly #back = () => {
    for (const { opened, acceptance } of this.#waiting.values())
      this.#send(opened.invitation.from, acceptance.frame);
  };

  #send(to: string, frame: Uint8Array): void {
    this.#options.link
      .publish(lobbyTopic(slugOf(to)), frame, { qos: 1 })
      .catch((cause: unknown) =>
        this.#options.platform.log.warn('a handshake message is not sent', { cause: messageOf(cause) }),
      );
  }

  /** Whatever a message makes happen, the lobby stays open. */
  #failed(cause: unknown, from: string): void {
    if (!(cause instanceof FealtyError))
      this.#options.platform.log.warn('a handshake failed', { cause: messageOf(cause) });
    this.#refuse(cause instanceof HandshakeRefused ? cause.check : 'form', from);
  }

  #refuse(check: HandshakeCheck, from: string): void {
    this.emit('refused', check, from);
  }
}
