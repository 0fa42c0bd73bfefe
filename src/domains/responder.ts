import { equal, hex } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { agree, generateKey } from '../core/signer.ts';
import { trustDomainOf } from '../identity/agent-id.ts';
import type { Generations } from '../tokens/status.ts';
import type { VerifiedGroupGrant } from '../tokens/verifier.ts';
import { verifyGroupGrant } from '../tokens/verifier.ts';
import { SKEW_MS } from './delegation.ts';
import type { HandshakeCheck } from './errors.ts';
import { HandshakeRefused } from './errors.ts';
import type { Agreed, Completed, HandshakeSelf } from './handshake-common.ts';
import {
  joinBody,
  judgeProof,
  openRefusal,
  ownPapers,
  pairwiseSecret,
  prove,
  sealRefusal,
  xor,
} from './handshake-common.ts';
import {
  context2,
  context3,
  jwkOfX,
  keystream2,
  mac,
  messageKeys,
  nextTranscript,
  openMessage,
  prk2e,
  signatureInput,
  transcript2,
  xOf,
} from './key-schedule.ts';
import { openInLobby } from './lobby-seal.ts';
import type { InvitationBody, Message1 } from './messages.ts';
import {
  CONNECTION_BYTES,
  credentialByHash,
  credentialByValue,
  OtherSuite,
  readMessage1,
  readPlaintext3,
  writeFrame,
  writePlaintext2,
} from './messages.ts';
import type { Papers } from './papers.ts';
import { named, verifyPapers, writePapers } from './papers.ts';

/** An invitation whose every check passed; the convener's possession of its keys is not proven before message 3. */
export interface OpenedInvitation {
  readonly invitation: InvitationBody;
  readonly groupGrant: VerifiedGroupGrant;
  /** The convener's papers, provisional. */
  readonly papers: Papers;
  /** Message 2, for the convener's lobby. @throws {HandshakeRefused} */
  accept(session: Pick<HandshakeSelf, 'session' | 'agreement'>): Promise<Acceptance>;
  /** A sealed refusal for the convener's lobby. */
  refuse(check: HandshakeCheck): Uint8Array;
}

/** The candidate's end of one handshake, after message 2: EDHOC responder. */
export interface Acceptance {
  /** C_R, hexadecimal: what message 3 names. */
  readonly id: string;
  /** Message 2. The same bytes may be sent again. */
  readonly frame: Uint8Array;
  /** Judges message 3. @throws {HandshakeRefused} */
  complete(body: Uint8Array): Promise<Completed>;
  /** The check named in the convener's refusal, or `undefined` when it is none. */
  refusal(body: Uint8Array): HandshakeCheck | undefined;
}

/** How old an invitation may be, in milliseconds; replays are remembered twice as long. */
export const INVITATION_LIFE_MS = SKEW_MS;

/**
 * Opens a sealed invitation and makes every check that needs no answer: seal, form, suite, age, address, convener's
 * papers, group grant, role, trust domain.
 *
 * @throws {HandshakeRefused} naming the check. {@link RefusedInvitation} when the convener can be told.
 */
export function openInvitation(
  self: Omit<HandshakeSelf, 'session' | 'agreement'>,
  frame: { readonly sealKey: Uint8Array; readonly sealed: Uint8Array },
  generations: Generations,
): OpenedInvitation {
  const { credentials, keys } = self.identity;
  const message1 = openInLobby(keys.lobby, frame.sealKey, frame.sealed);
  const read = readInvitation(message1);
  const { invitation } = read;
  const ephemeral = generateKey(self.random);
  const gY = xOf(ephemeral.publicJwk);
  const th2 = transcript2(gY, message1);
  const prk = named('form', () => prk2e(th2, agree(ephemeral, jwkOfX(read.gX))));
  const refuse = (check: HandshakeCheck) =>
    writeFrame({
      kind: 4,
      connection: read.connection,
      body: joinBody(gY, sealRefusal(prk, th2, 'candidate', check)),
    });
  const at = self.clock.now();
  let papers: Papers;
  let groupGrant: VerifiedGroupGrant;
  try {
    if (invitation.to !== credentials.agentId)
      throw new HandshakeRefused('identity', 'another agent is invited');
    if (Math.abs(at - invitation.at) > INVITATION_LIFE_MS)
      throw new HandshakeRefused('replay', 'the invitation is too old');
    papers = verifyPapers(invitation.papers, { bundles: credentials.bundles, at });
    if (papers.agentId !== invitation.from)
      throw new HandshakeRefused('identity', 'the papers are not the convener’s');
    groupGrant = named('group-grant', () =>
      verifyGroupGrant(invitation.grant, {
        bundles: credentials.bundles,
        at,
        generations,
        coordinator: invitation.from,
      }),
    );
    judgeOffer(invitation, groupGrant);
  } catch (cause) {
    if (cause instanceof HandshakeRefused)
      throw new RefusedInvitation(cause, invitation.from, refuse(cause.check));
    throw cause;
  }
  const agreed: Agreed = {
    domain: invitation.domain,
    groupGrant,
    convenerRole: invitation.convenerRole,
    role: invitation.role,
    convener: invitation.from,
    candidate: credentials.agentId,
  };
  return {
    invitation,
    groupGrant,
    papers,
    refuse,
    accept: async (session) => {
      const connection = self.random.bytes(CONNECTION_BYTES);
      const own = writePapers(credentials);
      const idCred = credentialByValue(own);
      const mac2 = mac(prk, 2, context2(connection, idCred, th2, own));
      const proof = await prove({ ...self, ...session }, 'candidate', agreed, {
        macBytes: mac2,
        signed: signatureInput(idCred, th2, own, mac2),
        papers: ownPapers(credentials),
      });
      const plaintext2 = writePlaintext2({ connection, papers: own, proof });
      const th3 = nextTranscript(th2, plaintext2, own);
      const body = joinBody(gY, xor(plaintext2, keystream2(prk, th2, plaintext2.length)));
      return {
        id: hex(connection),
        frame: writeFrame({ kind: 2, connection: read.connection, body }),
        refusal: (sealed) => openRefusal(prk, th2, 'convener', sealed),
        complete: async (sealed) => {
          const { key, iv } = messageKeys(prk, th3);
          const plaintext3 = openMessage(key, iv, th3, sealed);
          if (plaintext3 === undefined) throw new HandshakeRefused('seal', 'message 3 does not open');
          const message3 = named('form', () => readPlaintext3(plaintext3));
          if (!equal(message3.papersHash, sha256(papers.bytes)))
            throw new HandshakeRefused('identity', 'message 3 is for other papers than message 1');
          const idCredI = credentialByHash(message3.papersHash);
          const mac3 = mac(prk, 3, context3(idCredI, th3, papers.bytes));
          const peer = await judgeProof(message3.proof, 'convener', agreed, {
            macBytes: mac3,
            signed: signatureInput(idCredI, th3, papers.bytes, mac3),
            papers: () => papers,
            at: self.clock.now(),
          });
          const th4 = nextTranscript(th3, plaintext3, papers.bytes);
          return {
            ...peer,
            wpt: message3.proof.wpt,
            pairwise: pairwiseSecret(prk, th4, agreed.domain),
            transcript: th4,
          };
        },
      };
    },
  };
}

/** An invitation that is refused, and what to tell the convener. */
export class RefusedInvitation extends HandshakeRefused {
  /** Who it claims to come from. */
  readonly from: string;
  /** For the convener's lobby. */
  readonly frame: Uint8Array;

  constructor(cause: HandshakeRefused, from: string, frame: Uint8Array) {
    super(cause.check, cause.message, { cause });
    this.message = cause.message;
    this.from = from;
    this.frame = frame;
  }
}

function judgeOffer(invitation: InvitationBody, groupGrant: VerifiedGroupGrant): void {
  const { bounds, task } = groupGrant;
  if (task !== invitation.task)
    throw new HandshakeRefused('group-grant', 'the group grant is for another task');
  if (!Object.hasOwn(bounds.roles, invitation.role))
    throw new HandshakeRefused('role', `the group grant has no role \`${invitation.role}\``);
  if (invitation.convenerRole !== 'coordinator' && !Object.hasOwn(bounds.roles, invitation.convenerRole))
    throw new HandshakeRefused('role', `the group grant has no role \`${invitation.convenerRole}\``);
  const own = trustDomainOf(invitation.to);
  if (!bounds.trustDomains.includes(own))
    throw new HandshakeRefused('trust-domain', `the group takes nobody from \`${own}\``);
}

function readInvitation(message1: Uint8Array): Message1 {
  try {
    return readMessage1(message1);
  } catch (cause) {
    if (cause instanceof OtherSuite) throw new HandshakeRefused('suite', cause.message, { cause });
    if (cause instanceof Malformed) throw new HandshakeRefused('form', cause.message, { cause });
    throw cause;
  }
}
