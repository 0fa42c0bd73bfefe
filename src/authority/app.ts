import { Hono } from 'hono';
import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/platform.ts';
import { problem } from '../core/problem.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import { bundleToJson } from '../identity/bundle-codec.ts';
import { PATHS } from '../provisioning/messages.ts';
import type { Registrar } from '../provisioning/registrar.ts';
import { REGISTRY_PATHS } from '../registry/messages.ts';
import type { Registry } from '../registry/registry.ts';
import type { Issuer } from '../tokens/issuer.ts';
import type { OwnerDesk } from './owner.ts';
import { handleOwner } from './owner.ts';
import { OWNER_PATHS } from './owner-messages.ts';

/** Where the authority shows its own bundle (SPIFFE Trust Domain and Bundle). */
export const BUNDLE_PATH = '/.well-known/spiffe-bundle';

/** The parts an authority is mounted from. */
export interface AppParts {
  readonly issuer: Issuer;
  readonly registrar: Registrar;
  readonly registry: Registry;
  readonly desk: OwnerDesk;
  readonly bundle: () => TrustBundle;
  readonly log: Log;
}

/** One function from request to response for all services; it never throws. */
export function makeApp(parts: AppParts): (request: Request) => Promise<Response> {
  const { issuer, registrar, registry, desk, log } = parts;
  const app = new Hono();
  for (const path of Object.values(PATHS)) app.all(path, (c) => registrar.handle(c.req.raw));
  for (const path of Object.values(REGISTRY_PATHS)) app.all(path, (c) => registry.handle(c.req.raw));
  for (const path of Object.values(OWNER_PATHS)) app.all(path, (c) => handleOwner(desk, c.req.raw));
  app.get(BUNDLE_PATH, (c) => c.json(bundleToJson(parts.bundle()) as object));
  app.all('*', (c) =>
    issuer.handles(c.req.path) ? issuer.handle(c.req.raw) : problem(404, 'there is nothing at this address'),
  );
  app.onError((error) => {
    log.warn('a request failed unexpectedly', { error: messageOf(error) });
    return problem(500, 'core.failed');
  });
  return async (request) => {
    const answer = await app.fetch(request);
    answer.headers.set('x-content-type-options', 'nosniff');
    return answer;
  };
}
