/** Paths of the token service below the authority's base URL. */
export const TOKEN_PATHS = {
  /** RFC 8414. */
  metadata: '/.well-known/oauth-authorization-server',
  jwks: '/jwks',
  token: '/token',
  groupGrant: '/group-grant',
  /** RFC 7009. */
  revoke: '/revoke',
  /** RFC 7662. */
  introspect: '/introspect',
  /** draft-parecki-oauth-global-token-revocation; the owner's. */
  revokeAll: '/revoke-all',
  /** `/status/<list>`: draft-ietf-oauth-status-list. */
  status: '/status',
  /** `?since=<sequence>&nonce=<text>`. */
  generations: '/generations',
  /** `?nonce=<text>`: the authority's time. */
  time: '/time',
} as const;

/** `grant_type`, `token_type` and `client_assertion` names on the wire. */
export const OAUTH = {
  clientCredentials: 'client_credentials',
  jwtBearer: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  tokenExchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
  accessTokenType: 'urn:ietf:params:oauth:token-type:access_token',
  attestationHeader: 'oauth-client-attestation',
  dpopHeader: 'dpop',
  nonceHeader: 'dpop-nonce',
} as const;
