import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { concat, fromHex, hex, utf8 } from '../../src/core/bytes.ts';
import { decodeCbor, encodeCbor } from '../../src/core/cbor.ts';
import { sha256 } from '../../src/core/hash.ts';
import { agree, generateKey, pointOfJwk, verifySignature } from '../../src/core/signer.ts';
import { signDelegation } from '../../src/domains/delegation.ts';
import { epochKeys } from '../../src/domains/epochs.ts';
import {
  context2,
  context3,
  edhocExport,
  jwkOfX,
  keystream2,
  mac,
  messageKeys,
  nextTranscript,
  PAIRWISE_LABEL,
  prk2e,
  prkExporter,
  sealMessage,
  signatureInput,
  transcript2,
  xOf,
} from '../../src/domains/key-schedule.ts';
import type { LogBody, LogHeader } from '../../src/domains/log-entry.ts';
import { openBody, readEntry, writeEntry } from '../../src/domains/log-entry.ts';
import { sessionKeyHash } from '../../src/messaging/index.ts';

/** RFC 9529 §2: method 0, both sides with X.509 certificates; the key schedule does not depend on curve and AEAD. */
const trace = {
  message1: '0000582031f82c7b5b9cbbf0f194d913cc12ef1532d328ef32632a4881a1c0701e237f042d',
  gY: 'dc88d2d51da5ed67fc4616356bc8ca74ef9ebe8b387e623a360ba480b9b29d1c',
  gXY: 'e5cdf3a986cdac5b7bf04691e2b07c08e71f53998d8f842b7c3fb4d839cf7b28',
  th2: 'c6405c154c567466ab1df20369500e540e9f14bd3a796a0652cae66c9061688d',
  prk2e: 'd584ac2e5dad5a77d14b53ebe72ef1d5daa8860d399373bf2c240afa7ba804da',
  cR: '18',
  idCredR: 'a11822822e4879f2a41b510c1f9b',
  credR:
    '3081ee3081a1a003020102020462319ec4300506032b6570301d311b301906035504030c124544484f4320526f6f742045643235353139' +
    '301e170d3232303331363038323433365a170d3239313233313233303030305a30223120301e06035504030c174544484f432052657370' +
    '6f6e6465722045643235353139302a300506032b6570032100a1db47b95184854ad12a0c1a354e418aace33aa0f2c662c00b3ac55de92f' +
    '9359300506032b6570034100b723bc01eab0928e8b2b6c98de19cc3823d46e7d6987b032478fecfaf14537a1af14cc8be829c6b7304410' +
    '1837eb4abc949565d86dce51cfae52ab82c152cb02',
  mac2: '862a7e5ef147f9a5f4c512e1b6623cd66cd17a7272072bfe5b602ffe307ee0e9',
  signature2:
    'c3b5bd44d1e44a085c03d3aede4e1e6c11c572a1968cc3629b505f98c681608d3d1de793d1c40eb5dd5d89acf1966aea07022b48cdc998' +
    '70ebc40374e8fa6e09',
  keystream2:
    'fd3e7c3f2d6bee643d3c9d2f2847035d73e2ecb0f8db5cd1c6854e24896af21188b2c4344e689ec2984283d9fbc69ce1c5db10dcfff24d' +
    'f9a49a04a94058277bc7fa9ad6c6b194ab328b445eb080490cd786',
  th3: '5b7df9b4f58f240ce0418e48191b5fff3a22b5ca57f669b16777996592e928bc',
  idCredI: 'a11822822e48c24ab2fd7643c79f',
  credI:
    '3081ee3081a1a003020102020462319ea0300506032b6570301d311b301906035504030c124544484f4320526f6f742045643235353139' +
    '301e170d3232303331363038323430305a170d3239313233313233303030305a30223120301e06035504030c174544484f4320496e6974' +
    '6961746f722045643235353139302a300506032b6570032100ed06a8ae61a829ba5fa54525c9d07f48dd44a302f43e0f23d8cc20b73085' +
    '141e300506032b6570034100521241d8b3a770996bcfc9b9ead4e7e0a1c0db353a3bdf2910b39275ae48b756015981850d27db6734e37f' +
    '67212267dd05eeff27b9e7a813fa574b72a00b430b',
  mac3: '39b127c130129afa30618c751329e637cc3734270d4b01258445a8ee02daa3bd',
  signature3:
    '96e1cd5fceadfac1b5af819443f70924f5719955957fd02655beb4775e1a73186a0d1d3ea683f08f8d03dcecb9cf154e1c6f555a1e12ca' +
    '118ce42bdba6878907',
  k3: 'da195e5f648ac63b0e8fb0c455205139',
  iv3: '38d8c64c56255affa449f4bed7',
  th4: '0eb868f263cf3555dccd396dd8dec29d3750d599be42d5a41a5a37c896f294ac',
  prkOut: 'b744cb7d8a87cc0447c3350e165b250dab12ec453325abb922b30307e5c368f0',
  prkExporter: '2aaec8fc4ab3bc3295def6b551051a2fa561424db301fa84f642f5578a6df51a',
  oscoreSecret: '1e1c6beac3a8a1cac435de7e2f9ae7ff',
  oscoreSalt: 'ce7ab844c0106d73',
};

describe('the key schedule of EDHOC (RFC 9528), against the trace of RFC 9529 §2', () => {
  const bytes = (name: keyof typeof trace) => fromHex(trace[name]);
  const prk = bytes('prk2e');

  it('derives TH_2 and PRK_2e', () => {
    expect(hex(transcript2(bytes('gY'), bytes('message1')))).toBe(trace.th2);
    expect(hex(prk2e(bytes('th2'), bytes('gXY')))).toBe(trace.prk2e);
  });

  it('derives MAC_2 and KEYSTREAM_2', () => {
    const context = context2(bytes('cR'), bytes('idCredR'), bytes('th2'), bytes('credR'));
    expect(hex(mac(prk, 2, context))).toBe(trace.mac2);
    expect(hex(keystream2(prk, bytes('th2'), 82))).toBe(trace.keystream2);
  });

  it('derives TH_3, MAC_3, K_3, IV_3 and TH_4', () => {
    const plaintext2 = concat(fromHex('4118'), bytes('idCredR'), fromHex('5840'), bytes('signature2'));
    expect(hex(nextTranscript(bytes('th2'), plaintext2, bytes('credR')))).toBe(trace.th3);
    expect(hex(mac(prk, 3, context3(bytes('idCredI'), bytes('th3'), bytes('credI'))))).toBe(trace.mac3);
    const { key, iv } = messageKeys(prk, bytes('th3'), [3, 4], [16, 13]);
    expect([hex(key), hex(iv)]).toEqual([trace.k3, trace.iv3]);
    const plaintext3 = concat(bytes('idCredI'), fromHex('5840'), bytes('signature3'));
    expect(hex(nextTranscript(bytes('th3'), plaintext3, bytes('credI')))).toBe(trace.th4);
  });

  it('signs the same structure', () => {
    const input = signatureInput(bytes('idCredR'), bytes('th2'), bytes('credR'), bytes('mac2'));
    expect(hex(input)).toBe(
      `846a5369676e6174757265314e${trace.idCredR}5901155820${trace.th2}58f1${trace.credR}5820${trace.mac2}`,
    );
  });

  it('derives PRK_out, PRK_exporter and what is exported', () => {
    const { out, exporter } = prkExporter(prk, bytes('th4'));
    expect([hex(out), hex(exporter)]).toEqual([trace.prkOut, trace.prkExporter]);
    expect(hex(edhocExport(exporter, 0, new Uint8Array(), 16))).toBe(trace.oscoreSecret);
    expect(hex(edhocExport(exporter, 1, new Uint8Array(), 8))).toBe(trace.oscoreSalt);
  });
});

describe('our suite −21 (A256GCM, SHA-256, P-256, ES256)', () => {
  const random = seededRandom('fealty handshake vector');
  const x = generateKey(random);
  const y = generateKey(random);
  const message1 = utf8('message_1');
  const papers = utf8('papers');
  const th2 = transcript2(xOf(y.publicJwk), message1);
  const prk = prk2e(th2, agree(x, jwkOfX(xOf(y.publicJwk))));
  const th3 = nextTranscript(th2, utf8('plaintext_2'), papers);
  const th4 = nextTranscript(th3, utf8('plaintext_3'), papers);
  const { key, iv } = messageKeys(prk, th3);
  const vector = {
    x: hex(fromHex(Buffer.from(x.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url').toString('hex'))),
    y: hex(fromHex(Buffer.from(y.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url').toString('hex'))),
    G_X: hex(xOf(x.publicJwk)),
    G_Y: hex(xOf(y.publicJwk)),
    G_XY: hex(agree(x, y.publicJwk)),
    TH_2: hex(th2),
    PRK_2e: hex(prk),
    KEYSTREAM_2: hex(keystream2(prk, th2, 32)),
    MAC_2: hex(mac(prk, 2, context2(fromHex('0102030405060708'), fromHex('a0'), th2, papers))),
    TH_3: hex(th3),
    MAC_3: hex(mac(prk, 3, context3(fromHex('a0'), th3, papers))),
    K_3: hex(key),
    IV_3: hex(iv),
    CIPHERTEXT_3: hex(sealMessage(key, iv, th3, utf8('plaintext_3'))),
    TH_4: hex(th4),
    pairwise: hex(edhocExport(prkExporter(prk, th4).exporter, PAIRWISE_LABEL, utf8('domain-1'), 32)),
  };

  it('gives the vector that the documentation shows', () => {
    expect(vector).toEqual(shown('key schedule'));
  });

  it('agrees from both sides, whichever y-coordinate an x-coordinate is given', () => {
    expect(hex(agree(y, jwkOfX(xOf(x.publicJwk))))).toBe(vector.G_XY);
    expect(() => jwkOfX(new Uint8Array(32).fill(255))).toThrow('not the x-coordinate');
  });

  it('goes on beyond the 8,160 bytes that HKDF-Expand has, without repeating itself', () => {
    const long = keystream2(prk, th2, 20_000);
    expect(hex(long.subarray(0, 8160))).toBe(hex(keystream2(prk, th2, 8160)));
    const blocks = new Set<string>();
    for (let at = 0; at + 32 <= long.length; at += 32) blocks.add(hex(long.subarray(at, at + 32)));
    expect(blocks.size).toBe(625);
  });
});

describe('what a domain derives and signs', () => {
  const random = seededRandom('fealty domain vector');
  const session = generateKey(random);
  const agreement = generateKey(random);
  const logKey = random.bytes(32);
  const secret = random.bytes(32);
  const domain = '0123456789abcdef01234567';
  const agent = 'spiffe://fleet.example/agent/console';
  const header: LogHeader = {
    v: 1,
    domain,
    index: 4,
    previous: sha256(utf8('entry 3')),
    kind: 'evict',
    at: 1_795_514_400_000,
    key: 2,
    term: 1,
  };
  const body: LogBody = { kind: 'evict', agent: 'spiffe://fleet.example/agent/dog', reason: 'it barks' };
  const entry = writeEntry(header, body, logKey, session.signSync);
  const roster = sha256(utf8('roster'));
  const keys = epochKeys(secret.slice(), { domain, epoch: 3, index: 5, head: entry.hash, roster });
  const delegation = {
    v: 1,
    domain,
    grant: sha256(utf8('group grant')),
    wth: sha256(utf8('WIT')),
    ear: sha256(utf8('EAR')),
    agent,
    role: 'coordinator',
    peer: 'spiffe://fleet.example/agent/dog',
    peerRole: 'scout',
    transcript: sha256(utf8('Sig_structure')),
    session: pointOfJwk(session.publicJwk),
    agreement: pointOfJwk(agreement.publicJwk),
    nbf: 1_795_514_400,
    exp: 1_795_521_600,
  };
  const vector = {
    session: hex(pointOfJwk(session.publicJwk)),
    agreement: hex(pointOfJwk(agreement.publicJwk)),
    delegation: hex(encodeCbor(delegation)),
    logKey: hex(logKey),
    header: hex(entry.headerBytes),
    ciphertext: hex(entry.ciphertext),
    hash: hex(entry.hash),
    roster: hex(roster),
    epochSecret: hex(secret),
    confirmation: hex(keys.confirmation),
    senderKey: hex(keys.senderKey(sessionKeyHash(session.publicJwk))),
  };

  it('gives the vector that the documentation shows', () => {
    expect(vector).toEqual(shown('domain'));
  });

  it('signs what the documentation says: an entry by the session key, a delegation by the LDevID', async () => {
    expect(hex(readEntry(entry.bytes).hash)).toBe(vector.hash);
    expect(openBody(entry, logKey)).toEqual(body);
    const digest = sha256(entry.ciphertext);
    const input = concat(utf8('fealty/domain-log/v1\0'), encodeCbor([entry.headerBytes, digest]));
    expect(verifySignature(session.publicJwk, input, entry.signature)).toBe(true);
    expect(hex(sha256(input))).toBe(vector.hash);
    const { session: _s, agreement: _a, v: _v, ...request } = delegation;
    const signed = await signDelegation(session, {
      ...request,
      session: session.publicJwk,
      agreement: agreement.publicJwk,
    });
    const [claims, signature] = decodeCbor(signed) as [Uint8Array, Uint8Array];
    expect(hex(claims)).toBe(vector.delegation);
    const signedBytes = concat(utf8('fealty/domain-delegation/v1\0'), claims);
    expect(verifySignature(session.publicJwk, signedBytes, signature)).toBe(true);
  });
});

/** The vector of that name in the documentation. */
function shown(name: string): unknown {
  const page = readFileSync(join(import.meta.dirname, '../../docs/reference/wire.md'), 'utf8');
  return JSON.parse(new RegExp(`\`\`\`json vector: ${name}\n([\\s\\S]*?)\`\`\``).exec(page)?.[1] ?? '{}');
}
