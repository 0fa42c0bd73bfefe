import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../src/identity/certificate.ts';
import { issueServerCertificate, issueWic } from '../../src/identity/issue.ts';
import { validateChain } from '../../src/identity/validate.ts';
import { AGENT, fleet, HOUR, issuing, key, NOW } from './fixtures.ts';

describe('an issued certificate', () => {
  it('is a WIC whose chain validates', async () => {
    const { root, aca } = await fleet();
    const wic = await issueWic({ ...issuing(aca), agentId: AGENT, publicKey: key().publicJwk });
    const chain = validateChain({
      leaf: wic,
      intermediates: [aca.certificate],
      anchors: [root.certificate],
      at: NOW,
      purpose: 'wic',
    });
    expect(chain.agentId).toBe(AGENT);
    expect(parseCertificate(wic).subject.commonName).toMatch(/^[a-z2-7]{13}$/);
  });

  it('of a server names its hosts as URLs write them', async () => {
    const { aca } = await fleet();
    const make = (hosts: readonly string[]) =>
      issueServerCertificate({ ...issuing(aca), hosts, publicKey: key().publicJwk });
    const { subjectAltName } = parseCertificate(
      await make(['Broker.example', '127.0.0.1', '::1', '2001:db8::7']),
    );
    expect(subjectAltName).toMatchObject({
      dns: ['broker.example'],
      ips: ['127.0.0.1', '::1', '2001:db8::7'],
    });
    for (const hosts of [[], ['a b'], ['256.0.0.1'], ['1::2::3'], ['12345::'], ['']])
      expect(() => make(hosts)).toThrow(TypeError);
  });

  it('has another serial number each time, of 16 bytes', async () => {
    const { aca } = await fleet();
    const made = await Promise.all(
      Array.from({ length: 8 }, () =>
        issueWic({ ...issuing(aca), agentId: AGENT, publicKey: key().publicJwk }),
      ),
    );
    const serials = made.map((der) => parseCertificate(der).serial);
    expect(new Set(serials).size).toBe(8);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/);
  });

  it('is not made for longer than a day, backwards in time, or for what is no identifier', async () => {
    const { aca } = await fleet();
    const wic = { ...issuing(aca), agentId: AGENT, publicKey: key().publicJwk };
    expect(() => issueWic({ ...wic, notAfter: wic.notBefore + 24 * HOUR + 1 })).toThrow(TypeError);
    await expect(issueWic({ ...wic, notAfter: wic.notBefore })).rejects.toThrow(TypeError);
    expect(() => issueWic({ ...wic, agentId: 'https://fleet.example/x' })).toThrow(/agent identifier/);
  });
});
