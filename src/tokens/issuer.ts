import type { AuditEntry } from '../core/audit.ts';
import { messageOf } from '../core/errors.ts';
import { ACTION_DETAILS } from '../grants/grant.ts';
import { CONVENE_DETAILS } from './claims.ts';
import { OAUTH, TOKEN_PATHS } from './endpoints.ts';
import type { IssuerContext, IssuerOptions } from './issuer-context.ts';
import { OAuthRefusal } from './issuer-errors.ts';
import type { GroupTrace } from './issuer-group.ts';
import { groupGrantEndpoint } from './issuer-group.ts';
import { statelessNonces } from './issuer-nonce.ts';
import { jsonResponse } from './issuer-request.ts';
import type { RevokeTrace, SubjectIdentifier } from './issuer-revoke.ts';
import {
  generationsEndpoint,
  introspectionEndpoint,
  revocationEndpoint,
  revokeTags,
  signStatement,
  tagsOf,
  timeEndpoint,
} from './issuer-revoke.ts';
import { statusLists } from './issuer-status.ts';
import type { RevokeResult } from './issuer-store.ts';
import type { TokenTrace } from './issuer-token.ts';
import { tokenEndpoint } from './issuer-token.ts';

export type { IssuerOptions } from './issuer-context.ts';
export { OAuthRefusal } from './issuer-errors.ts';
export type { SubjectIdentifier } from './issuer-revoke.ts';
export { readSubjectIdentifier } from './issuer-revoke.ts';
export * from './issuer-store.ts';

/** The token service of an owner, as functions from request to response: no sockets, no files. */
export interface Issuer {
  /** Whether `path` is one of its endpoints. */
  handles(path: string): boolean;
  /** Answers one request; never throws. */
  handle(request: Request): Promise<Response>;
  /**
   * Bulk revocation, for a caller whose right is checked already (the owner): raises, marks, closes, records, tells.
   * When it resolves, nothing more is issued under the subject and no token of it is valid.
   */
  revoke(subject: SubjectIdentifier, by: string, reason: string): Promise<RevokeResult>;
  /** Lets tokens be issued again for a client, device or owner that was closed. */
  reopen(subject: SubjectIdentifier, by: string): Promise<boolean>;
  /** A signed statement of what was raised after `since`. */
  statement(since?: number): Promise<string>;
}

/** Makes the token service. */
export function createIssuer(options: IssuerOptions): Issuer {
  if (!/^https?:\/\/[^/?#]+$/.test(options.issuer))
    throw new TypeError('`issuer` must be a base URL without path');
  const context: IssuerContext = {
    ...options,
    lifeS: options.lifeS ?? 300,
    nonces: statelessNonces(options.clock, options.random),
  };
  const lists = statusLists(context);
  const told = context.onRevoked;
  const revoking: IssuerContext = {
    ...context,
    onRevoked: (statement) => {
      lists.forget();
      told?.(statement);
    },
  };

  const routes: Readonly<Record<string, (request: Request) => Promise<Response>>> = {
    [`GET ${TOKEN_PATHS.metadata}`]: async () => jsonResponse(200, metadata(context.issuer)),
    [`GET ${TOKEN_PATHS.jwks}`]: async () => jsonResponse(200, { keys: publicKeys(context) }),
    [`POST ${TOKEN_PATHS.token}`]: (request) => {
      const trace: TokenTrace = {};
      return recorded(
        context,
        () => tokenEndpoint(context, request, trace),
        () => ({
          kind: 'token',
          agent: trace.client ?? 'unauthenticated',
          subject: trace.issued?.claims.sub,
          resource: TOKEN_PATHS.token,
          action: trace.grantType,
          txn: trace.issued?.claims.txn,
          detail: trace.issued
            ? { jti: trace.issued.claims.jti, hash: trace.issued.hash, jkt: trace.issued.claims.cnf.jkt }
            : {},
        }),
      );
    },
    [`POST ${TOKEN_PATHS.groupGrant}`]: (request) => {
      const trace: GroupTrace = {};
      return recorded(
        context,
        () => groupGrantEndpoint(context, request, trace),
        () => ({
          kind: 'group-grant',
          agent: trace.client ?? 'unauthenticated',
          resource: TOKEN_PATHS.groupGrant,
          action: 'convene',
          task: trace.task,
          detail: trace.claims ? { jti: trace.claims.jti, exp: trace.claims.exp } : {},
        }),
      );
    },
    [`POST ${TOKEN_PATHS.revoke}`]: (request) => {
      const trace: RevokeTrace = {};
      return recorded(
        revoking,
        () => revocationEndpoint(revoking, request, trace),
        () => ({
          kind: 'revocation',
          agent: trace.client ?? 'unauthenticated',
          resource: TOKEN_PATHS.revoke,
          action: 'revoke',
          cause: 'asked by the client',
          detail: {
            ...(trace.token === undefined ? {} : { jti: trace.token }),
            tags: trace.result?.raised.map(({ tag }) => tag) ?? [],
            tokens: trace.result?.tokens ?? 0,
          },
        }),
      );
    },
    [`POST ${TOKEN_PATHS.introspect}`]: (request) =>
      answered(() => introspectionEndpoint(context, request), context),
    [`GET ${TOKEN_PATHS.time}`]: (request) => answered(() => timeEndpoint(context, request), context),
    [`GET ${TOKEN_PATHS.generations}`]: (request) =>
      answered(() => generationsEndpoint(context, request), context),
  };
  const known = new Set(Object.keys(routes).map((route) => route.split(' ')[1]));
  const isStatus = (path: string) => path.startsWith(`${TOKEN_PATHS.status}/`);

  return {
    handles: (path) => known.has(path) || isStatus(path),
    handle: async (request) => {
      const { pathname } = new URL(request.url);
      const route = routes[`${request.method} ${pathname}`];
      if (route !== undefined) return await route(request);
      if (request.method === 'GET' && isStatus(pathname))
        return await answered(() => lists.serve(request, pathname), context);
      const status = known.has(pathname) || isStatus(pathname) ? 405 : 404;
      return jsonResponse(status, { error: 'invalid_request', check: status === 405 ? 'method' : 'path' });
    },
    revoke: async (subject, by, reason) => {
      const tags = await tagsOf(context, subject);
      const result = await revokeTags(revoking, tags);
      await context.audit.append({
        kind: 'revocation',
        agent: by,
        resource: tags.join(' '),
        action: 'revoke',
        cause: reason,
        detail: { sequence: result.sequence, tokens: result.tokens, tags: [...tags] },
      });
      return result;
    },
    reopen: async (subject, by) => {
      const tags = await tagsOf(context, subject);
      await context.audit.append({
        kind: 'revocation',
        agent: by,
        resource: tags.join(' '),
        action: 'reopen',
      });
      let reopened = false;
      for (const name of tags) reopened = (await context.store.reopen(name)) || reopened;
      return reopened;
    },
    statement: (since = 0) => signStatement(context, since, undefined),
  };
}

/** Decides, records, answers, in this order: what cannot be recorded is not handed out. */
async function recorded(
  context: IssuerContext,
  decide: () => Promise<() => Response>,
  facts: () => AuditEntry,
): Promise<Response> {
  return await answered(async () => {
    try {
      const answer = await decide();
      await record(context, { ...facts(), decision: 'permit' });
      return answer;
    } catch (error) {
      // Being asked for a nonce is no decision; every other refusal is, also of strangers (the log counts equal ones).
      if (error instanceof OAuthRefusal && error.check !== 'audit' && error.error !== 'use_dpop_nonce')
        await record(context, { ...facts(), decision: 'deny', cause: error.check });
      throw error;
    }
  }, context);
}

async function record(context: IssuerContext, entry: AuditEntry): Promise<void> {
  try {
    await context.audit.append(entry);
  } catch (cause) {
    throw new OAuthRefusal('temporarily_unavailable', 'audit', 'the decision cannot be recorded', {
      cause,
      status: 503,
    });
  }
}

async function answered(work: () => Promise<() => Response>, context: IssuerContext): Promise<Response> {
  try {
    return (await work())();
  } catch (error) {
    if (!(error instanceof OAuthRefusal))
      return jsonResponse(500, {
        error: 'server_error',
        error_description: 'internal error',
        check: 'internal',
      });
    return jsonResponse(
      error.status,
      { error: error.error, error_description: messageOf(error), check: error.check },
      error.error === 'use_dpop_nonce' ? { 'dpop-nonce': context.nonces.make() } : {},
    );
  }
}

/** RFC 8414. */
function metadata(issuer: string): object {
  const at = (path: string) => `${issuer}${path}`;
  return {
    issuer,
    token_endpoint: at(TOKEN_PATHS.token),
    jwks_uri: at(TOKEN_PATHS.jwks),
    revocation_endpoint: at(TOKEN_PATHS.revoke),
    introspection_endpoint: at(TOKEN_PATHS.introspect),
    response_types_supported: [],
    grant_types_supported: [OAUTH.clientCredentials, OAUTH.jwtBearer, OAUTH.tokenExchange],
    token_endpoint_auth_methods_supported: ['attest_jwt_client_auth_dpop'],
    revocation_endpoint_auth_methods_supported: ['attest_jwt_client_auth_dpop'],
    introspection_endpoint_auth_methods_supported: ['attest_jwt_client_auth_dpop'],
    dpop_signing_alg_values_supported: ['ES256'],
    authorization_details_types_supported: [ACTION_DETAILS, CONVENE_DETAILS],
    global_token_revocation_endpoint: at(TOKEN_PATHS.revokeAll),
    'fealty/group_grant_endpoint': at(TOKEN_PATHS.groupGrant),
    'fealty/generations_endpoint': at(TOKEN_PATHS.generations),
  };
}

function publicKeys(context: IssuerContext): readonly object[] {
  return [context.keys.issuer, context.keys.status].map(({ kid, alg, publicJwk }) => ({
    ...publicJwk,
    kid,
    alg,
    use: 'sig',
  }));
}
