import { readAppraisalPolicy, readReferenceValues } from '../attestation/reference.ts';
import type { AuditLog } from '../core/audit.ts';
import { FealtyError, Malformed, messageOf } from '../core/errors.ts';
import { canonicalBytes, parseJson } from '../core/json.ts';
import { randomId } from '../core/names.ts';
import type { Platform, Store } from '../core/platform.ts';
import { problem, problemOf, readBody } from '../core/problem.ts';
import type { v } from '../core/schema.ts';
import { check } from '../core/schema.ts';
import type { Grant } from '../grants/grant.ts';
import { bundleToJson } from '../identity/bundle-codec.ts';
import { checkTrustDomain, readBundle } from '../identity/index.ts';
import { verifyBinding } from '../provisioning/papers.ts';
import type { Registrar } from '../provisioning/registrar.ts';
import type { RegistrarStore } from '../provisioning/registrar-store.ts';
import type { Registry } from '../registry/registry.ts';
import type { ConveneGrant } from '../tokens/claims.ts';
import { CONVENE_DETAILS } from '../tokens/claims.ts';
import { readConveneGrant } from '../tokens/claims-reader.ts';
import { readDetails } from '../tokens/details.ts';
import type { Issuer, IssuerStore } from '../tokens/issuer.ts';
import { OAuthRefusal, readSubjectIdentifier } from '../tokens/issuer.ts';
import { OwnerRefused } from './errors.ts';
import { anchorsFrom, anchorsToJson, putBinding, putVoucher } from './folder.ts';
import { OWNER_PATHS, ownerBodies } from './owner-messages.ts';
import { OWNER_HEADER, verifyOwnerRequest } from './owner-proof.ts';
import type { TrustState } from './trust-state.ts';

/** Largest body of an owner's request, in bytes. */
const BODY_MAX = 1 << 20;

/** What the owner's side works on. */
export interface OwnerDesk {
  readonly platform: Pick<Platform, 'clock' | 'random' | 'log'>;
  /** Base URL of the authority. */
  readonly url: string;
  readonly store: Store;
  readonly issuer: Issuer;
  readonly grants: IssuerStore;
  readonly registrar: Registrar;
  readonly devices: RegistrarStore;
  readonly registry: Registry;
  readonly audit: AuditLog;
  /** Anchors, reference values, policy, bundles: what the owner may change while it runs. */
  readonly trust: TrustState;
}

type Handler = (
  desk: OwnerDesk,
  body: unknown,
  by: string,
  query: URLSearchParams,
) => Promise<object | undefined>;

const routes: Readonly<Record<string, Handler>> = {
  [`GET ${OWNER_PATHS.grants}`]: async (desk, _body, _by, query) => ({
    grants: (await desk.grants.grants(query.get('client') ?? undefined)).map(
      ({ id, client, details, createdAt, revoked }) => ({
        id,
        client,
        authorization_details: details,
        createdAt,
        revoked,
      }),
    ),
  }),

  [`POST ${OWNER_PATHS.grants}`]: async (desk, body, by) => {
    const { client, authorization_details } = formed(ownerBodies.addGrant, body);
    const details = authorization_details.map((one) => read(() => readOwnerDetails(one)));
    const ids: string[] = [];
    for (const one of details) {
      const id = randomId(desk.platform.random, 12);
      await desk.audit.append({
        kind: 'configuration',
        agent: by,
        subject: client,
        resource: id,
        action: 'grant-add',
        detail: { type: one.type },
      });
      await desk.grants.addGrant({
        id,
        client,
        details: one,
        createdAt: desk.platform.clock.now(),
        revoked: false,
      });
      ids.push(id);
    }
    return { ids };
  },

  [`POST ${OWNER_PATHS.revokeGrant}`]: async (desk, body, by) => {
    const { id, reason } = formed(ownerBodies.revokeGrant, body);
    if (!(await desk.grants.grants()).some((grant) => grant.id === id))
      throw new OwnerRefused('not-found', 'there is no such grant');
    const { tokens } = await desk.issuer.revoke(
      { format: 'fealty/grant', id },
      by,
      reason ?? 'asked by the owner',
    );
    return { tokens };
  },

  [`GET ${OWNER_PATHS.agents}`]: async (desk) => ({
    agents: (await desk.devices.devices()).map(
      ({ agentId, slug, maker, model, serial, owner, capabilities, status, enrolledAt, renewedAt }) => ({
        agentId,
        slug,
        maker,
        model,
        serial,
        owner,
        capabilities,
        status,
        enrolledAt,
        renewedAt,
      }),
    ),
  }),

  [`POST ${OWNER_PATHS.revokeAgent}`]: async (desk, body, by) => {
    const { agent, reason = 'asked by the owner' } = formed(ownerBodies.revokeAgent, body);
    // First what it can do now, then what it could become: no token, no renewal, no finding.
    const { tokens } = await desk.issuer.revoke({ format: 'fealty/client', uri: agent }, by, reason);
    const known = await desk.registrar.revoke(agent, reason);
    await desk.registry.drop(agent);
    return { tokens, known };
  },

  [`POST ${OWNER_PATHS.removeAgent}`]: async (desk, body, by) => {
    const { agent } = formed(ownerBodies.removeAgent, body);
    await desk.audit.append({ kind: 'configuration', agent: by, subject: agent, action: 'agent-remove' });
    if (!(await desk.devices.removeDevice(agent)))
      throw new OwnerRefused('not-found', 'there is no such agent');
    await desk.registry.drop(agent);
    return {};
  },

  [`POST ${OWNER_PATHS.revokeAll}`]: async (desk, body, by) => {
    const { sub_id, reason } = formed(ownerBodies.revokeAll, body);
    await desk.issuer.revoke(readSubjectIdentifier(sub_id), by, reason ?? 'asked by the owner');
    return undefined;
  },

  [`POST ${OWNER_PATHS.reopen}`]: async (desk, body, by) => {
    const { sub_id } = formed(ownerBodies.reopen, body);
    return { reopened: await desk.issuer.reopen(readSubjectIdentifier(sub_id), by) };
  },

  [`GET ${OWNER_PATHS.anchors}`]: async (desk) => anchorsToJson(desk.trust.anchors()),

  [`PUT ${OWNER_PATHS.anchors}`]: async (desk, body, by) => {
    const anchors = read(() => anchorsFrom(body));
    await desk.audit.append({ kind: 'configuration', agent: by, action: 'anchors-set' });
    await desk.trust.setAnchors(anchors);
    return {};
  },

  [`POST ${OWNER_PATHS.vouchers}`]: async (desk, body, by) => {
    const { serial, voucher } = formed(ownerBodies.voucher, body);
    await desk.audit.append({ kind: 'configuration', agent: by, resource: serial, action: 'voucher-add' });
    await putVoucher(desk.store, serial, voucher);
    return {};
  },

  [`POST ${OWNER_PATHS.bindings}`]: async (desk, body, by) => {
    const { binding } = formed(ownerBodies.binding, body);
    const { maker, serial, agent } = read(() =>
      verifyBinding(binding, desk.trust.anchors().owners, desk.platform.clock.now()),
    );
    await desk.audit.append({
      kind: 'configuration',
      agent: by,
      subject: agent,
      resource: serial,
      action: 'binding-add',
    });
    await putBinding(desk.store, maker, serial, binding);
    return {};
  },

  [`GET ${OWNER_PATHS.reference}`]: async (desk) => desk.trust.reference(),

  [`PUT ${OWNER_PATHS.reference}`]: async (desk, body, by) => {
    const reference = read(() => readReferenceValues(body));
    await desk.audit.append({ kind: 'configuration', agent: by, action: 'reference-set' });
    await desk.trust.setReference(reference);
    return {};
  },

  [`PUT ${OWNER_PATHS.policy}`]: async (desk, body, by) => {
    const policy = read(() => readAppraisalPolicy(body));
    await desk.audit.append({ kind: 'configuration', agent: by, resource: policy.id, action: 'policy-set' });
    await desk.trust.setPolicy(policy);
    return {};
  },

  [`POST ${OWNER_PATHS.bundles}`]: async (desk, body, by) => {
    const { trust_domain, bundle } = formed(ownerBodies.bundle, body);
    const next = read(() => readBundle(checkTrustDomain(trust_domain), canonicalBytes(bundle)));
    await desk.audit.append({
      kind: 'configuration',
      agent: by,
      resource: trust_domain,
      action: 'bundle-add',
    });
    await desk.trust.addBundle(next);
    return bundleToJson(next);
  },
};

const paths = new Set(Object.keys(routes).map((route) => route.split(' ')[1]));

/** Whether `path` is on the owner's side. */
export function isOwnerPath(path: string): boolean {
  return paths.has(path);
}

/** Answers an owner's request: proof first, then the work. */
export async function handleOwner(desk: OwnerDesk, request: Request): Promise<Response> {
  try {
    const { pathname, search, searchParams } = new URL(request.url);
    const route = routes[`${request.method} ${pathname}`];
    if (route === undefined) throw new OwnerRefused('method', 'that method is not for this address');
    const body = await readBody(request, BODY_MAX);
    const owner = await verifyOwnerRequest(request.headers.get(OWNER_HEADER), {
      method: request.method as 'GET' | 'POST' | 'PUT' | 'DELETE',
      url: `${desk.url}${pathname}${search}`,
      body,
      owners: desk.trust.anchors().owners,
      at: desk.platform.clock.now(),
      replay: desk.grants,
    });
    const value = body.length === 0 ? undefined : read(() => parseJson(body, { maxBytes: BODY_MAX }));
    const answer = await route(desk, value, `owner:${owner}`, searchParams);
    return answer === undefined
      ? new Response(null, { status: 204 })
      : Response.json(answer, { headers: { 'cache-control': 'no-store' } });
  } catch (error) {
    if (error instanceof OwnerRefused) return problem(error.status, error.code, error.message, error.check);
    if (error instanceof OAuthRefusal) return problem(error.status, error.code, error.message, error.check);
    return problemOf(error, desk.platform.log);
  }
}

/** An owner's grant: something an agent may do, or the right to convene. @throws {Malformed} {@link GrantMalformed} */
export function readOwnerDetails(value: { readonly type: string }): Grant | ConveneGrant {
  if (value.type === CONVENE_DETAILS) return readConveneGrant(value);
  const [grant] = readDetails([value]);
  if (grant === undefined) throw new Malformed('not a grant');
  return grant;
}

function formed<const S extends v.GenericSchema>(schema: S, body: unknown): v.InferOutput<S> {
  return read(() => check(schema, body, 'request'));
}

function read<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof FealtyError) throw new OwnerRefused('request-form', messageOf(cause), { cause });
    throw cause;
  }
}
