import type { Agent } from 'fealty';
import { multicastTopic } from '../../../src/messaging/index.ts';
import type { ArmSteps } from './robot-senses.ts';

/** A stream of a peer, as the broker knows it. */
export interface PeerStream {
  readonly domain: string;
  readonly slug: string;
  readonly stream: string;
}

function topicOf({ domain, slug, stream }: PeerStream): string {
  return multicastTopic(domain, slug, stream);
}

/**
 * What a robot can be asked to do with streams: hear and say as a member, and see what the broker delivers beside that.
 *
 * @param steps is told when a peer says that the way is not clear.
 */
export function streamMethods(
  self: () => Agent,
  tell: (event: string, data: unknown) => void,
  steps: ArmSteps,
) {
  const heard = new Map<string, number>();
  /** Sealed messages that the broker delivered, by filter, whether they can be opened or not. */
  const delivered = new Map<string, number>();

  return {
    /** From now on counts what it hears on a stream of a task, and tells of it. */
    listen: async ({ task, stream }: { task: string; stream: string }): Promise<void> => {
      const membership = self().memberships.find((one) => one.task === task);
      await membership?.subscribe(stream, (said, from) => {
        const key = `${task}/${stream}`;
        heard.set(key, (heard.get(key) ?? 0) + 1);
        if (
          stream === 'lidar' &&
          (said as { properties?: { 'lidar-clear'?: unknown } }).properties?.['lidar-clear'] === false
        )
          steps.obstacle();
        tell('heard', { task, stream, from });
      });
    },

    heard: async ({ task, stream }: { task: string; stream: string }): Promise<number> =>
      heard.get(`${task}/${stream}`) ?? 0,

    say: async ({ task, stream, text }: { task: string; stream: string; text: string }): Promise<void> => {
      const membership = self().memberships.find((one) => one.task === task);
      if (membership === undefined) throw new Error(`no member of ${task}`);
      await membership.publish(stream, { text }, { control: true });
    },

    /** From now on counts what the broker delivers of a stream of a peer, beside the membership and whatever it does. */
    tap: async (of: PeerStream): Promise<void> => {
      const topic = topicOf(of);
      delivered.set(topic, 0);
      await self().meeting.link.subscribe(topic, () => {
        delivered.set(topic, (delivered.get(topic) ?? 0) + 1);
      });
    },

    tapped: async (of: PeerStream): Promise<number> => delivered.get(topicOf(of)) ?? 0,

    /** Copies the next sealed message of a peer, as a broker could. */
    capture: async (of: PeerStream): Promise<Uint8Array> =>
      await new Promise((resolve, reject) => {
        const { link } = self().meeting;
        link.subscribe(topicOf(of), ({ payload }) => resolve(payload.slice())).catch(reject);
      }),
  };
}
