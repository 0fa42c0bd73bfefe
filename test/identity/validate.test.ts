import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import {
  constructed,
  octetString,
  oid,
  primitive,
  printableString,
  sequence,
  set,
} from '../../src/core/der-writer.ts';
import type { SoftwareKey } from '../../src/core/signer.ts';
import { NO_END, parseCertificate } from '../../src/identity/certificate.ts';
import { CertificateRefused } from '../../src/identity/errors.ts';
import type { ExtensionValue } from '../../src/identity/extension-writer.ts';
import {
  basicConstraints,
  certificatePolicies,
  extendedKeyUsage,
  hostName,
  keyUsage,
  permittedTrustDomain,
  subjectAltName,
  uriName,
} from '../../src/identity/extension-writer.ts';
import type { CertificateIssuer } from '../../src/identity/issue.ts';
import {
  createIntermediate,
  createRoot,
  issueCertificate,
  issueLDevIdCertificate,
  issueLobbyCertificate,
  issueServerCertificate,
  issueWic,
} from '../../src/identity/issue.ts';
import { writeName } from '../../src/identity/name.ts';
import { OID } from '../../src/identity/oids.ts';
import type { ChainRequest } from '../../src/identity/validate.ts';
import { validateChain } from '../../src/identity/validate.ts';
import { AGENT, fleet, HOUR, issuing, key, NOW, random } from './fixtures.ts';

let root: CertificateIssuer;
let aca: CertificateIssuer;
let holder: SoftwareKey;

beforeAll(async () => {
  ({ root, aca } = await fleet());
  holder = key();
});

const judge = (request: ChainRequest): string => {
  try {
    validateChain(request);
  } catch (error) {
    if (error instanceof CertificateRefused) return error.check;
    throw error;
  }
  return 'accepted';
};

const agent = () => ({ agentId: AGENT, publicKey: holder.publicJwk });
const asWic = (leaf: Uint8Array, more: Partial<ChainRequest> = {}): ChainRequest => ({
  leaf,
  intermediates: [aca.certificate],
  anchors: [root.certificate],
  at: NOW,
  purpose: 'wic',
  ...more,
});

/** A leaf made by hand. */
const leafWith = (extensions: readonly ExtensionValue[], issuer: CertificateIssuer = aca) =>
  issueCertificate({
    ...issuing(issuer),
    subject: writeName({ commonName: 'leaf' }),
    publicKey: holder.publicJwk,
    extensions,
  });
const signing = () => [basicConstraints(), keyUsage('digitalSignature')];
const tls = () => extendedKeyUsage(OID.clientAuth, OID.serverAuth);
const named = (...uris: readonly string[]) => subjectAltName(uris.map(uriName));

/** An authority made by hand. */
const authorityWith = async (extensions: readonly ExtensionValue[], above: CertificateIssuer = root) => {
  const signer = key();
  const certificate = await issueCertificate({
    ...issuing(above),
    subject: writeName({ commonName: 'made by hand' }),
    publicKey: signer.publicJwk,
    extensions,
  });
  return { signer, certificate };
};

describe('a chain is accepted', () => {
  it('for each purpose, and for no other', async () => {
    const leaves = {
      wic: await issueWic({ ...issuing(aca), ...agent() }),
      ldevid: await issueLDevIdCertificate({ ...issuing(aca), ...agent() }),
      lobby: await issueLobbyCertificate({ ...issuing(aca), ...agent() }),
      server: await issueServerCertificate({
        ...issuing(aca),
        hosts: ['127.0.0.1', 'localhost'],
        publicKey: holder.publicJwk,
      }),
    } as const;
    const purposes = ['wic', 'ldevid', 'lobby', 'server', 'device', 'ek'] as const;
    for (const [made, leaf] of Object.entries(leaves))
      for (const purpose of purposes)
        expect(`${made} as ${purpose}: ${judge(asWic(leaf, { purpose })) === 'accepted'}`).toBe(
          // A WIC is for TLS servers too: who asks for `server` compares host names, which a WIC has none of.
          `${made} as ${purpose}: ${made === purpose || (made === 'wic' && purpose === 'server')}`,
        );
  });

  it('and says whose it is', async () => {
    const leaf = await issueWic({ ...issuing(aca), ...agent() });
    const { agentId, path, anchor } = validateChain(asWic(leaf, { requiredEku: [OID.clientAuth] }));
    expect(agentId).toBe(AGENT);
    expect(path).toHaveLength(3);
    expect(anchor.der).toEqual(root.certificate);
  });

  it('without intermediates, and with two in any order', async () => {
    const top = await createRoot({
      signer: key(),
      random,
      commonName: 'top',
      notBefore: NOW - HOUR,
      pathLength: 2,
    });
    const direct = await issueWic({ ...issuing(top), ...agent() });
    expect(judge({ leaf: direct, anchors: [top.certificate], at: NOW, purpose: 'wic' })).toBe('accepted');
    const one = await createIntermediate({
      issuer: top,
      signer: key(),
      random,
      commonName: 'one',
      notBefore: NOW - HOUR,
      pathLength: 1,
    });
    const two = await createIntermediate({
      issuer: one,
      signer: key(),
      random,
      commonName: 'two',
      notBefore: NOW - HOUR,
    });
    const leaf = await issueLDevIdCertificate({ ...issuing(two), ...agent() });
    for (const intermediates of [
      [one.certificate, two.certificate],
      [two.certificate, one.certificate],
    ])
      expect(judge({ leaf, intermediates, anchors: [top.certificate], at: NOW, purpose: 'ldevid' })).toBe(
        'accepted',
      );
  });

  it('when two anchors have one name and only one key fits (roll-over)', async () => {
    const twin = await createRoot({
      signer: key(),
      random,
      commonName: 'fleet root',
      organization: 'Fleet',
      notBefore: NOW - HOUR,
    });
    const leaf = await issueWic({ ...issuing(root), ...agent() });
    expect(judge({ leaf, anchors: [twin.certificate, root.certificate], at: NOW, purpose: 'wic' })).toBe(
      'accepted',
    );
  });
});

describe('a chain is refused', () => {
  it('at the first millisecond after its end, and before its beginning', async () => {
    const leaf = await issueWic({ ...issuing(aca), ...agent() });
    expect(judge(asWic(leaf, { at: NOW + HOUR }))).toBe('accepted');
    expect(judge(asWic(leaf, { at: NOW + HOUR + 999 }))).toBe('accepted');
    expect(judge(asWic(leaf, { at: NOW + HOUR + 1000 }))).toBe('expired');
    expect(judge(asWic(leaf, { at: NOW - HOUR - 1 }))).toBe('not-yet-valid');
    expect(judge(asWic(leaf, { at: NOW - HOUR }))).toBe('accepted');
  });

  it('when an authority above has expired', async () => {
    const short = await createIntermediate({
      issuer: root,
      signer: key(),
      random,
      commonName: 'short',
      notBefore: NOW - 2 * HOUR,
      notAfter: NOW - HOUR,
    });
    const leaf = await issueWic({ ...issuing(short), ...agent() });
    expect(judge(asWic(leaf, { intermediates: [short.certificate] }))).toBe('expired');
  });

  it('by an anchor of another role or owner', async () => {
    const stranger = await fleet();
    const maker = await createRoot({ signer: key(), random, commonName: 'maker', notBefore: NOW - HOUR });
    const leaf = await issueWic({ ...issuing(aca), ...agent() });
    expect(judge(asWic(leaf, { anchors: [maker.certificate] }))).toBe('anchor');
    expect(judge(asWic(leaf, { anchors: [] }))).toBe('anchor');
    // The same names and another key: AKI tells them apart.
    expect(judge(asWic(leaf, { anchors: [stranger.root.certificate] }))).toBe('anchor');
    expect(judge(asWic(leaf, { intermediates: [] }))).toBe('anchor');
  });

  it('when a signature has a flipped bit, wherever', async () => {
    const leaf = await issueWic({ ...issuing(aca), ...agent() });
    fc.assert(
      fc.property(fc.nat(leaf.length - 1), fc.nat(7), (position, bit) => {
        const bytes = leaf.slice();
        bytes[position] = (bytes[position] ?? 0) ^ (1 << bit);
        expect(judge(asWic(bytes))).not.toBe('accepted');
      }),
      { seed: 9, numRuns: 400 },
    );
    const last = leaf.slice();
    last[last.length - 1] = (last.at(-1) ?? 0) ^ 1;
    expect(judge(asWic(last))).toBe('signature');
  });

  it('with more than two intermediates', async () => {
    const leaf = await issueWic({ ...issuing(aca), ...agent() });
    const three = Array<Uint8Array>(3).fill(aca.certificate);
    expect(judge(asWic(leaf, { intermediates: three }))).toBe('chain-length');
  });

  it('with an unknown critical extension anywhere', async () => {
    const unknown: ExtensionValue = {
      id: '1.3.6.1.4.1.99999.1',
      critical: true,
      value: octetString(new Uint8Array(1)),
    };
    const leaf = await leafWith([...signing(), tls(), named(AGENT), unknown]);
    expect(judge(asWic(leaf))).toBe('critical-extension');
    const harmless = await leafWith([...signing(), tls(), named(AGENT), { ...unknown, critical: false }]);
    expect(judge(asWic(harmless))).toBe('accepted');
    const strange = await authorityWith([basicConstraints({}), keyUsage('keyCertSign'), unknown]);
    const below = await issueWic({ ...issuing(strange), ...agent() });
    expect(judge(asWic(below, { intermediates: [strange.certificate] }))).toBe('critical-extension');
  });

  it('when the issuer is no authority', async () => {
    const leafAsCa = await authorityWith([...signing()]);
    const below = await issueWic({ ...issuing(leafAsCa), ...agent() });
    expect(judge(asWic(below, { intermediates: [leafAsCa.certificate] }))).toBe('ca');
    const silent = await authorityWith([keyUsage('keyCertSign')]);
    const other = await issueWic({ ...issuing(silent), ...agent() });
    expect(judge(asWic(other, { intermediates: [silent.certificate] }))).toBe('ca');
  });

  it('when a WIC has been used as an authority', async () => {
    const wic = await issueWic({ ...issuing(aca), ...agent() });
    const forged = await issueWic({
      ...issuing({ signer: holder, certificate: wic }),
      agentId: 'spiffe://fleet.example/agent/admin',
      publicKey: key().publicJwk,
    });
    expect(judge(asWic(forged, { intermediates: [wic, aca.certificate] }))).toBe('ca');
  });

  it('when the issuer may not sign certificates', async () => {
    for (const extensions of [[basicConstraints({})], [basicConstraints({}), keyUsage('cRLSign')]]) {
      const mute = await authorityWith(extensions);
      const leaf = await issueWic({ ...issuing(mute), ...agent() });
      expect(judge(asWic(leaf, { intermediates: [mute.certificate] }))).toBe('key-usage');
    }
  });

  it('when there are more authorities than a path length allows', async () => {
    // `aca` was made with path length 0.
    const below = await createIntermediate({
      issuer: aca,
      signer: key(),
      random,
      commonName: 'below',
      notBefore: NOW - HOUR,
    });
    const leaf = await issueWic({ ...issuing(below), ...agent() });
    expect(judge(asWic(leaf, { intermediates: [below.certificate, aca.certificate] }))).toBe('path-length');
  });

  it('when the leaf is an authority, or could be', async () => {
    const authority = await leafWith([
      basicConstraints({}),
      keyUsage('digitalSignature'),
      tls(),
      named(AGENT),
    ]);
    expect(judge(asWic(authority))).toBe('ca');
    const signs = await leafWith([
      basicConstraints(),
      keyUsage('digitalSignature', 'keyCertSign'),
      tls(),
      named(AGENT),
    ]);
    expect(judge(asWic(signs))).toBe('key-usage');
    expect(judge({ ...asWic(root.certificate), intermediates: [] })).toBe('ca');
  });

  it.each<[string, readonly string[]]>([
    ['no URI', []],
    ['two URIs', [AGENT, 'spiffe://fleet.example/agent/other']],
    ['the same URI twice', [AGENT, AGENT]],
    ['a URI that is no identifier', ['https://fleet.example/agent/robot-7']],
    ['an identifier with a query', [`${AGENT}?admin`]],
  ])('for an agent with %s', async (_what, uris) => {
    const leaf = await leafWith([...signing(), tls(), ...(uris.length === 0 ? [] : [named(...uris)])]);
    expect(judge(asWic(leaf))).toBe('identifier');
  });

  it('when the leaf names an agent outside the trust domain of its authority', async () => {
    const leaf = await issueWic({
      ...issuing(aca),
      agentId: 'spiffe://other.example/agent/x',
      publicKey: holder.publicJwk,
    });
    expect(judge(asWic(leaf))).toBe('name-constraints');
    const near = await issueWic({
      ...issuing(aca),
      agentId: 'spiffe://x.fleet.example/agent/x',
      publicKey: holder.publicJwk,
    });
    expect(judge(asWic(near))).toBe('name-constraints');
  });

  it('when an intermediate constrains names, whatever the root allows', async () => {
    const open = await createRoot({ signer: key(), random, commonName: 'open', notBefore: NOW - HOUR });
    const narrow = await authorityWith(
      [basicConstraints({}), keyUsage('keyCertSign'), permittedTrustDomain('a.example')],
      open,
    );
    const leaf = await issueWic({ ...issuing(narrow), ...agent() });
    expect(judge(asWic(leaf, { intermediates: [narrow.certificate], anchors: [open.certificate] }))).toBe(
      'name-constraints',
    );
  });

  it('when a leaf that is no authority carries name constraints', async () => {
    const leaf = await leafWith([...signing(), tls(), named(AGENT), permittedTrustDomain('fleet.example')]);
    expect(judge(asWic(leaf))).toBe('name-constraints');
  });

  it('without the extended key usage asked for', async () => {
    const server = await leafWith([...signing(), extendedKeyUsage(OID.serverAuth), named(AGENT)]);
    expect(judge(asWic(server))).toBe('accepted');
    expect(judge(asWic(server, { requiredEku: [OID.clientAuth] }))).toBe('extended-key-usage');
    const none = await leafWith([...signing(), named(AGENT)]);
    expect(judge(asWic(none))).toBe('extended-key-usage');
    const host = await leafWith([...signing(), subjectAltName([hostName('localhost')])]);
    expect(judge(asWic(host, { purpose: 'server' }))).toBe('extended-key-usage');
  });

  it('when a key may do what its purpose forbids', async () => {
    const both = await leafWith([
      basicConstraints(),
      keyUsage('keyAgreement', 'digitalSignature'),
      named(AGENT),
    ]);
    expect(judge(asWic(both, { purpose: 'lobby' }))).toBe('key-usage');
    const nothing = await leafWith([basicConstraints(), tls(), named(AGENT)]);
    expect(judge(asWic(nothing))).toBe('key-usage');
  });

  it('without a policy asked for, in the leaf or in an intermediate', async () => {
    const policy = certificatePolicies(OID.verifiedTpmResidency, OID.verifiedTpmFixed);
    const any = certificatePolicies(OID.anyPolicy);
    const good = await leafWith([...signing(), named(AGENT), policy]);
    expect(judge(asWic(good, { purpose: 'ldevid' }))).toBe('accepted');
    expect(judge(asWic(good, { purpose: 'ldevid', requiredPolicies: [OID.verifiedTpmRestricted] }))).toBe(
      'policy',
    );
    // anyPolicy on a leaf says nothing; an intermediate without policies grants none.
    expect(judge(asWic(await leafWith([...signing(), named(AGENT), any]), { purpose: 'ldevid' }))).toBe(
      'policy',
    );
    const silent = await authorityWith([basicConstraints({}), keyUsage('keyCertSign')]);
    const below = await leafWith([...signing(), named(AGENT), policy], silent);
    expect(judge(asWic(below, { purpose: 'ldevid', intermediates: [silent.certificate] }))).toBe('policy');
  });

  it('for a device whose subject has no serial number, or two', async () => {
    const serial = (value: string) => set(sequence(oid(OID.serialNumber), printableString(value)));
    const device = (...serials: readonly string[]) =>
      issueCertificate({
        ...issuing(aca),
        subject: sequence(...serials.map(serial)),
        publicKey: holder.publicJwk,
        extensions: signing(),
      });
    expect(judge(asWic(await device('RB7-1'), { purpose: 'device' }))).toBe('accepted');
    expect(judge(asWic(await device(), { purpose: 'device' }))).toBe('subject');
    expect(judge(asWic(await device('RB7-1', 'RB7-2'), { purpose: 'device' }))).toBe('subject');
  });

  it.each<[string, Uint8Array, readonly Uint8Array[], string]>([
    [
      'a URI excluded',
      constructed(1, sequence(primitive(6, utf8('fleet.example')))),
      [uriName(AGENT)],
      'name-constraints',
    ],
    [
      'another URI excluded',
      constructed(1, sequence(primitive(6, utf8('other.example')))),
      [uriName(AGENT)],
      'accepted',
    ],
    [
      'hosts below permitted',
      constructed(0, sequence(primitive(6, utf8('.example')))),
      [uriName(AGENT)],
      'accepted',
    ],
    [
      'hosts below a host permitted',
      constructed(0, sequence(primitive(6, utf8('.fleet.example')))),
      [uriName(AGENT)],
      'name-constraints',
    ],
    [
      'a DNS name permitted',
      constructed(0, sequence(primitive(2, utf8('fleet.example')))),
      [uriName(AGENT), hostName('a.fleet.example')],
      'accepted',
    ],
    [
      'another DNS name permitted',
      constructed(0, sequence(primitive(2, utf8('fleet.example')))),
      [uriName(AGENT), hostName('xfleet.example')],
      'name-constraints',
    ],
    [
      'IP addresses constrained',
      constructed(0, sequence(primitive(7, new Uint8Array(8)))),
      [uriName(AGENT)],
      'name-constraints',
    ],
    [
      'a subtree with a minimum',
      constructed(0, sequence(primitive(6, utf8('fleet.example')), primitive(0, Uint8Array.of(1)))),
      [uriName(AGENT)],
      'name-constraints',
    ],
  ])('by constraints of names: %s', async (_what, subtrees, names, expected) => {
    const constraint = { id: OID.nameConstraints, critical: true, value: sequence(subtrees) };
    const narrow = await authorityWith([basicConstraints({}), keyUsage('keyCertSign'), constraint]);
    const leaf = await leafWith([...signing(), tls(), subjectAltName(names)], narrow);
    expect(judge(asWic(leaf, { intermediates: [narrow.certificate] }))).toBe(expected);
  });

  it('when anything in it is not a certificate', async () => {
    const leaf = await issueWic({ ...issuing(aca), ...agent() });
    const junk = new Uint8Array(40);
    expect(judge(asWic(junk))).toBe('malformed');
    expect(judge(asWic(leaf, { intermediates: [junk] }))).toBe('malformed');
    expect(judge(asWic(leaf, { anchors: [junk] }))).toBe('malformed');
  });

  it('after bounded work, when authorities of one name lead round in circles', async () => {
    const [a, b] = [key(), key()];
    const ring = async (subject: string, signer: SoftwareKey, issuer: string, by: SoftwareKey) =>
      issueCertificate({
        issuer: await createRoot({ signer: by, random, commonName: issuer, notBefore: NOW - HOUR }),
        random,
        notBefore: NOW - HOUR,
        notAfter: NO_END,
        subject: writeName({ commonName: subject }),
        publicKey: signer.publicJwk,
        extensions: [basicConstraints({}), keyUsage('keyCertSign')],
      });
    const leaf = await issueWic({
      ...issuing({ signer: a, certificate: await ring('A', a, 'B', b) }),
      ...agent(),
    });
    const intermediates = [await ring('A', a, 'B', b), await ring('B', b, 'A', a)];
    expect(judge(asWic(leaf, { intermediates }))).toBe('anchor');
    // Sixty anchors that all bear the right name and the right key identifier, with another key.
    const { issuer } = parseCertificate(leaf);
    expect(issuer.commonName).toBe('A');
    const many = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const signer = key();
        const made = await createRoot({ signer, random, commonName: 'A', notBefore: NOW - HOUR });
        return made.certificate;
      }),
    );
    expect(judge({ leaf, anchors: many, at: NOW, purpose: 'wic' })).toBe('anchor');
  });

  it('for a time that is no time', async () => {
    const leaf = await issueWic({ ...issuing(aca), ...agent() });
    expect(() => judge(asWic(leaf, { at: Number.NaN }))).toThrow(TypeError);
  });
});
