import { base64url, utf8 } from '../core/bytes.ts';
import { capabilitiesSchema, capabilitySchema } from '../core/capability.ts';
import { sha256 } from '../core/hash.ts';
import type { JwsKind } from '../core/jws.ts';
import { signJws } from '../core/jws.ts';
import type { Platform } from '../core/platform.ts';
import { v } from '../core/schema.ts';
import type { Signer } from '../core/signer.ts';

/** Paths at the authority, all POST with JSON bodies. */
export const REGISTRY_PATHS = {
  register: '/registry/v1/register',
  withdraw: '/registry/v1/withdraw',
  seek: '/registry/v1/seek',
} as const;

/** The signed request inside a {@link SignedRequest}. */
export const REQUEST: JwsKind = { typ: 'fealty-registry+jwt', what: 'registry request', maxBytes: 16_384 };

/** Longest life of a request, in milliseconds. */
export const REQUEST_LIFE_MS = 60_000;

/** What travels: the agent's WIT and a JWS by the WIT's key, over this very WIT (`wth`). */
export const signedRequestSchema = v.strictObject({
  wit: v.pipe(v.string(), v.maxLength(8192)),
  request: v.pipe(v.string(), v.maxLength(16_384)),
});
/** {@link signedRequestSchema} */
export type SignedRequest = v.InferOutput<typeof signedRequestSchema>;

const seconds = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(253_402_300_799));
const common = {
  /** The registry: base URL of the authority plus the path. */
  aud: v.pipe(v.string(), v.maxLength(2048)),
  iat: seconds,
  exp: seconds,
  /** 16 random bytes; a registry accepts each once. */
  jti: v.pipe(v.string(), v.minLength(22), v.maxLength(64)),
  /** SHA-256 of the WIT. */
  wth: v.pipe(v.string(), v.length(43)),
};
const certificate = v.pipe(v.string(), v.maxLength(11_000), v.regex(/^[A-Za-z0-9_-]+$/));

/** Payload: "this is what I offer". */
export const registerSchema = v.strictObject({
  ...common,
  op: v.literal('register'),
  /** Exactly what the ACA signed, sorted. */
  capabilities: capabilitiesSchema,
  /** Certificate of the lobby key, DER. */
  lobbyCertificate: certificate,
  /** For people: at most 128 characters. */
  title: v.optional(v.pipe(v.string(), v.maxLength(128))),
});

/** Payload: "forget me". */
export const withdrawSchema = v.strictObject({ ...common, op: v.literal('withdraw') });

/** Payload: "who can do this?" All of `capabilities` must be offered by one agent. */
export const seekSchema = v.strictObject({
  ...common,
  op: v.literal('seek'),
  capabilities: v.pipe(v.array(capabilitySchema), v.minLength(1), v.maxLength(16)),
  /** At most that many answers. */
  limit: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(100))),
});

/** One agent a seeker may know of. */
export const findingSchema = v.strictObject({
  agentId: v.pipe(v.string(), v.maxLength(2048)),
  slug: v.pipe(v.string(), v.length(13)),
  /** For seekers that may see everything. */
  wit: v.optional(v.pipe(v.string(), v.maxLength(8192))),
  lobbyCertificate: certificate,
  /** Those the seeker may see; of an agent in another trust domain only those it asked for. */
  capabilities: v.pipe(v.array(capabilitySchema), v.maxLength(64)),
  title: v.optional(v.pipe(v.string(), v.maxLength(128))),
  /** When its credentials end, milliseconds since 1970. */
  expiresAt: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
/** One agent a seeker may know of, as it travels. */
export type FindingMessage = v.InferOutput<typeof findingSchema>;

/** Answer to a search. */
export const seekAnswerSchema = v.strictObject({
  agents: v.pipe(v.array(findingSchema), v.maxLength(100)),
});

/** Answer to a registration. */
export const registerAnswerSchema = v.strictObject({
  /** When the record is dropped unless renewed, milliseconds since 1970. */
  expiresAt: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});

/** `wth`: SHA-256 of the WIT, base64url. */
export function witHash(wit: string): string {
  return base64url(sha256(utf8(wit)));
}

/** Signs a request of an agent to the registry at `audience`. */
export async function signRequest(
  platform: Pick<Platform, 'clock' | 'random'>,
  agent: { readonly wit: string; readonly signer: Signer },
  audience: string,
  body: Readonly<Record<string, unknown>>,
): Promise<SignedRequest> {
  const now = Math.floor(platform.clock.now() / 1000);
  const request = await signJws(agent.signer, REQUEST.typ, {
    ...body,
    aud: audience,
    iat: now,
    exp: now + REQUEST_LIFE_MS / 2000,
    jti: base64url(platform.random.bytes(16)),
    wth: witHash(agent.wit),
  });
  return { wit: agent.wit, request };
}
