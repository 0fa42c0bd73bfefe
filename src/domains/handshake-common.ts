import { concat, equal, fromBase64url, hex, utf8 } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { Clock, Random } from '../core/platform.ts';
import type { PublicJwk } from '../core/signer.ts';
import type { ReplayGuard } from '../tokens/index.ts';
import { makeWpt, verifyWpt } from '../tokens/index.ts';
import type { VerifiedGroupGrant } from '../tokens/verifier.ts';
import type { Delegation } from './delegation.ts';
import { signDelegation, verifyDelegation } from './delegation.ts';
import type { HandshakeCheck } from './errors.ts';
import { HANDSHAKE_CHECKS, HandshakeRefused } from './errors.ts';
import {
  edhocExport,
  messageKeys,
  openMessage,
  PAIRWISE_LABEL,
  prkExporter,
  sealMessage,
} from './key-schedule.ts';
import type { Proof } from './messages.ts';
import type { Papers } from './papers.ts';
import type { DomainIdentity } from './types.ts';

/** One end of a handshake: who, with which fresh keys for this domain. */
export interface HandshakeSelf {
  readonly identity: DomainIdentity;
  readonly clock: Clock;
  readonly random: Random;
  /** The per-domain session key and agreement key that will be delegated. */
  readonly session: PublicJwk;
  readonly agreement: PublicJwk;
}

/** What both ends hold after a handshake. */
export interface Completed {
  readonly papers: Papers;
  readonly delegation: Delegation;
  readonly wpt: string;
  /** Secret of the pairwise channel, 32 bytes; the caller wipes it after use. */
  readonly pairwise: Uint8Array;
  /** TH_4: what both believe about the whole handshake. */
  readonly transcript: Uint8Array;
}

/** What is agreed about both parties before they prove themselves. */
export interface Agreed {
  readonly domain: string;
  readonly groupGrant: VerifiedGroupGrant;
  /** Roles of the convener and of the candidate. */
  readonly convenerRole: string;
  readonly role: string;
  readonly convener: string;
  readonly candidate: string;
}

/** Makes `Signature_or_MAC`: one signature by the LDevID, one by the WIT's key, over the same transcript. */
export async function prove(
  self: HandshakeSelf,
  side: 'convener' | 'candidate',
  agreed: Agreed,
  input: { readonly macBytes: Uint8Array; readonly signed: Uint8Array; readonly papers: Papers | OwnPapers },
): Promise<Proof> {
  const transcript = sha256(input.signed);
  const convenes = side === 'convener';
  const { credentials, keys } = self.identity;
  const peer = convenes ? agreed.candidate : agreed.convener;
  const delegation = await signDelegation(keys.ldevid, {
    domain: agreed.domain,
    grant: fromBase64url(agreed.groupGrant.hash),
    wth: input.papers.wth,
    ear: input.papers.earHash,
    agent: credentials.agentId,
    role: convenes ? agreed.convenerRole : agreed.role,
    peer,
    peerRole: convenes ? agreed.role : agreed.convenerRole,
    transcript,
    session: self.session,
    agreement: self.agreement,
    nbf: Math.floor(self.clock.now() / 1000),
    exp: agreed.groupGrant.exp,
  });
  const wpt = await makeWpt({
    signer: keys.credential,
    platform: self,
    audience: peer,
    wit: credentials.wit,
    transcript,
  });
  return { mac: input.macBytes, delegation, wpt };
}

/** The hashes of one's own papers, which need no verification. */
export interface OwnPapers {
  readonly wth: Uint8Array;
  readonly earHash: Uint8Array;
}

/** See {@link OwnPapers}. */
export function ownPapers(credentials: { readonly wit: string; readonly ear: string }): OwnPapers {
  return { wth: sha256(utf8(credentials.wit)), earHash: sha256(utf8(credentials.ear)) };
}

/**
 * Checks the other end's `Signature_or_MAC`: MAC first (it costs nothing), then the LDevID's signature, then the WPT.
 *
 * @throws {HandshakeRefused} `mac`, `transcript`, `delegation`, `identity`, `ldevid-signature`, `wpt`.
 */
export async function judgeProof(
  proof: Proof,
  side: 'convener' | 'candidate',
  agreed: Agreed,
  input: {
    readonly macBytes: Uint8Array;
    readonly signed: Uint8Array;
    readonly papers: () => Papers;
    readonly at: number;
  },
): Promise<{ readonly papers: Papers; readonly delegation: Delegation }> {
  if (!equal(proof.mac, input.macBytes))
    throw new HandshakeRefused('mac', 'the transcript is not the same at both ends');
  const papers = input.papers();
  const convenes = side === 'convener';
  const name = convenes ? agreed.convener : agreed.candidate;
  if (papers.agentId !== name) throw new HandshakeRefused('identity', 'the papers are another agent’s');
  const transcript = sha256(input.signed);
  const delegation = verifyDelegation(proof.delegation, papers, {
    domain: agreed.domain,
    grant: fromBase64url(agreed.groupGrant.hash),
    role: convenes ? agreed.convenerRole : agreed.role,
    peer: convenes ? agreed.candidate : agreed.convener,
    peerRole: convenes ? agreed.role : agreed.convenerRole,
    transcript,
    at: input.at,
  });
  try {
    await verifyWpt(proof.wpt, {
      audience: convenes ? agreed.candidate : agreed.convener,
      wit: papers.wit,
      at: input.at,
      transcript,
      replay: onceByTranscript,
    });
  } catch (cause) {
    throw new HandshakeRefused('wpt', messageOf(cause), { cause });
  }
  return { papers, delegation };
}

/** The transcript holds the receiver's own fresh ephemeral key and is accepted once, so a proof over it is too. */
const onceByTranscript: ReplayGuard = { admit: () => {} };

/** The pairwise secret: EDHOC_Exporter over TH_4, with the domain as context. */
export function pairwiseSecret(prk: Uint8Array, th4: Uint8Array, domain: string): Uint8Array {
  return edhocExport(prkExporter(prk, th4).exporter, PAIRWISE_LABEL, utf8(domain), 32);
}

const REFUSAL_LABELS = { candidate: [32_770, 32_771], convener: [32_772, 32_773] } as const;

/** The sealed name of a check, for the other end: it says only what that end needs to know. */
export function sealRefusal(
  prk: Uint8Array,
  th2: Uint8Array,
  side: 'convener' | 'candidate',
  check: HandshakeCheck,
): Uint8Array {
  const { key, iv } = messageKeys(prk, th2, REFUSAL_LABELS[side]);
  return sealMessage(key, iv, th2, utf8(check));
}

/** The check that the other end named, or `undefined` when the bytes are not its refusal. */
export function openRefusal(
  prk: Uint8Array,
  th2: Uint8Array,
  side: 'convener' | 'candidate',
  sealed: Uint8Array,
): HandshakeCheck | undefined {
  const { key, iv } = messageKeys(prk, th2, REFUSAL_LABELS[side]);
  const plaintext = openMessage(key, iv, th2, sealed);
  if (plaintext === undefined || plaintext.length > 64) return undefined;
  const said = hex(plaintext);
  return HANDSHAKE_CHECKS.find((name) => hex(utf8(name)) === said);
}

/** Bytes XOR key stream. */
export function xor(bytes: Uint8Array, stream: Uint8Array): Uint8Array {
  return bytes.map((byte, at) => byte ^ (stream[at] ?? 0));
}

/** G_Y ‖ rest. @throws {HandshakeRefused} `form` */
export function splitBody(body: Uint8Array): readonly [gY: Uint8Array, rest: Uint8Array] {
  if (body.length < 33) throw new HandshakeRefused('form', 'message 2 is too short');
  return [body.slice(0, 32), body.slice(32)];
}

/** G_Y ‖ rest. */
export function joinBody(gY: Uint8Array, rest: Uint8Array): Uint8Array {
  return concat(gY, rest);
}
