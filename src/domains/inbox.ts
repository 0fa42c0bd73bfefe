import { equal } from '../core/bytes.ts';
import type { LinkMessage } from '../messaging/index.ts';
import { readTopic } from '../messaging/index.ts';
import type { MemberCore } from './member-core.ts';
import { fromCoordinator, readMemberMessage, toCoordinator } from './member-messages.ts';

/**
 * A message in a member's inbox: from the coordinator, to it, or a question or answer between two members. All are
 * sealed under a pairwise key; whatever else comes here is refused.
 *
 * @throws {MessageRefused} {@link Malformed}
 */
export function hearInbox(core: MemberCore, message: LinkMessage): void {
  const opened = core.channel.open(message);
  const topic = readTopic(message.topic);
  const refuse = (check: string) => core.refused(check, message.topic);
  if (opened.epoch !== 0 || topic?.kind !== 'inbox' || topic.to !== core.identity.credentials.slug) {
    refuse('topic');
    return;
  }
  const { type, from, body } = opened;
  const { coordinator, coordinate } = core.options;
  if (type === 'ask' || type === 'answer') {
    const member = core.roster.members.get(from);
    const mode = member === undefined ? 'observe' : core.modeOf(member);
    if (mode === 'observe') {
      refuse('mode');
      return;
    }
    const meta = {
      stream: 'ask',
      sentAt: opened.ts,
      expiresAt: opened.exp,
      epoch: core.ring.epoch,
      control: true,
      mode,
    };
    const fault = type === 'ask' ? core.asks.asked(body, from, meta) : core.asks.answered(body, from);
    if (fault !== undefined) refuse(fault);
  } else if (toCoordinator.includes(type) && coordinate !== undefined) coordinate.told(type, body, from);
  else if (fromCoordinator.includes(type) && from === coordinator.agentId && coordinate === undefined)
    hearCoordinator(core, type, body, message.topic);
  else refuse('not-coordinator');
}

function hearCoordinator(core: MemberCore, type: string, body: unknown, topic: string): void {
  switch (type) {
    case 'echo': {
      const { nonce, index, head } = readMemberMessage('echo', body);
      if (!core.echoed(nonce)) {
        core.refused('replay', topic);
        return;
      }
      const known = core.log.hashAt(index);
      if (known !== undefined && !equal(known, head)) {
        // What it says under our pairwise key is not what it signed: not a proof for others, and enough for us.
        core.refused('log.fork', topic);
        void core.finish('the coordinator tells two stories', false);
        return;
      }
      core.reconsider('the coordinator answered');
      if (index > core.log.index) core.history.missing.ask(false);
      return;
    }
    case 'epoch':
      core.history.offered(readMemberMessage('epoch', body));
      return;
    case 'log': {
      const { entries, newest } = readMemberMessage('log', body);
      const before = core.log.index;
      for (const entry of entries) core.history.takeEntry(entry, topic);
      if (core.log.index < newest && core.log.index > before) core.history.missing.ask(true);
      return;
    }
    case 'evicted':
      void core.finish(readMemberMessage('evicted', body).reason, false, true);
      return;
    case 'end':
      core.history.takeHead(readMemberMessage('end', body).head, topic);
      return;
  }
}
