import { fromBase64url } from '../core/bytes.ts';
import { CAPABILITIES_CLAIM, capabilitiesSchema } from '../core/capability.ts';
import { BadSignature, Malformed } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { parseJson } from '../core/json.ts';
import { peekPayload, verifyJwsSync } from '../core/jws.ts';
import { slugOf } from '../core/names.ts';
import type { Platform } from '../core/platform.ts';
import { problemOf, readBody } from '../core/problem.ts';
import { check, v } from '../core/schema.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import { keysFor } from '../identity/bundle.ts';
import { CertificateRefused, CredentialRefused } from '../identity/errors.ts';
import { validateChain } from '../identity/validate.ts';
import type { Wit } from '../identity/wit.ts';
import { verifyWit } from '../identity/wit.ts';
import { RegistryRefused } from './errors.ts';
import { registryUrl } from './exchange.ts';
import type { FindingMessage } from './messages.ts';
import {
  REGISTRY_PATHS,
  REQUEST,
  REQUEST_LIFE_MS,
  registerSchema,
  seekSchema,
  signedRequestSchema,
  witHash,
  withdrawSchema,
} from './messages.ts';
import type { RegistryRecord, RegistryStore } from './registry-store.ts';

/** Who asks. */
export interface Seeker {
  readonly agentId: string;
  readonly trustDomain: string;
}

/** What a seeker may learn of a record: nothing, all, or only what it asked for by name. */
export type Visibility = 'none' | 'asked' | 'all';

/** What a registry is made from. */
export interface RegistryOptions {
  readonly platform: Pick<Platform, 'clock' | 'log'>;
  readonly store: RegistryStore;
  /** Base URL of the authority: requests are addressed to it. */
  readonly authority: string;
  /** Agents of this trust domain may register. */
  readonly trustDomain: string;
  /** Anchors of every trust domain whose agents may ask; its own among them. */
  readonly bundles: () => readonly TrustBundle[];
  /** Whether the owner revoked an agent. */
  readonly isRevoked: (agentId: string) => Promise<boolean>;
  /**
   * What `seeker` may learn of `record`.
   * Default: agents of the same trust domain everything, all others nothing.
   */
  readonly visible?: ((seeker: Seeker, record: RegistryRecord) => Visibility) | undefined;
}

/** The agent registration service's end: registration and discovery (seed S3 sections 3.4 and 3.6). */
export interface Registry {
  /** Registers from a JSON body; returns when the record ends. @throws {RegistryRefused} */
  register(body: unknown): Promise<{ readonly expiresAt: number }>;
  /** @throws {RegistryRefused} */
  withdraw(body: unknown): Promise<void>;
  /** Only to agents with a valid credential, only what they may see. @throws {RegistryRefused} */
  seek(body: unknown): Promise<{ readonly agents: readonly FindingMessage[] }>;
  /** Takes out a revoked agent at once. */
  drop(agentId: string): Promise<void>;
  /** The three above over HTTP (`REGISTRY_PATHS`). */
  handle(request: Request): Promise<Response>;
}

const bodyMax = 48 * 1024;

/** A registry; server side. */
export function createRegistry(options: RegistryOptions): Registry {
  const { store } = options;
  const now = () => options.platform.clock.now();
  const visible =
    options.visible ??
    ((seeker: Seeker, record: RegistryRecord) =>
      seeker.trustDomain === record.trustDomain ? 'all' : 'none');

  const register: Registry['register'] = async (body) => {
    const { wit, payload } = await authenticate(options, REGISTRY_PATHS.register, registerSchema, body);
    if (wit.trustDomain !== options.trustDomain)
      refuse('trust-domain', 'only agents of this trust domain register here');
    const signed = v.safeParse(capabilitiesSchema, peekPayload(wit.compact)[CAPABILITIES_CLAIM] ?? []);
    if (!signed.success || JSON.stringify(signed.output) !== JSON.stringify(payload.capabilities))
      refuse('capabilities', 'they are not exactly those the ACA signed');
    judgeLobby(options, wit.sub, payload.lobbyCertificate);
    const record: RegistryRecord = {
      agentId: wit.sub,
      slug: slugOf(wit.sub),
      trustDomain: wit.trustDomain,
      capabilities: payload.capabilities,
      wit: wit.compact,
      lobbyCertificate: payload.lobbyCertificate,
      title: payload.title,
      expiresAt: wit.expiresAt,
    };
    await store.put(record);
    // Revocation may have come while the record was written: whoever came last takes it out.
    if (await options.isRevoked(wit.sub)) {
      await store.remove(wit.sub);
      refuse('revoked', 'its owner revoked this agent');
    }
    return { expiresAt: record.expiresAt };
  };

  const withdraw: Registry['withdraw'] = async (body) => {
    const { wit } = await authenticate(options, REGISTRY_PATHS.withdraw, withdrawSchema, body);
    await store.remove(wit.sub);
  };

  const seek: Registry['seek'] = async (body) => {
    const { wit, payload } = await authenticate(options, REGISTRY_PATHS.seek, seekSchema, body);
    const at = now();
    await store.sweep(at);
    const seeker: Seeker = { agentId: wit.sub, trustDomain: wit.trustDomain };
    const agents: FindingMessage[] = [];
    for (const record of await store.find(payload.capabilities, at)) {
      if (agents.length >= (payload.limit ?? 20)) break;
      if (record.expiresAt <= at) continue;
      const seen = visible(seeker, record);
      if (seen === 'none') continue;
      if (await options.isRevoked(record.agentId)) {
        await store.remove(record.agentId);
        continue;
      }
      agents.push(shown(record, seen, payload.capabilities));
    }
    return { agents };
  };

  const registry: Registry = {
    register,
    withdraw,
    seek,
    drop: async (agentId) => {
      await store.remove(agentId);
    },
    handle: async (request) => {
      if (request.method !== 'POST') return new Response(null, { status: 405, headers: { allow: 'POST' } });
      const { pathname } = new URL(request.url);
      try {
        const body = parseJson(await readBody(request, bodyMax), { maxBytes: bodyMax });
        if (pathname.endsWith(REGISTRY_PATHS.register)) return Response.json(await register(body));
        if (pathname.endsWith(REGISTRY_PATHS.seek)) return Response.json(await seek(body));
        if (!pathname.endsWith(REGISTRY_PATHS.withdraw)) return new Response(null, { status: 404 });
        await withdraw(body);
        return new Response(null, { status: 204 });
      } catch (error) {
        return problemOf(error, options.platform.log);
      }
    },
  };
  return registry;
}

function shown(
  record: RegistryRecord,
  seen: Exclude<Visibility, 'none'>,
  asked: readonly string[],
): FindingMessage {
  const { agentId, slug, wit, lobbyCertificate, expiresAt, title, capabilities } = record;
  return {
    agentId,
    slug,
    lobbyCertificate,
    capabilities: seen === 'all' ? [...capabilities] : capabilities.filter((name) => asked.includes(name)),
    // A WIT lists every capability: whoever may not see them all gets it from the agent itself, when it joins.
    ...(seen === 'all' ? { wit } : {}),
    ...(seen === 'all' && title !== undefined ? { title } : {}),
    expiresAt,
  };
}

async function authenticate<
  const S extends v.GenericSchema<
    unknown,
    { aud: string; iat: number; exp: number; jti: string; wth: string }
  >,
>(
  options: RegistryOptions,
  path: string,
  schema: S,
  body: unknown,
): Promise<{ readonly wit: Wit; readonly payload: v.InferOutput<S> }> {
  const at = options.platform.clock.now();
  const signed = form(() => check(signedRequestSchema, body, 'registry request'));
  let wit: Wit;
  try {
    wit = verifyWit(signed.wit, options.bundles(), at);
  } catch (cause) {
    if (cause instanceof CredentialRefused) refuse('wit', cause.message, cause);
    throw cause;
  }
  let claims: JsonObject;
  try {
    claims = verifyJwsSync(signed.request, REQUEST, wit.key).payload;
  } catch (cause) {
    if (cause instanceof BadSignature) refuse('proof', 'the key of the WIT did not sign it', cause);
    if (cause instanceof Malformed) refuse('form', cause.message, cause);
    throw cause;
  }
  const payload: v.InferOutput<S> = form(() => check(schema, claims, 'registry request'));
  if (payload.wth !== witHash(signed.wit)) refuse('proof', 'it was made for another WIT');
  if (payload.aud !== registryUrl(options.authority, path)) refuse('audience', 'it is for another registry');
  const [from, until] = [payload.iat * 1000, payload.exp * 1000];
  if (until <= at || from > at + REQUEST_LIFE_MS || until - from > REQUEST_LIFE_MS)
    refuse('expired', 'it is too old, or from the future');
  if (await options.isRevoked(wit.sub)) refuse('revoked', 'its owner revoked this agent');
  if (!(await options.store.useOnce(wit.sub, payload.jti, until))) refuse('replay', 'it was seen before');
  return { wit, payload };
}

function judgeLobby(options: RegistryOptions, agentId: string, certificate: string): void {
  const anchors = keysFor(options.bundles(), options.trustDomain, 'x509-svid').flatMap((key) =>
    key.certificate === undefined ? [] : [key.certificate],
  );
  try {
    const chain = validateChain({
      leaf: fromBase64url(certificate),
      anchors,
      at: options.platform.clock.now(),
      purpose: 'lobby',
    });
    if (chain.agentId !== agentId) refuse('lobby-certificate', 'it is of another agent');
  } catch (cause) {
    if (cause instanceof CertificateRefused || cause instanceof Malformed)
      refuse('lobby-certificate', cause.message, cause);
    throw cause;
  }
}

function form<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof Malformed) refuse('form', cause.message, cause);
    throw cause;
  }
}

function refuse(name: RegistryRefused['check'], message: string, cause?: unknown): never {
  throw new RegistryRefused(name, message, cause === undefined ? undefined : { cause });
}
