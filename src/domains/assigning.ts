import { FealtyError, messageOf } from '../core/errors.ts';
import { canonicalJson } from '../core/json.ts';
import { issueAssignment } from '../tokens/assignment.ts';
import { expandRoles } from '../tokens/details.ts';
import type { LogWriter } from './log-writer.ts';
import type { MemberCore } from './member-core.ts';

/**
 * Gives every member the assignment that its role has in the roster as it is now, where it has another: the role's
 * details with the holders of roles filled in, signed with the coordinator's credential key, written into the log.
 *
 * @param refused told of a member whose assignment cannot be made; it stays without.
 */
export async function assignRoles(
  core: MemberCore,
  log: LogWriter,
  refused: (agentId: string) => void,
): Promise<void> {
  const { roster, options, identity } = core;
  const { groupGrant, platform } = options;
  for (const agentId of [...roster.members.keys()]) {
    const member = roster.members.get(agentId);
    if (member === undefined || member.role === 'coordinator' || core.ended) continue;
    const { roles } = roster;
    const template = groupGrant.bounds.roles[member.role]?.authorization_details ?? [];
    try {
      const details = expandRoles(template, roles).map(({ grant }) => grant);
      const held = member.assignment?.claims.authorization_details;
      if (held !== undefined && canonicalJson(held) === canonicalJson(details)) continue;
      const assignment = await issueAssignment({
        signer: identity.keys.credential,
        random: platform.random,
        groupGrant,
        member: agentId,
        memberLdevid: member.papers.ldevidThumbprint,
        role: member.role,
        authorizationDetails: details,
        roles,
        at: platform.clock.now(),
      });
      if (core.ended || !roster.members.has(agentId)) continue; // meanwhile it went
      log.append({ kind: 'assign', agent: agentId, assignment });
    } catch (cause) {
      if (!(cause instanceof FealtyError)) throw cause;
      platform.log.warn('an assignment is refused', { agent: agentId, cause: messageOf(cause) });
      refused(agentId);
    }
  }
}
