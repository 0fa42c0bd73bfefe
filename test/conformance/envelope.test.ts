import { createDecipheriv, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromHex, hex, text } from '../../src/core/bytes.ts';
import { decodeCbor } from '../../src/core/cbor.ts';
import { generateKey } from '../../src/core/signer.ts';
import { countersignStructure, encStructure } from '../../src/messaging/cose.ts';
import { EpochKeys, OwnSession, open, Peer, seal } from '../../src/messaging/index.ts';

const nothing = new Uint8Array();

/** cose-wg/Examples, countersign-v2/encrypt-01 and -02: a COSE_Encrypt0 with one countersignature (RFC 9338). */
const cose = {
  protected: 'a10101',
  nonce: '02d1f7e6f26c43d4868d87ce',
  key: '849b57219dae48de646d07dbb533566e',
  ciphertext: '60973a94bb2898009ee52ecfd9ab1dd25867374b162e2c03568b41f57c3cc16f9166250a',
  encStructure: '8368456e63727970743043a1010140',
  signProtected: 'a10127',
  toBeSigned:
    '8570436f756e7465725369676e617475726543a1010143a1012740582460973a94bb2898009ee52ecfd9ab1dd25867374b162e2c03568b41f57c3cc16f9166250a',
  publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
  signature:
    'e10439154cc75c7a3a5391491f88651e0292fd0fe0e02cf740547eaf6677b4a4040b8eca16db592881262f77b14c1a086c02268b17171ca16be4b8595f8c0a08',
};

describe('a COSE_Encrypt0 of the COSE working group', () => {
  it('is authenticated by our Enc_structure (RFC 9052 §5.3)', () => {
    const aad = encStructure(fromHex(cose.protected), nothing);
    expect(hex(aad)).toBe(cose.encStructure);
    const all = fromHex(cose.ciphertext);
    const decipher = createDecipheriv('aes-128-gcm', fromHex(cose.key), fromHex(cose.nonce));
    decipher.setAAD(aad);
    decipher.setAuthTag(all.subarray(-16));
    const plaintext = Buffer.concat([decipher.update(all.subarray(0, -16)), decipher.final()]);
    expect(text(plaintext)).toBe('This is the content.');
  });

  it('is countersigned over our Countersign_structure (RFC 9338 §3.3)', () => {
    const signed = countersignStructure(
      fromHex(cose.protected),
      fromHex(cose.signProtected),
      nothing,
      fromHex(cose.ciphertext),
    );
    expect(hex(signed)).toBe(cose.toBeSigned);
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(fromHex(cose.publicKey)).toString('base64url') },
      format: 'jwk',
    });
    expect(verify(null, signed, key, fromHex(cose.signature))).toBe(true);
  });
});

/** The vector of docs/reference/wire.md, "Envelope v1". */
const ours = {
  scalar: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
  domain: 'rescue-7',
  slug: 'jqe4eoq5pmbwq',
  topic: 'td1/rescue-7/m/jqe4eoq5pmbwq/state',
  epoch: 3,
  confirmation: 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff',
  secret: '202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f',
  keyHash: 'c6f4e212a3ac26051c507ab582c041f01044b2d140d5ee018c4f950acd061460',
  keyId: 'c6f4e212a3ac2605',
  senderKey: '4b157dcfd8d86847ef1ccdbd0236dae1b371434bc87d89cfa950289528f35b1e',
  seq: 42n,
  ts: 1795514400000,
  exp: 1795514410000,
  envelope:
    '834aa2010310657374617465a40448c6f4e212a3ac260506412a0a41030b8343a10126a0584095335ee5cc67396dce8c3fad61f5' +
    '6263a0d73c931504d69d33c5a813d8c94f953716dd816adbbdd9d42937794ce6c55ba08d22677230fcd394f1a7cfe4ba63fe583a' +
    'be05f3f77df933eb4467a9fb830eb6d2336183e6119d212d99aacd53cad6d932a6acd9099bdfaf542037d2d94538c87822268992' +
    '4f43bb64cc9a',
};

describe('the vector of the envelope', () => {
  it('is the one in the reference', () => {
    const page = readFileSync(new URL('../../docs/reference/wire.md', import.meta.url), 'utf8');
    expect(page.replaceAll('\n', '')).toContain(ours.envelope);
    expect(page).toContain(ours.senderKey);
  });

  const key = generateKey({ bytes: () => fromHex(ours.scalar) });
  const keys = EpochKeys.group({
    domain: ours.domain,
    epoch: ours.epoch,
    confirmation: fromHex(ours.confirmation),
    secret: fromHex(ours.secret),
  });

  it('has the key identifier and the sender key it says', () => {
    const session = new OwnSession(ours.slug, key);
    expect(hex(session.keyHash)).toBe(ours.keyHash);
    expect(session.keyId).toBe(ours.keyId);
    expect(hex(keys.senderKey(session.keyHash))).toBe(ours.senderKey);
  });

  it('opens', () => {
    const opened = open(fromHex(ours.envelope), {
      topic: ours.topic,
      now: ours.ts,
      sender: (keyId) => (keyId === ours.keyId ? new Peer(ours.slug, key.publicJwk) : undefined),
      epoch: (epoch) => (epoch === ours.epoch ? keys : undefined),
    });
    expect(opened).toMatchObject({
      type: 'state',
      seq: ours.seq,
      epoch: ours.epoch,
      ts: ours.ts,
      exp: ours.exp,
      body: { battery: 80 },
    });
  });

  it('is made again byte by byte, but for the random part of ECDSA', () => {
    const session = new OwnSession(ours.slug, key);
    session.skipTo('group', ours.seq - 1n);
    const { topic, ts, exp } = ours;
    const again = seal({ session, keys, topic, type: 'state', ts, exp, body: { battery: 80 } });
    const parts = (bytes: Uint8Array) => {
      const [head, unprotected, ciphertext] = decodeCbor(bytes, { useMaps: true }) as [
        Uint8Array,
        Map<number, unknown>,
        Uint8Array,
      ];
      const [signProtected, signUnprotected] = unprotected.get(11) as unknown[];
      return [
        head,
        unprotected.get(4),
        unprotected.get(6),
        unprotected.get(10),
        signProtected,
        signUnprotected,
        ciphertext,
      ];
    };
    expect(parts(again)).toEqual(parts(fromHex(ours.envelope)));
  });
});
