import type { JsonObject } from '../core/json.ts';
import type { JwsKind } from '../core/jws.ts';
import { CLAIM, PREFIX } from '../core/names.ts';
import type { PublicJwk } from '../core/signer.ts';
import type { Grant } from '../grants/grant.ts';

/** The strict reader's expectations, one for each kind of token of ours (`typ`, largest size). */
export const KIND = {
  /** RFC 9068. */
  accessToken: { typ: 'at+jwt', what: 'access token', maxBytes: 65_536 },
  /** Ours: one grant for a whole task group (GP-01). */
  groupGrant: { typ: 'fealty-group-grant+jwt', what: 'group grant', maxBytes: 65_536 },
  /** Ours: a member's authority under a group grant, signed by the coordinator (GP-03). */
  assignment: { typ: 'task-assignment+jwt', what: 'task assignment', maxBytes: 65_536 },
  /** RFC 9449. */
  dpop: { typ: 'dpop+jwt', what: 'DPoP proof', maxBytes: 8_192 },
  /** draft-ietf-wimse-wpt. */
  wpt: { typ: 'wpt+jwt', what: 'workload proof token', maxBytes: 8_192 },
  /** draft-ietf-oauth-attestation-based-client-auth. */
  clientAttestation: { typ: 'oauth-client-attestation+jwt', what: 'client attestation', maxBytes: 16_384 },
  /** Ours: what an agent, as resource owner, lets one of its functions do (RFC 7523 §2.1). */
  selfGrant: { typ: 'fealty-self-grant+jwt', what: 'self grant', maxBytes: 65_536 },
  /** draft-ietf-oauth-status-list. */
  statusList: { typ: 'statuslist+jwt', what: 'status list', maxBytes: 1 << 20 },
  /** Ours: the authority's time for a nonce. */
  time: { typ: 'fealty-time+jwt', what: 'time', maxBytes: 4_096 },
  /** Ours: generations by revocation tag. */
  generations: { typ: 'fealty-generations+jwt', what: 'generations statement', maxBytes: 1 << 20 },
} as const satisfies Record<string, JwsKind>;

/** Private members of proofs that are ours. */
export const PROOF_CLAIM = {
  topic: `${PREFIX}topic`,
  /** base64url SHA-256 of the payload. */
  payload: `${PREFIX}payload`,
  responseTopic: `${PREFIX}response-topic`,
  correlation: `${PREFIX}correlation`,
  /** base64url hash of a handshake transcript. */
  transcript: `${PREFIX}transcript`,
  nonce: `${PREFIX}nonce`,
} as const;

/** Private members of the group grant and the assignment, one object each. */
export const GROUP_CLAIM = `${PREFIX}group`;
/** See {@link AssignmentClaims}. */
export const ASSIGNMENT_CLAIM = `${PREFIX}assignment`;
/**
 * Generations of clients and devices that were revoked once and are open again, at the issue of a group grant: members are
 * not known then, so their tags cannot be among the grant's own.
 */
export const REOPENED_CLAIM = `${PREFIX}gen-reopened`;

/** Who acts: outermost is the current actor, nested ones are earlier and informational (RFC 8693 §4.1). */
export interface Actor {
  readonly sub: string;
  readonly act?: Actor | undefined;
}

/** Where the status of a token stands (draft-ietf-oauth-status-list §6). */
export interface StatusReference {
  readonly status_list: { readonly idx: number; readonly uri: string };
}

/** Generation numbers by revocation tag, for example `{ "task:rescue-7": 3 }`. */
export type GenerationsByTag = Readonly<Record<string, number>>;

/** The claims of an access token (RFC 9068, RFC 9396, RFC 9449) and our private ones. */
export interface AccessTokenClaims {
  /** The token service: base URL of the authority. */
  readonly iss: string;
  /** On whose authority: the agent itself (OBO-self). */
  readonly sub: string;
  /** The agent that asked; a SPIFFE-compatible URI. */
  readonly client_id: string;
  /** Agents that enforce it. */
  readonly aud: readonly string[];
  /** NumericDate. */
  readonly exp: number;
  readonly iat: number;
  readonly jti: string;
  readonly cnf: { readonly jkt: string };
  readonly authorization_details: readonly Grant[];
  /** Transaction identifier carried through every hop. */
  readonly txn?: string | undefined;
  readonly act?: Actor | undefined;
  /** Who may become the actor by token exchange (RFC 8693 §4.4). */
  readonly may_act?: { readonly sub: string } | undefined;
  readonly status?: StatusReference | undefined;
  readonly [CLAIM.agent]: true;
  readonly [CLAIM.task]?: string | undefined;
  readonly [CLAIM.generations]: GenerationsByTag;
  /** Root grant of each of `authorization_details`, in the same order. */
  readonly [CLAIM.family]: readonly string[];
}

/** What one role of a task group may do. */
export interface RoleGrant {
  /** Capabilities an agent must have for this role, as the registry knows them. */
  readonly capabilities: readonly string[];
  /**
   * The most a member in this role may be assigned. A location `role:<name>` stands for whoever holds that role,
   * because members are not known when the grant is made.
   */
  readonly authorization_details: readonly Grant[];
  /** How many may hold it at a time. */
  readonly max: number;
}

/** What bounds a coordinator (design.md section 5). */
export interface GroupBounds {
  /** Trust domains members may come from. */
  readonly trustDomains: readonly string[];
  readonly roles: Readonly<Record<string, RoleGrant>>;
  readonly maxMembers: number;
  /** Least attestation result of a member. */
  readonly posture: 'affirming' | 'warning';
  /** Whether the coordinator may assign members after the start. */
  readonly assignLate: boolean;
  /** Members demote themselves when the group's status is older than this many seconds. */
  readonly statusBoundS: number;
  /** Agents that may take over, in order. */
  readonly successors?: readonly string[] | undefined;
}

/** The claims of a group grant. */
export interface GroupGrantClaims {
  readonly iss: string;
  /** The coordinator. */
  readonly sub: string;
  readonly jti: string;
  readonly iat: number;
  /** At most four hours by default. */
  readonly exp: number;
  readonly status?: StatusReference | undefined;
  readonly [CLAIM.agent]: true;
  readonly [CLAIM.task]: string;
  readonly [CLAIM.generations]: GenerationsByTag;
  readonly [CLAIM.family]: readonly string[];
  readonly [REOPENED_CLAIM]?: GenerationsByTag | undefined;
  readonly [GROUP_CLAIM]: GroupBounds;
}

/** The claims of a member's assignment, signed by the coordinator's LDevID or credential key. */
export interface AssignmentClaims {
  /** The coordinator. */
  readonly iss: string;
  /** The member. */
  readonly sub: string;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
  /** Thumbprint (RFC 7638) of the member's LDevID key. */
  readonly cnf: { readonly jkt: string };
  readonly authorization_details: readonly Grant[];
  readonly [CLAIM.task]: string;
  readonly [ASSIGNMENT_CLAIM]: {
    readonly role: string;
    /** `jti` of the group grant. */
    readonly group: string;
    /** base64url SHA-256 of the compact group grant. */
    readonly hash: string;
  };
}

/** The claims of a client attestation that the token service uses. */
export interface ClientAttestationClaims {
  readonly sub: string;
  readonly exp: number;
  readonly cnf: { readonly jwk: PublicJwk };
}

/** The right to convene, as an owner's `authorization_details` object; the token service alone reads it. */
export const CONVENE_DETAILS = `${PREFIX}convene`;

/** What an owner lets a console convene. Every group grant stays inside. */
export interface ConveneGrant {
  readonly type: typeof CONVENE_DETAILS;
  readonly trustDomains: readonly string[];
  /** Every detail of every role must narrow one of these. */
  readonly authorization_details: readonly Grant[];
  readonly maxMembers: number;
  /** Longest life of a group grant in seconds. Default: 14,400. */
  readonly maxLifeS?: number | undefined;
  /** NumericDate. */
  readonly until?: number | undefined;
}

/** Words for a kind of revocation tag (design.md section 6). */
export type TagKind = 'owner' | 'client' | 'device' | 'task' | 'group' | 'family' | 'token';

/** The revocation tag `<kind>:<value>`; a device's value is `<agent>#<device>`. */
export function tag(kind: TagKind, value: string): string {
  return `${kind}:${value}`;
}

/** Whatever a caller may add to an audit record about a token: identifiers, never the token (OB-12). */
export type TokenFacts = JsonObject;
