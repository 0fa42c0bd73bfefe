import { TOKEN_PATHS } from './endpoints.ts';
import type { IssuerContext } from './issuer-context.ts';
import { OAuthRefusal } from './issuer-errors.ts';
import { packStatuses, signStatusList } from './status-list.ts';

/** How long a signed list is served again before it is made anew, in milliseconds. */
const FRESH_MS = 5_000;
const LISTS_MAX = 64;

/** Serves status lists (draft-ietf-oauth-status-list §8): public, because they hold bits and no names. */
export interface StatusLists {
  /** @throws {OAuthRefusal} 404 */
  serve(request: Request, path: string): Promise<() => Response>;
  /** After a revocation the next list is a new one. */
  forget(): void;
}

/** Makes the status lists of a token service. */
export function statusLists(context: IssuerContext): StatusLists {
  const made = new Map<number, { readonly at: number; readonly token: string }>();
  const list = async (number: number): Promise<string | undefined> => {
    const known = made.get(number);
    const now = context.clock.elapsed();
    if (known !== undefined && now - known.at < FRESH_MS) return known.token;
    const held = await context.store.statusList(number);
    if (held === undefined) return undefined;
    const statuses = new Uint8Array(held.size);
    for (const { index, status } of held.marked) statuses[index] = status;
    const iat = Math.floor(context.clock.now() / 1000);
    const token = await signStatusList(context.keys.status, {
      uri: `${context.issuer}${TOKEN_PATHS.status}/${number}`,
      iat,
      exp: iat + 3_600,
      ttl: 60,
      bits: 2,
      bytes: packStatuses([...statuses], 2),
    });
    if (made.size >= LISTS_MAX) made.clear();
    made.set(number, { at: now, token });
    return token;
  };
  return {
    forget: () => made.clear(),
    serve: async (request, path) => {
      const number = /^\/(\d{1,9})$/.exec(path.slice(TOKEN_PATHS.status.length))?.[1];
      if (number === undefined)
        throw new OAuthRefusal('invalid_request', 'status-list', 'there is no such list', { status: 404 });
      if (new URL(request.url).searchParams.has('time'))
        throw new OAuthRefusal('invalid_request', 'status-time', 'old lists are not kept', { status: 501 });
      const token = await list(Number(number));
      if (token === undefined)
        throw new OAuthRefusal('invalid_request', 'status-list', 'there is no such list', { status: 404 });
      return () =>
        new Response(token, {
          status: 200,
          headers: { 'content-type': 'application/statuslist+jwt', 'cache-control': 'max-age=5' },
        });
    },
  };
}
