import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import forge from 'node-forge';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat } from '../../src/core/bytes.ts';
import { Malformed } from '../../src/core/errors.ts';
import { pem } from '../../src/core/pem.ts';
import { NO_END, parseCertificate, unpadCertificate } from '../../src/identity/certificate.ts';
import { hardwareSerialOf, permanentIdentifierOf } from '../../src/identity/hardware-serial.ts';
import { issueWic } from '../../src/identity/issue.ts';
import {
  issueEkCertificate,
  issueIakCertificate,
  issueIDevIdCertificate,
} from '../../src/identity/issue-device.ts';
import { OID } from '../../src/identity/oids.ts';
import { readSpki, spkiOfJwk, spkiOfRsa } from '../../src/identity/public-key.ts';
import { isSignedBy, validateChain } from '../../src/identity/validate.ts';
import { AGENT, fleet, HOUR, issuing, key, NOW, random } from './fixtures.ts';

let wic: Uint8Array;
let ek: Uint8Array;
let idevid: Uint8Array;
let iak: Uint8Array;
let vendor: Awaited<ReturnType<typeof fleet>>;

beforeAll(async () => {
  vendor = await fleet();
  const { aca } = vendor;
  wic = await issueWic({ ...issuing(aca), agentId: AGENT, publicKey: key().publicJwk });
  const common = { issuer: aca, random, notBefore: NOW - HOUR };
  ek = await issueEkCertificate({
    ...common,
    spki: spkiOfJwk(key().publicJwk),
    manufacturer: 'id:00001014',
    model: 'swtpm',
    version: 'id:20191023',
  });
  const device = {
    ...common,
    serialNumber: 'RB7-000123',
    organization: 'Maker',
    commonName: 'RB7',
    ekCertificate: ek,
  };
  idevid = await issueIDevIdCertificate({ ...device, publicKey: key().publicJwk });
  iak = await issueIakCertificate({ ...device, publicKey: key().publicJwk });
});

describe('certificates of a TPM (facts/tpm.md section 4.3)', () => {
  it('of an endorsement key name the TPM and nothing else', () => {
    const { subject, subjectAltName, extendedKeyUsage, keyUsage, notAfter, unknownCritical } =
      parseCertificate(ek);
    expect(subject.attributes).toEqual([]);
    expect(subjectAltName?.directoryNames[0]?.attributes).toEqual([
      [OID.tpmManufacturer, 'id:00001014'],
      [OID.tpmModel, 'swtpm'],
      [OID.tpmVersion, 'id:20191023'],
    ]);
    expect(extendedKeyUsage).toEqual([OID.ekCertificate]);
    expect([...(keyUsage ?? [])]).toEqual(['keyAgreement']);
    expect(notAfter).toBe(NO_END);
    expect(unknownCritical).toEqual([]);
  });

  it('of IDevID and IAK have one subject, bind the EK certificate, and differ in policy', () => {
    const [a, b] = [parseCertificate(idevid), parseCertificate(iak)];
    expect(a.subjectDer).toEqual(b.subjectDer);
    expect(a.subject).toMatchObject({ serialNumber: 'RB7-000123', organization: 'Maker', commonName: 'RB7' });
    const endorsement = parseCertificate(ek);
    const serial = `00001014:${endorsement.authorityKeyId}:${endorsement.serial}`;
    expect(hardwareSerialOf(ek)).toBe(serial);
    for (const certificate of [a, b]) {
      expect(certificate.subjectAltName?.hardwareModules).toEqual([{ type: OID.tpm20, serial }]);
      expect(certificate.subjectAltName?.permanentIdentifiers).toEqual([
        { value: permanentIdentifierOf(ek), assigner: OID.ekPermIdSha256 },
      ]);
      expect(certificate.notAfter).toBe(NO_END);
    }
    expect(a.policies).toEqual([OID.verifiedTpmResidency, OID.verifiedTpmFixed]);
    expect(b.policies).toEqual([OID.verifiedTpmResidency, OID.verifiedTpmFixed, OID.verifiedTpmRestricted]);
  });

  it('of an RSA endorsement key are for decipherment', async () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
    const certificate = parseCertificate(
      await issueEkCertificate({
        issuer: vendor.aca,
        random,
        notBefore: NOW,
        spki,
        manufacturer: 'id:00001014',
        model: 'swtpm',
        version: 'id:1',
      }),
    );
    expect(certificate.publicKey.kind).toBe('rsa');
    expect([...(certificate.keyUsage ?? [])]).toEqual(['keyEncipherment']);
    const key = readSpki(spki);
    if (key.kind !== 'rsa') throw new Error('not RSA');
    expect(spkiOfRsa(key.modulus)).toEqual(spki);
  });

  it('are found before the padding of an NV index', () => {
    expect(unpadCertificate(concat(ek, new Uint8Array(40).fill(0xff)))).toEqual(ek);
    expect(unpadCertificate(concat(ek, new Uint8Array(40)))).toEqual(ek);
    expect(unpadCertificate(ek)).toEqual(ek);
    expect(() => unpadCertificate(concat(ek, Uint8Array.of(0xff, 0, 0)))).toThrow(Malformed);
    expect(() => parseCertificate(concat(ek, new Uint8Array(1)))).toThrow(Malformed);
  });
});

describe('RSA certificates made by node-forge', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { format: 'pem', type: 'pkcs1' },
    publicKeyEncoding: { format: 'pem', type: 'spki' },
  });

  const made = (change: (certificate: forge.pki.Certificate) => void = () => {}): forge.pki.Certificate => {
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
    certificate.serialNumber = '0a1b';
    certificate.validity.notBefore = new Date(NOW - HOUR);
    certificate.validity.notAfter = new Date(NOW + HOUR);
    const name = [
      { name: 'organizationName', value: 'Chips' },
      { name: 'commonName', value: 'chip root' },
    ];
    certificate.setSubject(name);
    certificate.setIssuer(name);
    change(certificate);
    return certificate;
  };
  const derOf = (certificate: forge.pki.Certificate) =>
    new Uint8Array(
      Buffer.from(forge.asn1.toDer(forge.pki.certificateToAsn1(certificate)).getBytes(), 'binary'),
    );
  const signer = forge.pki.privateKeyFromPem(privateKey);

  it('are read as node-forge wrote them, and verify', () => {
    const certificate = made((one) =>
      one.setExtensions([
        { name: 'basicConstraints', cA: true, critical: true, pathLenConstraint: 1 },
        { name: 'keyUsage', keyCertSign: true, critical: true },
        {
          name: 'subjectAltName',
          altNames: [
            { type: 6, value: AGENT },
            { type: 2, value: 'A.example' },
            { type: 7, ip: '127.0.0.1' },
          ],
        },
        { name: 'extKeyUsage', clientAuth: true },
        { name: 'subjectKeyIdentifier' },
      ]),
    );
    certificate.sign(signer, forge.md.sha256.create());
    const read = parseCertificate(derOf(certificate));
    expect(read).toMatchObject({
      serial: '0a1b',
      notBefore: NOW - HOUR,
      notAfter: NOW + HOUR,
      subject: { commonName: 'chip root', organization: 'Chips' },
      basicConstraints: { ca: true, pathLength: 1 },
      extendedKeyUsage: [OID.clientAuth],
      subjectAltName: { uris: [AGENT], dns: ['a.example'], ips: ['127.0.0.1'] },
      signatureAlgorithm: { kind: 'rsa', hash: 'sha256' },
    });
    expect(isSignedBy(read, read)).toBe(true);
  });

  it.each(['sha256', 'sha384', 'sha512'] as const)('signed with RSA-PSS and %s verify', (hash) => {
    const certificate = made();
    const md = forge.md[hash];
    const pss = forge.pss.create({
      md: md.create(),
      mgf: forge.mgf.mgf1.create(md.create()),
      saltLength: md.create().digestLength,
    });
    // node-forge reads the algorithm from these two members when it writes a PSS certificate.
    Object.assign(certificate, {
      signatureOid: forge.pki.oids['RSASSA-PSS'],
      siginfo: { algorithmOid: forge.pki.oids['RSASSA-PSS'] },
    });
    const parameters = {
      hash: { algorithmOid: forge.pki.oids[hash] },
      mgf: { algorithmOid: forge.pki.oids['mgf1'], hash: { algorithmOid: forge.pki.oids[hash] } },
      saltLength: md.create().digestLength,
    };
    Object.assign(certificate, { signatureParameters: parameters });
    Object.assign((certificate as unknown as { siginfo: object }).siginfo, { parameters });
    const { getTBSCertificate } = forge.pki as unknown as {
      getTBSCertificate(certificate: forge.pki.Certificate): forge.asn1.Asn1;
    };
    const tbs = getTBSCertificate(certificate);
    const digest = md.create();
    digest.update(forge.asn1.toDer(tbs).getBytes());
    certificate.tbsCertificate = tbs;
    certificate.signature = signer.sign(digest, pss);
    const read = parseCertificate(derOf(certificate));
    expect(read.signatureAlgorithm).toMatchObject({ kind: 'rsa-pss', hash });
    expect(isSignedBy(read, read)).toBe(true);
    const flipped = { ...read, signature: read.signature.map((byte, i) => (i === 9 ? byte ^ 1 : byte)) };
    expect(isSignedBy(flipped, read)).toBe(false);
  });

  it('signed with SHA-1 or MD5 are refused', () => {
    for (const md of [forge.md.sha1.create(), forge.md.md5.create()]) {
      const certificate = made();
      certificate.sign(signer, md);
      expect(() => parseCertificate(derOf(certificate))).toThrow(/signed with/);
    }
  });

  it('for keys of 1,024 bits are refused', () => {
    const small = generateKeyPairSync('rsa', {
      modulusLength: 1024,
      publicKeyEncoding: { format: 'pem', type: 'spki' },
      privateKeyEncoding: { format: 'pem', type: 'pkcs1' },
    });
    const certificate = made((one) => {
      one.publicKey = forge.pki.publicKeyFromPem(small.publicKey);
    });
    certificate.sign(signer, forge.md.sha256.create());
    expect(() => parseCertificate(derOf(certificate))).toThrow(/2,048/);
  });

  it('may be the anchor of an EK chain', () => {
    const root = made((one) =>
      one.setExtensions([
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, critical: true },
      ]),
    );
    root.sign(signer, forge.md.sha256.create());
    const leaf = made((one) => {
      one.setSubject([{ name: 'commonName', value: 'unknown' }]);
      one.setExtensions([
        { name: 'keyUsage', keyEncipherment: true, critical: true },
        { name: 'extKeyUsage', [OID.ekCertificate]: true },
      ]);
    });
    leaf.sign(signer, forge.md.sha256.create());
    const chain = validateChain({ leaf: derOf(leaf), anchors: [derOf(root)], at: NOW, purpose: 'ek' });
    expect(chain.anchor.subject.commonName).toBe('chip root');
  });
});

describe('a chain with more anchors of one name than anybody needs', () => {
  it('is refused after twelve signatures', () => {
    const pair = () =>
      generateKeyPairSync('rsa', {
        modulusLength: 2048,
        privateKeyEncoding: { format: 'pem', type: 'pkcs1' },
        publicKeyEncoding: { format: 'pem', type: 'spki' },
      });
    const [anchorKey, leafKey] = [pair(), pair()];
    const make = (keys: typeof anchorKey, subject: string, extensions: object[]) => {
      const certificate = forge.pki.createCertificate();
      certificate.publicKey = forge.pki.publicKeyFromPem(keys.publicKey);
      certificate.serialNumber = '01';
      certificate.validity.notBefore = new Date(NOW - HOUR);
      certificate.validity.notAfter = new Date(NOW + HOUR);
      certificate.setSubject([{ name: 'commonName', value: subject }]);
      certificate.setIssuer([{ name: 'commonName', value: 'chip root' }]);
      certificate.setExtensions(extensions);
      certificate.sign(forge.pki.privateKeyFromPem(keys.privateKey), forge.md.sha256.create());
      return new Uint8Array(
        Buffer.from(forge.asn1.toDer(forge.pki.certificateToAsn1(certificate)).getBytes(), 'binary'),
      );
    };
    const anchor = make(anchorKey, 'chip root', [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ]);
    const leaf = make(leafKey, 'unknown', [
      { name: 'keyUsage', keyEncipherment: true, critical: true },
      { name: 'extKeyUsage', [OID.ekCertificate]: true },
    ]);
    const judge = (count: number) => () =>
      validateChain({ leaf, anchors: Array<Uint8Array>(count).fill(anchor), at: NOW, purpose: 'ek' });
    expect(judge(12)).toThrow(expect.objectContaining({ check: 'signature' }));
    expect(judge(13)).toThrow(expect.objectContaining({ check: 'work' }));
  });
});

describe('our certificates', () => {
  it('are the same to Node', async () => {
    const { X509Certificate } = await import('node:crypto');
    for (const der of [wic, ek, idevid, iak]) {
      const theirs = new X509Certificate(pem('CERTIFICATE', der));
      const ours = parseCertificate(der);
      expect(theirs.serialNumber.toLowerCase()).toBe(ours.serial);
      expect(theirs.verify(new X509Certificate(vendor.aca.certificate).publicKey)).toBe(true);
    }
    expect(new X509Certificate(wic).subjectAltName).toBe(`URI:${AGENT}`);
  });
});

describe('a certificate made of hostile bytes', () => {
  const onlyMalformed = (bytes: Uint8Array) => {
    try {
      parseCertificate(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(Malformed);
    }
  };

  it('is refused with Malformed and nothing else', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), onlyMalformed), { seed: 7, numRuns: 500 });
  });

  it('that was good until some bytes changed is read or refused with Malformed', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('wic', 'ek', 'iak'),
        fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (which, changes) => {
          const bytes = { wic, ek, iak }[which].slice();
          for (const [position, value] of changes) bytes[position % bytes.length] = value;
          onlyMalformed(bytes);
        },
      ),
      { seed: 8, numRuns: 1500 },
    );
  });

  it('cut anywhere is refused', () => {
    for (let size = 0; size < wic.length; size += 7)
      expect(() => parseCertificate(wic.subarray(0, size))).toThrow(Malformed);
  });

  it('of more than 16 KB is refused before it is read', () => {
    expect(() => parseCertificate(new Uint8Array(16_385))).toThrow(/16384/);
  });
});
