import { signJws } from '../core/jws.ts';
import { CLAIM, randomId } from '../core/names.ts';
import type { Grant } from '../grants/grant.ts';
import type { AccessTokenClaims, Actor } from './claims.ts';
import { KIND, tag } from './claims.ts';
import { TOKEN_PATHS } from './endpoints.ts';
import type { IssuerContext } from './issuer-context.ts';
import { OAuthRefusal } from './issuer-errors.ts';
import type { IssueResult, NewToken } from './issuer-store.ts';
import { hashOf } from './verifier.ts';

/** An access token about to be made. */
export interface IssueRequest {
  readonly client: string;
  readonly subject: string;
  readonly details: readonly Grant[];
  readonly families: readonly string[];
  readonly audience: readonly string[];
  /** Thumbprint of the key it is bound to. */
  readonly jkt: string;
  /** NumericDate it must not outlive. */
  readonly notAfter: number;
  readonly txn?: string | undefined;
  readonly act?: Actor | undefined;
  readonly mayAct?: string | undefined;
  /** Tags of the token it stems from. */
  readonly ancestorTags?: readonly string[] | undefined;
}

/** An access token that was made. */
export interface IssuedToken {
  readonly token: string;
  readonly claims: AccessTokenClaims;
  readonly hash: string;
}

/** Stores, then signs: what is revoked in between is dead when it arrives, because its generations are read at storing. */
export async function issueAccessToken(context: IssuerContext, request: IssueRequest): Promise<IssuedToken> {
  const { issuer, clock, random, store, keys } = context;
  const now = clock.now();
  const iat = Math.floor(now / 1000);
  const exp = Math.min(iat + context.lifeS, request.notAfter);
  if (exp <= iat)
    throw new OAuthRefusal('use_fresh_attestation', 'attestation-expired', 'the credential ends now', {
      status: 401,
    });
  const jti = randomId(random, 16);
  const tasks = new Set(request.details.flatMap(({ task }) => (task === undefined ? [] : [task])));
  const [task, ...otherTasks] = tasks;
  const record: NewToken = {
    jti,
    kind: 'access',
    client: request.client,
    subject: request.subject,
    task: otherTasks.length === 0 ? task : undefined,
    jkt: request.jkt,
    exp,
    families: [...new Set(request.families)],
    tags: [
      ...new Set([
        tag('owner', context.trustDomain),
        tag('client', request.client),
        tag('client', request.subject),
        ...[...tasks].map((name) => tag('task', name)),
        ...request.families.map((family) => tag('family', family)),
        ...deviceTags(request.details),
        ...(request.ancestorTags ?? []),
      ]),
    ],
  };
  const place = issuedOr(await store.issue(record, now));
  const claims: AccessTokenClaims = {
    iss: issuer,
    sub: request.subject,
    client_id: request.client,
    aud: request.audience,
    exp,
    iat,
    jti,
    cnf: { jkt: request.jkt },
    authorization_details: request.details,
    txn: request.txn ?? randomId(random, 16),
    ...(request.act === undefined ? {} : { act: request.act }),
    ...(request.mayAct === undefined ? {} : { may_act: { sub: request.mayAct } }),
    status: { status_list: { idx: place.index, uri: `${issuer}${TOKEN_PATHS.status}/${place.list}` } },
    [CLAIM.agent]: true,
    ...(record.task === undefined ? {} : { [CLAIM.task]: record.task }),
    [CLAIM.generations]: place.generations,
    [CLAIM.family]: request.families,
  };
  const token = await signJws(keys.issuer, KIND.accessToken.typ, claims);
  return { token, claims, hash: hashOf(token) };
}

/** The place the store gave, or the refusal that names what is closed. */
export function issuedOr(result: IssueResult): Extract<IssueResult, { issued: true }> {
  if (result.issued) return result;
  throw new OAuthRefusal(
    result.closed.startsWith('client:') || result.closed.startsWith('owner:')
      ? 'invalid_client'
      : 'invalid_grant',
    'revoked',
    `\`${result.closed}\` was revoked`,
    { status: result.closed.startsWith('client:') ? 401 : 400 },
  );
}

/** `device:<agent>#<device>` for each agent that a detail names as its place. */
export function deviceTags(details: readonly Grant[]): readonly string[] {
  return details.flatMap(({ locations, device }) =>
    locations
      .filter((place) => !place.startsWith('role:'))
      .map((place) => tag('device', `${place}#${device}`)),
  );
}
