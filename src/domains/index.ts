/** Task domains: invitations, mutual proof, the domain log, keys and tenure for the length of one job. */
export type { TaskDomainEvents } from './convener.ts';
export { TaskDomain } from './convener.ts';
export type { HandshakeCheck, LogCheck } from './errors.ts';
export {
  AskFailed,
  DomainEnded,
  HANDSHAKE_CHECKS,
  HandshakeRefused,
  LOG_CHECKS,
  LogRefused,
  ModeTooLow,
  NotAMember,
} from './errors.ts';
export type { LobbyEvents } from './lobby.ts';
export { Lobby } from './lobby.ts';
export type { MembershipEvents } from './membership.ts';
export { Membership } from './membership.ts';
export type {
  AskOptions,
  Candidate,
  ConveneOptions,
  DomainContext,
  DomainIdentity,
  DomainTimes,
  Invitation,
  JoinDecision,
  LobbyOptions,
  LobbyTimes,
  MessageMeta,
  Mode,
  PublishOptions,
  RosterEntry,
} from './types.ts';
export { MODES } from './types.ts';
