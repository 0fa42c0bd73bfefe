import { hex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { PublicJwk } from '../core/signer.ts';
import { agree, generateKey } from '../core/signer.ts';
import type { HandshakeCheck } from './errors.ts';
import { HandshakeRefused } from './errors.ts';
import type { Agreed, Completed, HandshakeSelf } from './handshake-common.ts';
import {
  judgeProof,
  openRefusal,
  ownPapers,
  pairwiseSecret,
  prove,
  sealRefusal,
  splitBody,
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
  prk2e,
  sealMessage,
  signatureInput,
  transcript2,
  xOf,
} from './key-schedule.ts';
import { sealToLobby } from './lobby-seal.ts';
import {
  CONNECTION_BYTES,
  credentialByHash,
  credentialByValue,
  readPlaintext2,
  VERSION,
  writeFrame,
  writeMessage1,
  writePlaintext3,
} from './messages.ts';
import { named, verifyPapers, writePapers } from './papers.ts';

/** What an invitation is made of. */
export interface InitiationRequest {
  readonly self: HandshakeSelf;
  readonly agreed: Agreed;
  /** The candidate's lobby key, from its verified certificate. */
  readonly lobbyKey: PublicJwk;
  readonly mission: string;
  /** Hash of the domain log's first entry. */
  readonly genesis: Uint8Array;
}

/** The convener's end of one handshake: EDHOC initiator. */
export interface Initiation {
  /** C_I, hexadecimal: what answers name. */
  readonly id: string;
  /** The sealed invitation: handshake message 1. The same bytes may be sent again. */
  readonly frame: Uint8Array;
  /**
   * Judges a message 2. @returns message 3, and what both ends then hold.
   * @throws {RefusedAnswer} (a {@link HandshakeRefused} with a frame for the candidate, where there is one)
   */
  answer(body: Uint8Array): Promise<Completed & { readonly frame: Uint8Array }>;
  /** The check named in a candidate's refusal, or `undefined` when it is none. */
  refusal(body: Uint8Array): HandshakeCheck | undefined;
}

/** A message 2 that is refused. */
export class RefusedAnswer extends HandshakeRefused {
  /** What to send to the candidate's lobby, when message 2 could be read at all. */
  readonly frame: Uint8Array | undefined;

  constructor(cause: HandshakeRefused, frame: Uint8Array | undefined) {
    super(cause.check, cause.message, { cause });
    this.message = cause.message;
    this.frame = frame;
  }
}

/** Begins a handshake. */
export function initiate(request: InitiationRequest): Initiation {
  const { self, agreed } = request;
  const ephemeral = generateKey(self.random);
  const connection = self.random.bytes(CONNECTION_BYTES);
  const own = writePapers(self.identity.credentials);
  const message1 = writeMessage1({
    gX: xOf(ephemeral.publicJwk),
    connection,
    invitation: {
      v: VERSION,
      domain: agreed.domain,
      task: agreed.groupGrant.task,
      mission: request.mission,
      role: agreed.role,
      convenerRole: agreed.convenerRole,
      grant: agreed.groupGrant.compact,
      genesis: request.genesis,
      from: agreed.convener,
      to: agreed.candidate,
      at: Math.floor(self.clock.now()),
      papers: own,
    },
  });
  const keysWith = (gY: Uint8Array) => {
    const th2 = transcript2(gY, message1);
    return {
      th2,
      prk: prk2e(
        th2,
        agree(
          ephemeral,
          named('form', () => jwkOfX(gY)),
        ),
      ),
    };
  };
  return {
    id: hex(connection),
    frame: writeFrame({ kind: 1, ...sealToLobby(self.random, request.lobbyKey, message1) }),
    refusal: (body) => {
      try {
        const [gY, sealed] = splitBody(body);
        const { th2, prk } = keysWith(gY);
        return openRefusal(prk, th2, 'candidate', sealed);
      } catch {
        return undefined;
      }
    },
    answer: async (body) => {
      const [gY, ciphertext] = splitBody(body);
      const { th2, prk } = keysWith(gY);
      const plaintext = xor(ciphertext, keystream2(prk, th2, ciphertext.length));
      const message2 = named('mac', () => readPlaintext2(plaintext));
      try {
        const idCred = credentialByValue(message2.papers);
        const macBytes = mac(prk, 2, context2(message2.connection, idCred, th2, message2.papers));
        const at = self.clock.now();
        const peer = await judgeProof(message2.proof, 'candidate', agreed, {
          macBytes,
          signed: signatureInput(idCred, th2, message2.papers, macBytes),
          papers: () =>
            verifyPapers(message2.papers, {
              bundles: self.identity.credentials.bundles,
              at,
              bounds: agreed.groupGrant.bounds,
            }),
          at,
        });
        const th3 = nextTranscript(th2, plaintext, message2.papers);
        const ownId = credentialByHash(sha256(own));
        const mac3 = mac(prk, 3, context3(ownId, th3, own));
        const proof = await prove(self, 'convener', agreed, {
          macBytes: mac3,
          signed: signatureInput(ownId, th3, own, mac3),
          papers: ownPapers(self.identity.credentials),
        });
        const plaintext3 = writePlaintext3({ papersHash: sha256(own), proof });
        const { key, iv } = messageKeys(prk, th3);
        const th4 = nextTranscript(th3, plaintext3, own);
        return {
          ...peer,
          wpt: message2.proof.wpt,
          pairwise: pairwiseSecret(prk, th4, agreed.domain),
          transcript: th4,
          frame: writeFrame({
            kind: 3,
            connection: message2.connection,
            body: sealMessage(key, iv, th3, plaintext3),
          }),
        };
      } catch (cause) {
        if (!(cause instanceof HandshakeRefused)) throw cause;
        const frame = writeFrame({
          kind: 5,
          connection: message2.connection,
          body: sealRefusal(prk, th2, 'convener', cause.check),
        });
        throw new RefusedAnswer(cause, frame);
      }
    },
  };
}
