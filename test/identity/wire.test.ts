import { describe, expect, it } from 'vitest';
import { slugOf } from '../../src/core/names.ts';
import { fromPem } from '../../src/core/pem.ts';
import { readBundle, writeBundle } from '../../src/identity/bundle-codec.ts';
import { hardwareSerialOf, permanentIdentifierOf } from '../../src/identity/hardware-serial.ts';
import { OID } from '../../src/identity/oids.ts';
import type { CertificatePurpose } from '../../src/identity/validate.ts';
import { validateChain } from '../../src/identity/validate.ts';
import { verifyClientAttestation, verifyWit } from '../../src/identity/wit.ts';
import { AGENT, NOW } from './fixtures.ts';
import { vector } from './vectors.ts';

const bundle = readBundle('fleet.example', vector('bundle'));
const der = (name: string) => fromPem('CERTIFICATE', vector(name))[0] ?? new Uint8Array();
const anchors = [bundle.keys[0]?.certificate ?? new Uint8Array()];

describe('the examples of the wire reference', () => {
  it('are a bundle, a WIT and a client attestation that verify', () => {
    expect(writeBundle(bundle)).toBe(vector('bundle'));
    const wit = verifyWit(vector('wit'), [bundle], NOW);
    expect(wit).toMatchObject({ sub: AGENT, expiresAt: NOW + 3_600_000 });
    expect(verifyClientAttestation(vector('client-attestation'), [bundle], NOW)).toMatchObject({
      sub: AGENT,
      iss: 'https://authority.fleet.example:8443',
      key: wit.key,
    });
  });

  it.each<[string, CertificatePurpose]>([
    ['wic', 'wic'],
    ['ldevid', 'ldevid'],
    ['lobby', 'lobby'],
  ])('are a certificate that is valid as %s', (name, purpose) => {
    const { agentId, leaf } = validateChain({ leaf: der(name), anchors, at: NOW, purpose });
    expect(agentId).toBe(AGENT);
    expect(leaf.subject.commonName).toBe(slugOf(AGENT));
  });

  it('are the certificates of a device', () => {
    const maker = [der('maker')];
    const ek = der('ek');
    validateChain({ leaf: ek, anchors: maker, at: NOW, purpose: 'ek' });
    const policies = [OID.verifiedTpmResidency, OID.verifiedTpmFixed];
    const [idevid, iak] = (
      [
        ['idevid', policies],
        ['iak', [...policies, OID.verifiedTpmRestricted]],
      ] as const
    ).map(([name, requiredPolicies]) =>
      validateChain({ leaf: der(name), anchors: maker, at: NOW, purpose: 'device', requiredPolicies }),
    );
    expect(idevid?.leaf.subjectDer).toEqual(iak?.leaf.subjectDer);
    expect(iak?.leaf.subjectAltName?.hardwareModules[0]?.serial).toBe(hardwareSerialOf(ek));
    expect(iak?.leaf.subjectAltName?.permanentIdentifiers[0]?.value).toBe(permanentIdentifierOf(ek));
    expect(() =>
      validateChain({
        leaf: der('idevid'),
        anchors: maker,
        at: NOW,
        purpose: 'device',
        requiredPolicies: [OID.verifiedTpmRestricted],
      }),
    ).toThrow(expect.objectContaining({ check: 'policy' }));
  });
});
