import { capabilitiesSchema } from '../core/capability.ts';
import { BadSignature, Malformed } from '../core/errors.ts';
import type { JwsKind } from '../core/jws.ts';
import { readJws, signJws, verifyJwsSync } from '../core/jws.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import { thumbprint } from '../core/signer.ts';
import { isAgentId } from '../identity/agent-id.ts';
import type { Check } from './checks.ts';
import { EnrolmentRefused } from './errors.ts';
import { serialSchema } from './messages.ts';

const ENDORSEMENT: JwsKind = { typ: 'fealty-endorsement+jwt', what: 'provider endorsement' };
const BINDING: JwsKind = { typ: 'fealty-binding+jwt', what: 'owner binding' };

const seconds = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(253_402_300_799));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(128));

const endorsementSchema = v.strictObject({
  /** The provider of the agent's software. */
  iss: name,
  iat: seconds,
  exp: seconds,
  /** The product it runs on: maker and model as in the IDevID certificate and the CSR. */
  maker: name,
  model: name,
  /** SHA-256 of the AIBOM, base64url. */
  aibom: v.pipe(v.string(), v.length(43)),
  /** What this software on this product can do. */
  capabilities: capabilitiesSchema,
});
/** The provider's word for one AIBOM on one product (requirement PV-06). */
export type Endorsement = v.InferOutput<typeof endorsementSchema>;

const bindingSchema = v.strictObject({
  iss: name,
  iat: seconds,
  exp: seconds,
  jti: v.pipe(v.string(), v.minLength(16), v.maxLength(64)),
  maker: name,
  serial: serialSchema,
  /** The identifier the device gets. */
  agent: v.custom<string>(isAgentId, 'an agent identifier'),
  /** The person or role it acts for (requirement PV-07). */
  owner: name,
  /** What it may offer: a subset of what the provider endorses. Default: all of it. */
  capabilities: v.optional(capabilitiesSchema),
});
/** The owner's word that a device is theirs and what it is called. */
export type Binding = v.InferOutput<typeof bindingSchema>;

/** Signs an endorsement with a provider's key. */
export function signEndorsement(signer: Signer, endorsement: Endorsement): Promise<string> {
  return signJws(signer, ENDORSEMENT.typ, endorsement);
}

/** Signs a binding with the owner's key. */
export function signBinding(signer: Signer, binding: Binding): Promise<string> {
  return signJws(signer, BINDING.typ, binding);
}

/** The endorsement, signed by one of `providers` and in force at `at`. @throws {EnrolmentRefused} `endorsement` */
export function verifyEndorsement(compact: string, providers: readonly PublicJwk[], at: number): Endorsement {
  return verify('endorsement', ENDORSEMENT, endorsementSchema, compact, providers, at);
}

/** The binding, signed by one of `owners` and in force at `at`. @throws {EnrolmentRefused} `binding` */
export function verifyBinding(compact: string, owners: readonly PublicJwk[], at: number): Binding {
  return verify('binding', BINDING, bindingSchema, compact, owners, at);
}

function verify<const S extends v.GenericSchema<unknown, { readonly iat: number; readonly exp: number }>>(
  name: Check,
  kind: JwsKind,
  schema: S,
  compact: string,
  keys: readonly PublicJwk[],
  at: number,
): v.InferOutput<S> {
  try {
    const { header, payload } = readJws(compact, kind);
    const key = keys.find((candidate) => thumbprint(candidate) === header['kid']);
    if (key === undefined) throw new EnrolmentRefused(name, `nobody trusted signed the ${kind.what}`);
    verifyJwsSync(compact, kind, key);
    const paper: v.InferOutput<S> = check(schema, payload, kind.what);
    if (paper.exp * 1000 <= at) throw new EnrolmentRefused(name, `the ${kind.what} has expired`);
    if (paper.iat * 1000 > at + 60_000)
      throw new EnrolmentRefused(name, `the ${kind.what} is from the future`);
    return paper;
  } catch (cause) {
    if (cause instanceof Malformed || cause instanceof BadSignature)
      throw new EnrolmentRefused(name, cause.message, { cause });
    throw cause;
  }
}
