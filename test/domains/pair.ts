import { fromHex } from '../../src/core/bytes.ts';
import { generateKey } from '../../src/core/signer.ts';
import { HandshakeRefused } from '../../src/domains/errors.ts';
import type { DomainIdentity } from '../../src/domains/index.ts';
import { initiate } from '../../src/domains/initiator.ts';
import { readFrame } from '../../src/domains/messages.ts';
import { verifyLobbyCertificate } from '../../src/domains/papers.ts';
import { openInvitation } from '../../src/domains/responder.ts';
import type { GroupBounds } from '../../src/tokens/claims.ts';
import { verifyGroupGrant } from '../../src/tokens/verifier.ts';
import type { Machine, World } from './world.ts';
import { NOW } from './world.ts';

/** The two ends of one handshake, without a broker between them. */
export async function pair(
  world: World,
  console: Machine,
  dog: Machine,
  options: {
    role?: string;
    convenerRole?: string;
    bounds?: Partial<GroupBounds>;
    /** Another identity at the candidate's end than the one that is invited. */
    as?: DomainIdentity;
    /** Whose group grant it is. Default: the convener's. */
    coordinator?: string;
    lifeS?: number;
  } = {},
) {
  const { clock } = world;
  const keys = (machine: Machine) => ({
    session: generateKey(machine.platform.random),
    agreement: generateKey(machine.platform.random),
  });
  const convenerKeys = keys(console);
  const dogKeys = keys(dog);
  const grant = await world.owner.groupGrant(options.coordinator ?? console.identity.credentials.agentId, {
    ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
    ...(options.lifeS === undefined ? {} : { lifeS: options.lifeS }),
  });
  const groupGrant = verifyGroupGrant(grant, {
    bundles: console.identity.credentials.bundles,
    at: Math.min(clock.now(), NOW - 30_000),
    generations: console.generations,
  });
  const genesis = fromHex('ab'.repeat(32));
  const initiation = initiate({
    self: {
      identity: console.identity,
      clock,
      random: console.platform.random,
      session: convenerKeys.session.publicJwk,
      agreement: convenerKeys.agreement.publicJwk,
    },
    agreed: {
      domain: 'domain-1',
      groupGrant,
      convenerRole: options.convenerRole ?? 'coordinator',
      role: options.role ?? 'scout',
      convener: console.identity.credentials.agentId,
      candidate: dog.identity.credentials.agentId,
    },
    lobbyKey: verifyLobbyCertificate(
      dog.candidate.lobbyCertificate,
      dog.candidate.agentId,
      console.identity.credentials.bundles,
      clock.now(),
    ),
    mission: 'clear the road',
    genesis,
  });
  const identity = options.as ?? dog.identity;
  const open = (frame = initiation.frame) => {
    const read = readFrame(frame);
    if (read.kind !== 1) throw new HandshakeRefused('form', 'not an invitation');
    return openInvitation({ identity, clock, random: dog.platform.random }, read, dog.generations);
  };
  const accept = () =>
    open().accept({ session: dogKeys.session.publicJwk, agreement: dogKeys.agreement.publicJwk });
  return { initiation, open, accept, groupGrant, genesis, convenerKeys, dogKeys };
}

/** The body of a frame of kinds 2 to 5. */
export function bodyOf(frame: Uint8Array): Uint8Array {
  const read = readFrame(frame);
  if (read.kind === 1) throw new TypeError('not that kind');
  return read.body;
}

/** The check at which `work` is refused, or `accepted`. */
export async function checkOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'accepted';
  } catch (cause) {
    if (cause instanceof HandshakeRefused) return cause.check;
    throw cause;
  }
}

/** `bytes` with the byte at `at` XORed with `mask`. */
export function flipped(bytes: Uint8Array, at: number, mask = 1): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ mask;
  return copy;
}
