import { v } from '../core/schema.ts';
import { isAgentId } from '../identity/agent-id.ts';
import { voucherSchema } from '../provisioning/messages.ts';

/** Paths of the owner's side, each request signed with the owner's key. */
export const OWNER_PATHS = {
  grants: '/owner/v1/grants',
  revokeGrant: '/owner/v1/grants/revoke',
  agents: '/owner/v1/agents',
  revokeAgent: '/owner/v1/agents/revoke',
  removeAgent: '/owner/v1/agents/remove',
  /** draft-parecki-oauth-global-token-revocation. */
  revokeAll: '/revoke-all',
  reopen: '/owner/v1/reopen',
  anchors: '/owner/v1/anchors',
  vouchers: '/owner/v1/vouchers',
  bindings: '/owner/v1/bindings',
  reference: '/owner/v1/reference',
  policy: '/owner/v1/policy',
  bundles: '/owner/v1/bundles',
} as const;

const agent = v.custom<string>(isAgentId, 'an agent identifier');
const id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/));
const reason = v.optional(v.pipe(v.string(), v.maxLength(256)));
const text = v.pipe(v.string(), v.minLength(1), v.maxLength(128));

/** Bodies of the owner's requests; unknown members are refused. */
export const ownerBodies = {
  addGrant: v.strictObject({
    client: agent,
    authorization_details: v.pipe(
      v.array(v.looseObject({ type: v.string() })),
      v.minLength(1),
      v.maxLength(64),
    ),
  }),
  revokeGrant: v.strictObject({ id, reason }),
  revokeAgent: v.strictObject({ agent, reason }),
  removeAgent: v.strictObject({ agent }),
  revokeAll: v.strictObject({ sub_id: v.looseObject({ format: v.string() }), reason }),
  reopen: v.strictObject({ sub_id: v.looseObject({ format: v.string() }) }),
  voucher: v.strictObject({ serial: text, voucher: voucherSchema }),
  binding: v.strictObject({ binding: v.pipe(v.string(), v.maxLength(16_384)) }),
  bundle: v.strictObject({ trust_domain: text, bundle: v.looseObject({}) }),
} as const;

/** A grant as the owner sees it. */
export const grantView = v.object({
  id,
  client: v.string(),
  authorization_details: v.looseObject({ type: v.string() }),
  createdAt: v.number(),
  revoked: v.boolean(),
});
/** See {@link grantView}. */
export type GrantView = v.InferOutput<typeof grantView>;

/** An enrolled agent as the owner sees it. */
export const agentView = v.object({
  agentId: v.string(),
  slug: v.string(),
  maker: v.string(),
  model: v.string(),
  serial: v.string(),
  owner: v.string(),
  capabilities: v.array(v.string()),
  status: v.picklist(['active', 'revoked']),
  enrolledAt: v.number(),
  renewedAt: v.number(),
});
/** See {@link agentView}. */
export type AgentView = v.InferOutput<typeof agentView>;
