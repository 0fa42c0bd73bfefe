export type {
  AssignmentExpectations,
  AssignmentRequest,
  RolesHeld,
  VerifiedAssignment,
} from './assignment.ts';
export { issueAssignment, verifyAssignment } from './assignment.ts';
export type {
  AccessTokenClaims,
  Actor,
  AssignmentClaims,
  ConveneGrant,
  GroupBounds,
  GroupGrantClaims,
  RoleGrant,
  TagKind,
} from './claims.ts';
export { ASSIGNMENT_CLAIM, CONVENE_DETAILS, GROUP_CLAIM, KIND, PROOF_CLAIM, tag } from './claims.ts';
export { readConveneGrant, readGroupBounds } from './claims-reader.ts';
export { TokenClient } from './client.ts';
export type {
  ClientCredential,
  FunctionRequest,
  GroupGrantRequest,
  HeldToken,
  TokenClientOptions,
  TokenRequest,
} from './client-types.ts';
export { expandRoles, findParent, readDetails, readRoleDetails } from './details.ts';
export type { DpopExpectations, DpopRequest, VerifiedDpop } from './dpop.ts';
export { makeDpop, verifyDpop } from './dpop.ts';
export { OAUTH, TOKEN_PATHS } from './endpoints.ts';
export type { ProofCheck, TokenCheck } from './errors.ts';
export { IssuerRefused, ProofRefused, StatementRefused, TokenRefused } from './errors.ts';
export type { ProofBindings, ProofExpectations, ProofRequest } from './proof.ts';
export { makeWpt, verifyWpt } from './proof.ts';
export type { ReplayCacheOptions, ReplayGuard } from './replay.ts';
export { replayCache } from './replay.ts';
export type { GenerationsOptions, GenerationsStatement, RaisedTag } from './status.ts';
export { Generations, verifyGenerations } from './status.ts';
export type { StatusList } from './status-list.ts';
export { readStatusList, statusAt } from './status-list.ts';
export type { AuthorityTime } from './time.ts';
export { askTime } from './time.ts';
export type { AccessTokenExpectations, VerifiedGroupGrant, VerifiedToken } from './verifier.ts';
export { hashOf, verifyAccessToken, verifyGroupGrant } from './verifier.ts';
