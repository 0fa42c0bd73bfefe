import type { Remedy } from '../core/errors.ts';
import { FealtyError } from '../core/errors.ts';

/**
 * What the two ends of a handshake look at, in about this order; a refusal carries one of these names, on both ends.
 * The documentation and the tests are made from this list.
 */
export const HANDSHAKE_CHECKS = [
  /** The bytes are not a message of this exchange, or too large. */
  'form',
  /** Version, method or suite is not ours. */
  'suite',
  /** The seal does not open: altered on the way, or not made for this lobby key. */
  'seal',
  /** The same message, or another one for an exchange that is over, came before. */
  'replay',
  /** More came than the lobby looks at. */
  'rate',
  /** The certificate of the lobby key is not valid or not the candidate's. */
  'lobby-certificate',
  /** The workload identity token. */
  'wit',
  /** The proof by the WIT's key over the transcript. */
  'wpt',
  /** The LDevID certificate chain. */
  'ldevid-chain',
  /** Identifier in the LDevID certificate, `sub` of the WIT and the party spoken to are not one and the same. */
  'identity',
  /** The signature by the key in the LDevID certificate over the delegation: it takes the TPM. */
  'ldevid-signature',
  /** What the delegation says is not what was agreed, or its times do not hold now. */
  'delegation',
  /** The attestation result. */
  'ear',
  /** The attestation result is valid, and worse than the group grant asks for. */
  'posture',
  /** The group grant. */
  'group-grant',
  /** The group grant takes nobody from that trust domain. */
  'trust-domain',
  /** The group grant has no such role, or nobody more may hold it. */
  'role',
  /** The group has as many members as it may have, or no late ones. */
  'members',
  /** What is signed belongs to another run of the handshake. */
  'transcript',
  /** The message authentication code over credential and transcript. */
  'mac',
  /** The invited agent's own join policy. */
  'declined',
  /** No answer in time. */
  'silent',
  /** The broker gives no rights. */
  'broker',
  /** The domain ended meanwhile. */
  'ended',
] as const;

/** The name of one check of a handshake. */
export type HandshakeCheck = (typeof HANDSHAKE_CHECKS)[number];

/** A handshake is refused; `check` says at what. */
export class HandshakeRefused extends FealtyError {
  override readonly code = 'domains.handshake-refused';
  override readonly remedy: Remedy;
  readonly check: HandshakeCheck;

  constructor(check: HandshakeCheck, message: string, options?: ErrorOptions) {
    super(`the handshake is refused at \`${check}\`: ${message}`, options);
    this.check = check;
    this.remedy = check === 'silent' || check === 'rate' ? 'retry' : check === 'ear' ? 'renew' : 'give-up';
  }
}

/** What a member looks at in the domain log. */
export const LOG_CHECKS = [
  /** Not an entry, an unknown kind, or a body of another form than its kind's. */
  'form',
  /** Another domain's. */
  'domain',
  /** Not signed by the coordinator's session key. */
  'signature',
  /** Its `previous` is not the entry before. */
  'link',
  /** Two signed entries with one index: the coordinator told two stories. */
  'fork',
  /** The body does not open under the log key it names. */
  'seal',
  /** A member's chain of proof does not verify. */
  'chain',
  /** An assignment is not what the group grant allows. */
  'assignment',
  /** More members, another trust domain or a worse posture than the group grant allows. */
  'limits',
  /** It speaks of a member that is not there, or a second time of one that is. */
  'member',
  /** An epoch that does not rise, or for another roster. */
  'epoch',
] as const;

/** The name of one check of the domain log. */
export type LogCheck = (typeof LOG_CHECKS)[number];

/** An entry of a domain log is refused. `fork` is a proof against the coordinator and ends the domain. */
export class LogRefused extends FealtyError {
  override readonly code = 'domains.log-refused';
  override readonly remedy = 'give-up';
  readonly check: LogCheck;

  constructor(check: LogCheck, message: string, options?: ErrorOptions) {
    super(`the domain log is refused at \`${check}\`: ${message}`, options);
    this.check = check;
  }
}

/** The domain is over for this agent: nothing more can be said in it, and its keys are gone. */
export class DomainEnded extends FealtyError {
  override readonly code = 'domains.ended';
  override readonly remedy = 'give-up';
}

/** That agent is not a member of the domain now. */
export class NotAMember extends FealtyError {
  override readonly code = 'domains.not-a-member';
  override readonly remedy = 'give-up';
  readonly agentId: string;

  constructor(agentId: string) {
    super(`\`${agentId}\` is not a member of the domain`);
    this.agentId = agentId;
  }
}

/** A member may not do that in its present mode: its tenure, credential or posture does not carry it. */
export class ModeTooLow extends FealtyError {
  override readonly code = 'domains.mode-too-low';
  override readonly remedy = 'retry';
}

/** A peer did not answer, or answered that it will not. `reason` is its own word. */
export class AskFailed extends FealtyError {
  override readonly code = 'domains.ask-failed';
  override readonly remedy: Remedy;
  readonly reason: string;

  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
    this.remedy = reason === 'silent' ? 'retry' : 'give-up';
  }
}
