import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromPem, pem } from '../../src/core/pem.ts';
import { parseCertificate, unpadCertificate } from '../../src/identity/certificate.ts';
import { hardwareSerialOf } from '../../src/identity/hardware-serial.ts';
import type { CertificateIssuer } from '../../src/identity/issue.ts';
import {
  issueLDevIdCertificate,
  issueLobbyCertificate,
  issueServerCertificate,
  issueWic,
} from '../../src/identity/issue.ts';
import {
  issueEkCertificate,
  issueIakCertificate,
  issueIDevIdCertificate,
} from '../../src/identity/issue-device.ts';
import { OID } from '../../src/identity/oids.ts';
import { spkiOfJwk } from '../../src/identity/public-key.ts';
import { validateChain } from '../../src/identity/validate.ts';
import { AGENT, fleet, HOUR, issuing, key, NOW, random } from '../identity/fixtures.ts';
import { present } from './present.ts';

const run = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fealty-openssl-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const openssl = async (...args: readonly string[]) => {
  const { stdout } = await run('openssl', [...args], { cwd: folder, timeout: 30_000 });
  return stdout;
};

describe.skipIf(!present('openssl'))('certificates of ours, to OpenSSL', () => {
  let root: CertificateIssuer;
  let aca: CertificateIssuer;
  const at = String(NOW / 1000);

  const save = (name: string, der: Uint8Array) => writeFile(join(folder, name), pem('CERTIFICATE', der));
  const verify = (name: string, ...more: readonly string[]) =>
    openssl(
      'verify',
      '-x509_strict',
      '-attime',
      at,
      '-CAfile',
      'root.pem',
      '-untrusted',
      'aca.pem',
      ...more,
      name,
    );

  beforeAll(async () => {
    ({ root, aca } = await fleet());
    await save('root.pem', root.certificate);
    await save('aca.pem', aca.certificate);
  });

  it('form valid chains, WIC and LDevID also for their purposes', async () => {
    const agent = { ...issuing(aca), agentId: AGENT, publicKey: key().publicJwk };
    await save('wic.pem', await issueWic(agent));
    await save('ldevid.pem', await issueLDevIdCertificate(agent));
    await save('lobby.pem', await issueLobbyCertificate(agent));
    await save(
      'server.pem',
      await issueServerCertificate({
        ...issuing(aca),
        hosts: ['localhost', '127.0.0.1', '::1'],
        publicKey: key().publicJwk,
      }),
    );
    expect(await verify('wic.pem', '-purpose', 'sslclient')).toContain('wic.pem: OK');
    expect(await verify('wic.pem', '-purpose', 'sslserver')).toContain('wic.pem: OK');
    expect(await verify('ldevid.pem', '-policy', OID.verifiedTpmFixed, '-explicit_policy')).toContain('OK');
    expect(await verify('lobby.pem')).toContain('OK');
    for (const host of [
      ['-verify_hostname', 'localhost'],
      ['-verify_ip', '127.0.0.1'],
      ['-verify_ip', '::1'],
    ])
      expect(await verify('server.pem', '-purpose', 'sslserver', ...host)).toContain('OK');
    await expect(verify('server.pem', '-verify_hostname', 'other.example')).rejects.toThrow();
  });

  it('break where ours break: outside the trust domain, and expired', async () => {
    await save(
      'outside.pem',
      await issueWic({
        ...issuing(aca),
        agentId: 'spiffe://other.example/agent/x',
        publicKey: key().publicJwk,
      }),
    );
    await expect(verify('outside.pem')).rejects.toThrow(/permitted subtree violation/);
    await save(
      'old.pem',
      await issueWic({
        ...issuing(aca),
        notBefore: NOW - 3 * HOUR,
        notAfter: NOW - 2 * HOUR,
        agentId: AGENT,
        publicKey: key().publicJwk,
      }),
    );
    await expect(verify('old.pem')).rejects.toThrow(/expired/);
  });

  it('of a device read as the TCG profile says', async () => {
    const common = { issuer: aca, random, notBefore: NOW - HOUR };
    const ek = await issueEkCertificate({
      ...common,
      spki: spkiOfJwk(key().publicJwk),
      manufacturer: 'id:00001014',
      model: 'swtpm',
      version: 'id:20191023',
    });
    const device = { ...common, publicKey: key().publicJwk, serialNumber: 'RB7-000123', ekCertificate: ek };
    await save('ek.pem', ek);
    await save('idevid.pem', await issueIDevIdCertificate(device));
    await save('iak.pem', await issueIakCertificate(device));
    for (const name of ['ek.pem', 'idevid.pem', 'iak.pem']) expect(await verify(name)).toContain('OK');
    const text = await openssl('x509', '-in', 'iak.pem', '-noout', '-text');
    expect(text).toContain('serialNumber = RB7-000123');
    expect(text).toContain('Not After : Dec 31 23:59:59 9999 GMT');
    expect(text).toContain(`Policy: ${OID.verifiedTpmRestricted}`);
    expect(text).toContain('othername');
    expect(await openssl('x509', '-in', 'ek.pem', '-noout', '-text')).toMatch(/critical\s+DirName:/);
    const parsed = await openssl('asn1parse', '-in', 'iak.pem', '-strparse', await sanOffset('iak.pem'));
    expect(parsed).toContain(OID.ekPermIdSha256);
    expect(parsed).toContain(OID.tpm20);
    expect(parsed).toContain(hardwareSerialOf(ek));
  });

  const sanOffset = async (name: string) => {
    const lines = (await openssl('asn1parse', '-in', name)).split('\n');
    const at = lines.findIndex((line) => line.includes('X509v3 Subject Alternative Name'));
    return /^\s*(\d+):/.exec(lines[at + 1] ?? '')?.[1] ?? '';
  };
});

describe.skipIf(!present('openssl'))('certificates of OpenSSL, to us', () => {
  it('read and verify: P-384 and RSA-PSS roots, P-256 leaf', async () => {
    await writeFile(
      join(folder, 'leaf.cnf'),
      `[leaf]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\nsubjectAltName=URI:${AGENT}\n`,
    );
    await openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'leaf.key',
      '-subj',
      '/CN=leaf',
      '-out',
      'leaf.csr',
    );
    const roots: Record<string, readonly string[]> = {
      p384: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384'],
      pss: [
        '-newkey',
        'rsa:2048',
        '-sigopt',
        'rsa_padding_mode:pss',
        '-sigopt',
        'rsa_pss_saltlen:32',
        '-sha256',
      ],
    };
    for (const [name, options] of Object.entries(roots)) {
      await openssl(
        'req',
        '-x509',
        ...options,
        '-nodes',
        '-keyout',
        `${name}.key`,
        '-subj',
        `/CN=${name}`,
        '-days',
        '10',
        '-addext',
        'keyUsage=critical,keyCertSign',
        '-out',
        `${name}.pem`,
      );
      const pss =
        name === 'pss'
          ? ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32', '-sha256']
          : ['-sha384'];
      await openssl(
        'x509',
        '-req',
        '-in',
        'leaf.csr',
        '-CA',
        `${name}.pem`,
        '-CAkey',
        `${name}.key`,
        '-days',
        '5',
        '-extfile',
        'leaf.cnf',
        '-extensions',
        'leaf',
        ...pss,
        '-out',
        `${name}-leaf.pem`,
      );
      const read = async (file: string) =>
        fromPem('CERTIFICATE', await readFile(join(folder, file), 'utf8'))[0] ?? new Uint8Array();
      const leaf = await read(`${name}-leaf.pem`);
      const { agentId } = validateChain({
        leaf,
        anchors: [await read(`${name}.pem`)],
        at: parseCertificate(leaf).notBefore,
        purpose: 'wic',
        requiredEku: [OID.clientAuth],
      });
      expect(agentId).toBe(AGENT);
    }
  });
});

describe.skipIf(!present('swtpm_localca', 'openssl'))('EK certificates of swtpm_localca, to us', () => {
  it.each(['rsa', 'ecc'])(
    'read with their critical directoryName, and chain to their root (%s)',
    async (kind) => {
      const state = await mkdtemp(join(folder, 'localca-'));
      await writeFile(
        join(state, 'localca.conf'),
        `statedir = ${state}\nsigningkey = ${state}/signkey.pem\nissuercert = ${state}/issuer.pem\ncertserial = ${state}/serial\n`,
      );
      await writeFile(
        join(state, 'options'),
        '--platform-manufacturer Maker\n--platform-version 1\n--platform-model RB7\n',
      );
      let ek: string;
      if (kind === 'rsa') {
        await openssl('genrsa', '-out', `${state}/ek.key`, '2048');
        const modulus = await openssl('rsa', '-in', `${state}/ek.key`, '-noout', '-modulus');
        ek = modulus.trim().replace('Modulus=', '').toLowerCase();
      } else {
        const { publicJwk } = key();
        const coordinate = (value: string) => Buffer.from(value, 'base64url').toString('hex');
        ek = `x=${coordinate(publicJwk.x)},y=${coordinate(publicJwk.y)},id=secp256r1`;
      }
      await run(
        'swtpm_localca',
        [
          '--type',
          'ek',
          '--ek',
          ek,
          '--dir',
          state,
          '--vmid',
          'robot-7',
          '--tpm2',
          '--tpm-spec-family',
          '2.0',
          '--tpm-spec-level',
          '0',
          '--tpm-spec-revision',
          '164',
          '--tpm-manufacturer',
          'id:00001014',
          '--tpm-model',
          'swtpm',
          '--tpm-version',
          'id:20191023',
          '--configfile',
          `${state}/localca.conf`,
          '--optsfile',
          `${state}/options`,
        ],
        { timeout: 60_000 },
      );
      const leaf = unpadCertificate(new Uint8Array(await readFile(join(state, 'ek.cert'))));
      const pemOf = async (name: string) =>
        fromPem('CERTIFICATE', await readFile(join(state, name), 'utf8'))[0] ?? new Uint8Array();
      const chain = validateChain({
        leaf,
        intermediates: [await pemOf('issuer.pem')],
        anchors: [await pemOf('swtpm-localca-rootca-cert.pem')],
        at: parseCertificate(leaf).notBefore,
        purpose: 'ek',
      });
      expect(chain.path).toHaveLength(3);
      expect(chain.leaf.publicKey.kind).toBe(kind === 'rsa' ? 'rsa' : 'p256');
      expect(hardwareSerialOf(leaf)).toMatch(/^00001014:[0-9a-f]+:[0-9a-f]+$/);
    },
  );
});
