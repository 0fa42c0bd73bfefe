import type { Grant } from '../grants/grant.ts';
import type { ConveneGrant } from './claims.ts';
import type { RaisedTag } from './status.ts';

/** What the owner lets one client have: the root of a family of tokens (`fealty grant add`). */
export interface OwnerGrant {
  /** Identifier of the grant; revocation tag `family:<id>`. */
  readonly id: string;
  /** The agent it is for. */
  readonly client: string;
  readonly details: Grant | ConveneGrant;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly revoked: boolean;
}

/** A token or group grant about to be issued. */
export interface NewToken {
  readonly jti: string;
  readonly kind: 'access' | 'group';
  readonly client: string;
  readonly subject: string;
  readonly task: string | undefined;
  /** Thumbprint of the key it is bound to; for a group grant, of the key that asked. */
  readonly jkt: string;
  /** NumericDate. */
  readonly exp: number;
  /** Owner's grants it stems from: each must still stand when it is stored. */
  readonly families: readonly string[];
  /** Every revocation tag it and its ancestors stand under, but its own `token:` or `group:`. */
  readonly tags: readonly string[];
}

/** What the store decided in the one transaction that issues. */
export type IssueResult =
  | {
      readonly issued: true;
      /** Generation of each tag, read in the same transaction. */
      readonly generations: Readonly<Record<string, number>>;
      /** Number of the status list, and the index in it. */
      readonly list: number;
      readonly index: number;
      /** For a group grant: clients and devices that were revoked once and are open again, at most 256. */
      readonly reopened?: Readonly<Record<string, number>> | undefined;
    }
  /** The tag that is closed, or the grant that no longer stands. */
  | { readonly issued: false; readonly closed: string };

/** A token that was issued. */
export interface TokenRecord extends NewToken {
  readonly list: number;
  readonly index: number;
  readonly status: TokenStatus;
}

/** Values of the status list: valid, invalid, suspended (draft-ietf-oauth-status-list §7.1). */
export type TokenStatus = 0 | 1 | 2;

/** What a revocation did. */
export interface RevokeResult {
  /** Sequence of the book after it. */
  readonly sequence: number;
  readonly raised: readonly RaisedTag[];
  /** Tokens that were valid before and are not now. */
  readonly tokens: number;
}

/** Accepts each proof once. */
export interface ReplayStore {
  /**
   * Remembers `key` until `until` (milliseconds since 1970), by a unique constraint.
   *
   * @returns `replayed` when it is known already; `full` when there is no room: nothing is ever evicted early.
   */
  consume(key: string, until: number, now: number): Promise<'fresh' | 'replayed' | 'full'>;
}

/** Where the token service keeps what it knows; each method is one transaction. The authority implements it with SQL. */
export interface IssuerStore extends ReplayStore {
  /** @returns false when the identifier is taken. */
  addGrant(grant: OwnerGrant): Promise<boolean>;
  /** Grants of `client` (or of all), newest last. */
  grants(client?: string): Promise<readonly OwnerGrant[]>;
  /** Checks that no tag is closed and every family stands, stores the token, gives it a place in a status list. */
  issue(token: NewToken, now: number): Promise<IssueResult>;
  token(jti: string): Promise<TokenRecord | undefined>;
  /**
   * Raises the generation of each tag, marks every token under one of them invalid, and with `close` lets nothing more be
   * issued under them. A `family:` tag also ends the owner's grant. Never undone but by {@link IssuerStore.reopen}.
   */
  revoke(request: {
    readonly tags: readonly string[];
    readonly close: boolean;
    /** Milliseconds since 1970. */
    readonly now: number;
    /** NumericDate after which no token of today can still be valid. */
    readonly until: number;
  }): Promise<RevokeResult>;
  /** Lets tokens be issued again under a closed `client:`, `device:` or `owner:` tag; false when it was not closed. */
  reopen(tag: string): Promise<boolean>;
  /**
   * Tags raised after `since` that still matter at `now` (milliseconds), oldest raise first, at most `limit`; with
   * `more`, `sequence` is the last one listed, else the book's.
   */
  raisedSince(
    since: number,
    now: number,
    limit: number,
  ): Promise<{ readonly sequence: number; readonly raised: readonly RaisedTag[]; readonly more: boolean }>;
  /** How many tokens list `list` holds, and those that are not valid; `undefined` when there is no such list. */
  statusList(list: number): Promise<
    | {
        readonly size: number;
        readonly marked: readonly { readonly index: number; readonly status: TokenStatus }[];
      }
    | undefined
  >;
  /**
   * Makes `task` `coordinator`'s, if nobody else made it before.
   *
   * @returns false when it belongs to somebody else.
   */
  claimTask(task: string, coordinator: string): Promise<boolean>;
  /** Who made the task, if a coordinator did. */
  coordinatorOf(task: string): Promise<string | undefined>;
  /** Drops tokens, proofs and tags that no longer matter at `now` (milliseconds). */
  sweep(now: number): Promise<void>;
}

/** Tokens of one status list. */
export const STATUS_LIST_SIZE = 1 << 16;
