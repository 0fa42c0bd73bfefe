import { equal, fromBase64url } from '../core/bytes.ts';
import { encodeCbor } from '../core/cbor.ts';
import { FealtyError, messageOf } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { slugOf } from '../core/names.ts';
import { pointOfJwk, sameKey, verifySignature } from '../core/signer.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import { sessionKeyId } from '../messaging/index.ts';
import type { VerifiedAssignment } from '../tokens/assignment.ts';
import { verifyAssignment } from '../tokens/assignment.ts';
import { TokenRefused } from '../tokens/errors.ts';
import type { Generations } from '../tokens/status.ts';
import type { VerifiedGroupGrant } from '../tokens/verifier.ts';
import type { Delegation } from './delegation.ts';
import { verifyDelegation } from './delegation.ts';
import type { LogCheck } from './errors.ts';
import { HandshakeRefused, LogRefused } from './errors.ts';
import type { LogBody, LogHeader } from './log-entry.ts';
import { renewalInput } from './log-entry.ts';
import type { Papers } from './papers.ts';
import { verifyPapers } from './papers.ts';

/** A member as the log proves it. */
export interface MemberState {
  readonly agentId: string;
  readonly slug: string;
  readonly role: string;
  readonly coordinator: boolean;
  /** Renewed by `renew` entries. */
  readonly papers: Papers;
  readonly delegation: Delegation;
  /** Session key identifier of its messages. */
  readonly keyId: string;
  readonly assignment: VerifiedAssignment | undefined;
  /** Index of the entry that admitted it. */
  readonly since: number;
}

/** How long after its first entry a domain forms; later admissions are late, which the group grant may forbid. */
export const FORMING_MS = 60_000;

/** What a reader of the log knows by itself. */
export interface RosterContext {
  readonly domain: string;
  readonly groupGrant: VerifiedGroupGrant;
  readonly bundles: () => readonly TrustBundle[];
  readonly generations: Generations;
  /** Hash of the entry with that index in this log, or `undefined`. */
  readonly hashAt: (index: number) => Uint8Array | undefined;
}

/**
 * The members of a domain, as its log tells them. Every entry is judged as if the coordinator were dishonest: each
 * member's chain of proof, each assignment, and the bounds of the group grant are checked here, at every member.
 */
export class Roster {
  readonly #context: RosterContext;
  readonly #members = new Map<string, MemberState>();
  #formedAt = 0;
  #epoch = 0;

  constructor(context: RosterContext) {
    this.#context = context;
  }

  get members(): ReadonlyMap<string, MemberState> {
    return this.#members;
  }

  get coordinator(): MemberState | undefined {
    return [...this.#members.values()].find((member) => member.coordinator);
  }

  /** The newest epoch the log names; 0 before the first. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Who holds which role. */
  get roles(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#members.values()].map(({ agentId, role }) => [agentId, role]));
  }

  /** SHA-256 of the sorted list of identifiers, roles and session keys: what an epoch is for. */
  hash(): Uint8Array {
    const rows = [...this.#members.values()].sort((a, b) => (a.agentId < b.agentId ? -1 : 1));
    return sha256(encodeCbor(rows.map((m) => [m.agentId, m.role, pointOfJwk(m.delegation.sessionKey)])));
  }

  /** Applies one entry. @throws {LogRefused}; nothing changed then. */
  apply(header: LogHeader, body: LogBody): void {
    switch (body.kind) {
      case 'genesis':
        this.#begin(header, body);
        return;
      case 'admit':
        this.#admit(header, body);
        return;
      case 'assign':
        this.#assign(header, body);
        return;
      case 'epoch':
        if (body.epoch <= this.#epoch) refuse('epoch', 'an epoch that does not rise');
        if (!equal(body.roster, this.hash())) refuse('epoch', 'an epoch for another roster');
        this.#epoch = body.epoch;
        return;
      case 'renew':
        this.#renew(header, body);
        return;
      case 'evict': {
        const member = this.#known(body.agent);
        if (member.coordinator) refuse('member', 'the coordinator cannot be evicted');
        this.#members.delete(body.agent);
        return;
      }
      case 'end':
        return;
    }
  }

  #begin(header: LogHeader, body: LogBody & { kind: 'genesis' }): void {
    const { groupGrant, domain } = this.#context;
    if (header.index !== 0 || this.#members.size > 0) refuse('member', 'a second beginning');
    if (body.grant !== groupGrant.compact || body.task !== groupGrant.task)
      refuse('limits', 'the log begins under another group grant');
    if (body.agent !== groupGrant.coordinator) refuse('member', 'another agent coordinates');
    if (body.role !== 'coordinator') this.#judgeRole(body.role);
    const papers = this.#papers(body.papers, body.agent, header.at, false);
    const delegation = chain(() =>
      verifyDelegation(body.delegation, papers, {
        domain,
        grant: fromBase64url(groupGrant.hash),
        role: body.role,
        peer: body.agent,
        at: header.at,
      }),
    );
    this.#formedAt = header.at;
    this.#put({ papers, delegation, role: body.role, coordinator: true, since: 0 });
  }

  #admit(header: LogHeader, body: LogBody & { kind: 'admit' }): void {
    const { domain, groupGrant } = this.#context;
    const { bounds, coordinator } = groupGrant;
    if (this.#members.has(body.agent)) refuse('member', 'an agent is admitted that is a member already');
    if (body.role === 'coordinator') refuse('member', 'a second coordinator');
    this.#judgeRole(body.role);
    const holders = [...this.#members.values()].filter(({ role }) => role !== 'coordinator').length;
    if (holders >= bounds.maxMembers) refuse('limits', `more than ${bounds.maxMembers} members`);
    if (!bounds.assignLate && header.at > this.#formedAt + FORMING_MS)
      refuse('limits', 'the group grant takes no late members');
    const papers = this.#papers(body.papers, body.agent, header.at, true);
    const delegation = chain(() =>
      verifyDelegation(body.delegation, papers, {
        domain,
        grant: fromBase64url(groupGrant.hash),
        role: body.role,
        peer: coordinator,
        at: header.at,
      }),
    );
    const keyId = sessionKeyId(delegation.sessionKey);
    if ([...this.#members.values()].some((member) => member.keyId === keyId))
      refuse('member', 'two members with one session key');
    this.#put({ papers, delegation, role: body.role, coordinator: false, since: header.index });
  }

  #assign(header: LogHeader, body: LogBody & { kind: 'assign' }): void {
    const member = this.#known(body.agent);
    const coordinator = this.coordinator;
    if (coordinator === undefined) throw new LogRefused('member', 'nobody coordinates');
    const assignment = assigned(() =>
      verifyAssignment(body.assignment, {
        groupGrant: this.#context.groupGrant,
        coordinatorKeys: [coordinator.papers.ldevid, coordinator.papers.wit.key],
        member: { agentId: member.agentId, ldevid: member.papers.ldevidThumbprint },
        at: header.at,
        generations: this.#context.generations,
        roles: this.roles,
      }),
    );
    if (assignment !== undefined && assignment.role !== member.role)
      refuse('assignment', 'the assignment is for another role');
    this.#members.set(member.agentId, { ...member, assignment });
  }

  #renew(header: LogHeader, body: LogBody & { kind: 'renew' }): void {
    const member = this.#known(body.agent);
    const papers = this.#papers(body.papers, body.agent, header.at, !member.coordinator);
    // Another LDevID key never vouched for this session key.
    if (!sameKey(papers.ldevid, member.papers.ldevid))
      refuse('chain', 'renewed papers for another LDevID key');
    const seen = this.#context.hashAt(body.seenIndex);
    if (seen === undefined || !equal(seen, body.seenHash))
      refuse('chain', 'the renewal was signed over another log');
    const input = renewalInput({
      domain: this.#context.domain,
      agent: body.agent,
      papers: body.papers,
      session: pointOfJwk(member.delegation.sessionKey),
      seenIndex: body.seenIndex,
      seenHash: body.seenHash,
    });
    if (!verifySignature(papers.ldevid, input, body.signature))
      refuse('chain', 'the renewal is not signed by the LDevID');
    this.#members.set(member.agentId, { ...member, papers });
  }

  #papers(bytes: Uint8Array, agent: string, at: number, bounded: boolean): Papers {
    const { bounds } = this.#context.groupGrant;
    const papers = chain(() =>
      verifyPapers(bytes, {
        bundles: this.#context.bundles(),
        at,
        ...(bounded ? { bounds } : {}),
      }),
    );
    if (papers.agentId !== agent) refuse('chain', 'the papers are another agent’s');
    return papers;
  }

  #judgeRole(role: string): void {
    const granted = Object.hasOwn(this.#context.groupGrant.bounds.roles, role)
      ? this.#context.groupGrant.bounds.roles[role]
      : undefined;
    if (granted === undefined) throw new LogRefused('limits', `the group grant has no role \`${role}\``);
    const holders = [...this.#members.values()].filter((member) => member.role === role).length;
    if (holders >= granted.max) refuse('limits', `more than ${granted.max} hold role \`${role}\``);
  }

  #known(agentId: string): MemberState {
    const member = this.#members.get(agentId);
    if (member === undefined) throw new LogRefused('member', 'an entry about somebody who is no member');
    return member;
  }

  #put(member: Pick<MemberState, 'papers' | 'delegation' | 'role' | 'coordinator' | 'since'>): void {
    const { agentId } = member.papers;
    this.#members.set(agentId, {
      ...member,
      agentId,
      slug: slugOf(agentId),
      keyId: sessionKeyId(member.delegation.sessionKey),
      assignment: undefined,
    });
  }
}

function refuse(check: LogCheck, message: string): never {
  throw new LogRefused(check, message);
}

/** A chain of proof; what breaks the group's bounds is named so. */
function chain<T>(look: () => T): T {
  try {
    return look();
  } catch (cause) {
    if (!(cause instanceof HandshakeRefused)) throw cause;
    const bound = cause.check === 'posture' || cause.check === 'trust-domain';
    throw new LogRefused(bound ? 'limits' : 'chain', cause.message, { cause });
  }
}

/** One that was revoked is none: a log tells the past too. Every other fault is the coordinator's. */
function assigned(look: () => VerifiedAssignment): VerifiedAssignment | undefined {
  try {
    return look();
  } catch (cause) {
    if (cause instanceof TokenRefused && cause.check === 'revoked') return undefined;
    if (!(cause instanceof FealtyError)) throw cause;
    throw new LogRefused('assignment', messageOf(cause), { cause });
  }
}
