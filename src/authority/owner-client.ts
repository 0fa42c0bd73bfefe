import type { ReferenceValues } from '../attestation/reference.ts';
import { readReferenceValues } from '../attestation/reference.ts';
import { equal, utf8 } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { parseJsonObject } from '../core/json.ts';
import type { HttpResponse, Platform, TlsOptions } from '../core/platform.ts';
import type { v as Valibot } from '../core/schema.ts';
import { check, v } from '../core/schema.ts';
import type { Signer } from '../core/signer.ts';
import type { Grant } from '../grants/grant.ts';
import { validateChain } from '../identity/validate.ts';
import type { VoucherJws } from '../provisioning/messages.ts';
import type { RegistrarAnchors } from '../provisioning/registrar-options.ts';
import type { ConveneGrant } from '../tokens/claims.ts';
import type { SubjectIdentifier } from '../tokens/issuer.ts';
import { AuthorityRefused, AuthorityUnknown } from './errors.ts';
import { anchorsFrom, anchorsSchema, anchorsToJson } from './folder.ts';
import { fingerprintOf } from './init.ts';
import type { AgentView, GrantView } from './owner-messages.ts';
import { agentView, grantView, OWNER_PATHS } from './owner-messages.ts';
import { OWNER_HEADER, signOwnerRequest } from './owner-proof.ts';

/** How an owner reaches the authority. */
export interface OwnerClientOptions {
  readonly platform: Pick<Platform, 'clock' | 'random' | 'network'>;
  /** Base URL of the authority. */
  readonly url: string;
  /** SHA-256 of the ACA certificate, hexadecimal. */
  readonly fingerprint: string;
  /** The owner's key. */
  readonly key: Signer;
}

/** The owner's commands, each signed with the owner's key. Errors: {@link AuthorityRefused}, {@link Unreachable}. */
export interface OwnerClient {
  /** Lets a client have tokens for these details, or convene. @returns an identifier for each. */
  addGrants(client: string, details: readonly (Grant | ConveneGrant)[]): Promise<readonly string[]>;
  grants(client?: string): Promise<readonly GrantView[]>;
  /** Ends a grant and everything that stems from it. @returns how many tokens ended. */
  revokeGrant(id: string, reason?: string): Promise<number>;
  agents(): Promise<readonly AgentView[]>;
  /** Ends everything an agent has and will have. @returns how many tokens ended. */
  revokeAgent(agent: string, reason?: string): Promise<number>;
  /** Forgets a device, so that it may enrol anew. */
  removeAgent(agent: string): Promise<void>;
  /** Bulk revocation: one call ends everything of a task, group, client, device, grant, or of the owner. */
  revokeAll(subject: SubjectIdentifier, reason?: string): Promise<void>;
  /** Lets tokens be issued again; false when it was not closed. */
  reopen(subject: SubjectIdentifier): Promise<boolean>;
  anchors(): Promise<RegistrarAnchors>;
  setAnchors(anchors: RegistrarAnchors): Promise<void>;
  addVoucher(serial: string, voucher: VoucherJws): Promise<void>;
  /** A binding signed by the owner (`signBinding`). */
  addBinding(binding: string): Promise<void>;
  /** What a good machine measures, as the verifier compares now. */
  reference(): Promise<ReferenceValues>;
  setReference(reference: object): Promise<void>;
  setPolicy(policy: object): Promise<void>;
  /** Federation: the bundle of another trust domain, in SPIFFE form. */
  addBundle(trustDomain: string, bundle: object): Promise<void>;
}

/** Makes the owner's client. */
export function ownerClient(options: OwnerClientOptions): OwnerClient {
  const { platform, url, key } = options;
  const tls: TlsOptions = { verifyPeer: pinnedAuthority(options) };
  const send = async (method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<HttpResponse> => {
    const bytes = body === undefined ? new Uint8Array() : utf8(JSON.stringify(body));
    const target = `${url}${path}`;
    const answer = await platform.network.request({
      method,
      url: target,
      headers: {
        accept: 'application/json',
        [OWNER_HEADER]: await signOwnerRequest(key, platform, { method, url: target, body: bytes }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : bytes,
      tls,
    });
    if (answer.status >= 400) throw refusalOf(answer);
    return answer;
  };
  const ask = async <const S extends Valibot.GenericSchema>(
    schema: S,
    ...request: Parameters<typeof send>
  ): Promise<Valibot.InferOutput<S>> => {
    const answer = await send(...request);
    return check(schema, parseJsonObject(answer.body, { maxBytes: 1 << 20 }), 'answer of the authority');
  };
  const tokens = v.object({ tokens: v.number() });
  return {
    addGrants: async (client, details) =>
      (
        await ask(v.object({ ids: v.array(v.string()) }), 'POST', OWNER_PATHS.grants, {
          client,
          authorization_details: details,
        })
      ).ids,
    grants: async (client) =>
      (
        await ask(
          v.object({ grants: v.array(grantView) }),
          'GET',
          client === undefined
            ? OWNER_PATHS.grants
            : `${OWNER_PATHS.grants}?client=${encodeURIComponent(client)}`,
        )
      ).grants,
    revokeGrant: async (id, reason) =>
      (await ask(tokens, 'POST', OWNER_PATHS.revokeGrant, { id, reason })).tokens,
    agents: async () =>
      (await ask(v.object({ agents: v.array(agentView) }), 'GET', OWNER_PATHS.agents)).agents,
    revokeAgent: async (agent, reason) =>
      (await ask(tokens, 'POST', OWNER_PATHS.revokeAgent, { agent, reason })).tokens,
    removeAgent: async (agent) => {
      await send('POST', OWNER_PATHS.removeAgent, { agent });
    },
    revokeAll: async (subject, reason) => {
      await send('POST', OWNER_PATHS.revokeAll, { sub_id: subject, reason });
    },
    reopen: async (subject) =>
      (await ask(v.object({ reopened: v.boolean() }), 'POST', OWNER_PATHS.reopen, { sub_id: subject }))
        .reopened,
    anchors: async () => anchorsFrom(await ask(anchorsSchema, 'GET', OWNER_PATHS.anchors)),
    setAnchors: async (anchors) => {
      await send('PUT', OWNER_PATHS.anchors, anchorsToJson(anchors));
    },
    addVoucher: async (serial, voucher) => {
      await send('POST', OWNER_PATHS.vouchers, { serial, voucher });
    },
    addBinding: async (binding) => {
      await send('POST', OWNER_PATHS.bindings, { binding });
    },
    reference: async () => readReferenceValues(await ask(v.looseObject({}), 'GET', OWNER_PATHS.reference)),
    setReference: async (reference) => {
      await send('PUT', OWNER_PATHS.reference, reference);
    },
    setPolicy: async (policy) => {
      await send('PUT', OWNER_PATHS.policy, policy);
    },
    addBundle: async (trustDomain, bundle) => {
      await send('POST', OWNER_PATHS.bundles, { trust_domain: trustDomain, bundle });
    },
  };
}

/**
 * Judges the authority's TLS certificate by the fingerprint of its ACA certificate, which the server sends along.
 *
 * @throws {AuthorityUnknown}
 */
export function pinnedAuthority(options: {
  readonly url: string;
  readonly fingerprint: string;
  readonly platform: Pick<Platform, 'clock'>;
}): TlsOptions['verifyPeer'] {
  const host = new URL(options.url).hostname.replace(/^\[|\]$/g, '');
  return (chain) => {
    const [leaf, ...rest] = chain;
    const anchor = rest.find((one) => fingerprintOf(one) === options.fingerprint);
    if (leaf === undefined || anchor === undefined)
      throw new AuthorityUnknown('the server does not show the certificate that was pinned');
    const { leaf: certificate } = validateChain({
      leaf,
      intermediates: rest.filter((one) => !equal(one, anchor)),
      anchors: [anchor],
      at: options.platform.clock.now(),
      purpose: 'server',
    });
    const names = certificate.subjectAltName;
    if (!names?.dns.includes(host) && !names?.ips.includes(host))
      throw new AuthorityUnknown(`the server's certificate is not for \`${host}\``);
  };
}

function refusalOf(answer: HttpResponse): AuthorityRefused {
  try {
    const { title, detail, check: name } = parseJsonObject(answer.body);
    return new AuthorityRefused(
      answer.status,
      typeof name === 'string' ? name : undefined,
      `the authority refused: ${String(detail ?? title ?? answer.status)}`,
    );
  } catch (cause) {
    if (cause instanceof Malformed)
      return new AuthorityRefused(answer.status, undefined, `the authority answered ${answer.status}`);
    throw cause;
  }
}
