import { messageOf } from '../core/errors.ts';
import { tag } from '../tokens/claims.ts';
import type { Channel } from './channel.ts';
import type { CoreOptions } from './core-options.ts';
import type { MemberState } from './roster.ts';

/**
 * Makes assignments nothing, at once in memory and then durably: what holds a permission under them hears of it before
 * this returns its promise.
 *
 * @param members whose assignments end.
 * @param group whether the whole group grant ends too.
 */
export function revokeAssignments(
  options: Pick<CoreOptions, 'generations' | 'groupGrant' | 'platform'>,
  members: readonly MemberState[],
  group: boolean,
): Promise<void> {
  const { generations, groupGrant, platform } = options;
  const tags = [
    ...(group ? [tag('group', groupGrant.id)] : []),
    ...members.flatMap(({ assignment }) => (assignment === undefined ? [] : [tag('token', assignment.id)])),
  ];
  if (tags.length === 0) return Promise.resolve();
  return generations
    .raise(tags.map((name) => ({ tag: name, generation: 1, until: groupGrant.exp })))
    .catch((cause: unknown) => platform.log.warn('raised tags are not stored', { cause: messageOf(cause) }));
}

/** Writes the end of a membership into the audit log; one that cannot be written is logged, for the end has happened. */
export async function recordEnd(
  options: Pick<CoreOptions, 'audit' | 'platform' | 'groupGrant' | 'domain'>,
  facts: {
    readonly agent: string;
    readonly action: 'ended' | 'evicted';
    readonly cause: string;
    readonly epoch: number;
    readonly head: number;
  },
): Promise<void> {
  const { audit, platform, groupGrant, domain } = options;
  const { epoch, head, ...entry } = facts;
  const detail = { domain, epoch, head };
  await audit
    ?.append({ kind: 'domain', ...entry, task: groupGrant.task, detail })
    .catch((cause: unknown) =>
      platform.log.warn('the end of a domain is not recorded', { cause: messageOf(cause) }),
    );
}

/** The sealed `ended` of a member whose part has stopped; it is made before the keys go, and sent after everything else. */
export function acknowledgeEnd(
  options: Pick<CoreOptions, 'coordinator' | 'coordinate' | 'times'>,
  channel: Channel,
): { readonly topic: string; readonly payload: Uint8Array } | undefined {
  const { coordinator, coordinate, times } = options;
  if (coordinate !== undefined || !channel.has(coordinator.agentId)) return undefined;
  return channel.sealFor(coordinator.agentId, 'ended', {}, times.tenureMs);
}
