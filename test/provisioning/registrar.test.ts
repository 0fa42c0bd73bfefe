import { describe, expect, it } from 'vitest';
import type { AuditEntry, AuditLog } from '../../src/core/audit.ts';
import { StoreFailed } from '../../src/core/errors.ts';
import type { Certificate } from '../../src/identity/certificate.ts';
import { parseCertificate } from '../../src/identity/certificate.ts';
import {
  subjectAltName as alternativeNames,
  basicConstraints,
  certificatePolicies,
  hardwareModuleName,
  keyUsage,
  permanentIdentifier,
} from '../../src/identity/extension-writer.ts';
import { issueCertificate } from '../../src/identity/issue.ts';
import {
  issueEkCertificate,
  issueIakCertificate,
  issueIDevIdCertificate,
} from '../../src/identity/issue-device.ts';
import { writeName } from '../../src/identity/name.ts';
import { proveKeys } from '../../src/provisioning/keys.ts';
import { makeVoucher } from '../../src/provisioning/maker.ts';
import { PATHS } from '../../src/provisioning/messages.ts';
import { createRegistrar } from '../../src/provisioning/registrar.ts';
import type { RegistrarOptions } from '../../src/provisioning/registrar-options.ts';
import { decodeCsr, encodeCsr, encodeCsrContent } from '../../src/provisioning/tcg-csr.ts';
import {
  certify,
  createPrimary,
  ekRsaTemplate,
  encode,
  flush,
  iakTemplate,
  spkiOfPublic,
  TPMT_SIGNATURE,
  tpmSigner,
} from '../../src/tpm/index.ts';
import type { Changes } from './by-hand.ts';
import { activationBody, beginBody, changedEvidence, enrolByHand, flipped } from './by-hand.ts';
import type { TestDevice } from './world.ts';
import { AUTHORITY, aibomOf, World } from './world.ts';

async function shelf(seed: string, changes: Partial<RegistrarOptions> = {}) {
  const world = await World.create(seed, changes);
  const device = await world.device('DOG-0001');
  return { world, device };
}

/** Further ways to break a check; `checks.test.ts` has the first of each. */
const further: readonly (readonly [
  string,
  string,
  (world: World, device: TestDevice) => Promise<unknown>,
])[] = [
  [
    'a voucher for another device',
    'voucher',
    (world, device) =>
      enrolByHand(world, device, {
        begin: async (body) => {
          body.voucher = await makeVoucher(world.line, {
            serial: 'DOG-0002',
            owner: world.ca.certificate,
            ownership: 1,
            at: world.clock.now(),
          });
        },
      }),
  ],
  [
    'a voucher with a changed signature',
    'voucher',
    (world, device) =>
      enrolByHand(world, device, {
        begin: (body) => {
          const [one] = body.voucher.signatures;
          body.voucher = { ...body.voucher, signatures: [{ ...one, signature: flipped(one.signature, 3) }] };
        },
      }),
  ],
  [
    'a binding of another device',
    'binding',
    async (world, device) => {
      await world.bind('DOG-0002', 'dog');
      world.bindings.set('DOG-0001', world.bindings.get('DOG-0002') ?? '');
      return await enrolByHand(world, device);
    },
  ],
  [
    'a binding to an agent of another trust domain',
    'binding',
    async (world, device) => {
      await world.bind('DOG-0001', 'dog', { agent: 'spiffe://elsewhere.test/agent/dog' });
      return await enrolByHand(world, device);
    },
  ],
  [
    'a binding by the provider',
    'binding',
    async (world, device) => {
      const { anchors } = world.registrarOptions;
      world.registrar = createRegistrar({
        ...world.registrarOptions,
        anchors: { ...anchors, owners: anchors.providers },
      });
      return await enrolByHand(world, device);
    },
  ],
  [
    'an endorsement of another model',
    'endorsement',
    async (world, device) =>
      enrolByHand(world, device, {
        begin: async (body) => {
          body.endorsement = await world.endorse(device.options.aibom, { model: 'dog-2' });
        },
      }),
  ],
  [
    'an endorsement for another maker',
    'endorsement',
    async (world, device) =>
      enrolByHand(world, device, {
        begin: async (body) => {
          body.endorsement = await world.endorse(device.options.aibom, { maker: 'Other' });
        },
      }),
  ],
  [
    'an expired endorsement',
    'endorsement',
    async (world, device) => {
      const { body } = await beginBody(world, device, {});
      await world.clock.advance(366 * 86_400_000);
      return await world.registrar.begin(body);
    },
  ],
  [
    'a serial number in the CSR that the certificates do not have',
    'serial-equality',
    (world, device) =>
      enrolByHand(world, device, {
        csr: async (csr, identity) => {
          const signed = encodeCsrContent({ ...decodeCsr(csr).content, prodSerial: 'DOG-0002' });
          const raw = await tpmSigner(device.tpm, identity.idevid).sign(signed);
          const signature = encode(TPMT_SIGNATURE, {
            sigAlg: 'ecdsa',
            hash: 'sha256',
            signatureR: raw.subarray(0, 32),
            signatureS: raw.subarray(32),
          });
          return encodeCsr(signed, signature);
        },
      }),
  ],
  [
    'an IAK certificate of another TPM',
    'hardware-module',
    async (world, device) => {
      const other = await world.device('DOG-0009');
      return await enrolByHand(world, device, {
        identity: async (identity) => ({
          ...identity,
          iakCertificate: parseCertificate(
            await issueIakCertificate({
              issuer: world.line.deviceCa,
              random: device.platform.random,
              notBefore: 0,
              publicKey: identity.iakCertificate.spki,
              serialNumber: identity.serial,
              commonName: identity.model,
              ekCertificate: other.made.ekCertificate,
            }),
          ),
        }),
      });
    },
  ],
  [
    'a challenge that expired',
    'challenge',
    (world, device) =>
      enrolByHand(world, device, {
        activate: async () => {
          await world.clock.advance(121_000);
        },
      }),
  ],
  [
    'a challenge for a renewal',
    'challenge',
    async (world, device) => {
      await enrolByHand(world, device);
      const renewal = await world.registrar.challenge({ agent: 'spiffe://home.test/agent/dog-0001' });
      return await enrolByHand(world, device, {
        activate: (body) => {
          body.challenge = renewal.challenge;
        },
      });
    },
  ],
  [
    'a challenge nobody gave',
    'challenge',
    (world, device) =>
      enrolByHand(world, device, {
        activate: (body) => {
          body.challenge = 'A'.repeat(43);
        },
      }),
  ],
  [
    'a certification of the IDevID by another key',
    'idevid-certified-by-iak',
    (world, device) =>
      enrolByHand(world, device, {
        csr: async (csr, identity) => {
          // An IAK of the null hierarchy: as good a template, but not the certified key.
          const other = await createPrimary(device.tpm, { hierarchy: 'null', template: iakTemplate() });
          const { attest, signature } = await certify(device.tpm, { object: identity.idevid, signer: other });
          await flush(device.tpm, other);
          const signed = encodeCsrContent({
            ...decodeCsr(csr).content,
            sgnCertifyInfo: attest,
            sgnCertifyInfoSignature: signature,
          });
          const raw = await tpmSigner(device.tpm, identity.idevid).sign(signed);
          return encodeCsr(
            signed,
            encode(TPMT_SIGNATURE, {
              sigAlg: 'ecdsa',
              hash: 'sha256',
              signatureR: raw.subarray(0, 32),
              signatureS: raw.subarray(32),
            }),
          );
        },
      }),
  ],
  [
    'a LAK certified by another key',
    'lak-certified',
    (world, device) =>
      enrolByHand(world, device, {
        proof: (proof) => {
          proof.certifying = proof.owned.lak; // by itself
        },
      }),
  ],
  [
    'an attestation of something else in place of a certification',
    'ldevid-certified',
    (world, device) =>
      enrolByHand(world, device, {
        activate: (body) => {
          const evidence = JSON.parse(Buffer.from(body.evidence[1], 'base64url').toString()) as {
            quote: string;
            signature: string;
          };
          body.ldevid = { ...body.ldevid, certifyInfo: evidence.quote, signature: evidence.signature };
        },
      }),
  ],
  [
    'values of PCRs that were not quoted',
    'pcr-selection',
    (world, device) =>
      enrolByHand(world, device, {
        activate: (body) => {
          body.evidence = changedEvidence(body.evidence, (json) => {
            json['pcrs'] = { ...(json['pcrs'] as object), '0': '00'.repeat(32) };
          });
        },
      }),
  ],
  [
    'a quote of other PCRs with values of the right ones',
    'pcr-selection',
    (world, device) =>
      enrolByHand(world, device, {
        proof: (proof) => {
          proof.pcrs = [16];
        },
        activate: (body) => {
          body.evidence = changedEvidence(body.evidence, (json) => {
            json['pcrs'] = { '12': '00'.repeat(32) };
          });
        },
      }),
  ],
  [
    'one key for two uses',
    'key-possession',
    (world, device) =>
      enrolByHand(world, device, {
        proof: (proof) => {
          proof.keys = { ...proof.keys, lobby: proof.keys.tls };
        },
      }),
  ],
  [
    'proofs made for another challenge',
    'key-possession',
    (world, device) =>
      enrolByHand(world, device, {
        activate: (body, proof) => {
          body.keys = proveKeys(proof.keys, new Uint8Array(32));
        },
      }),
  ],
  [
    'proofs swapped between uses',
    'key-possession',
    (world, device) =>
      enrolByHand(world, device, {
        activate: (body) => {
          body.keys = { ...body.keys, tls: body.keys.lobby, lobby: body.keys.tls };
        },
      }),
  ],
  [
    'an AIBOM digest in the evidence that is not the one endorsed',
    'aibom-digest',
    (world, device) =>
      enrolByHand(world, device, {
        activate: (body) => {
          body.evidence = changedEvidence(body.evidence, (json) => {
            json['aibom'] = '00'.repeat(32);
          });
        },
      }),
  ],
  [
    'a restored TPM: reset count goes back',
    'tpm-clock',
    async (world, device) => {
      const pledge = await device.pledge();
      await pledge.obtain();
      await pledge.renew();
      const [record] = await world.store.devices();
      if (record?.tpmClock === undefined) throw new Error('renewed');
      const tpmClock = { ...record.tpmClock, resetCount: record.tpmClock.resetCount + 1, clock: '0' };
      await world.store.updateDevice({ ...record, tpmClock });
      return await pledge.renew();
    },
  ],
  [
    'a device that its owner revoked',
    'revoked',
    async (world, device) => {
      await enrolByHand(world, device);
      await world.registrar.revoke('spiffe://home.test/agent/dog-0001', 'stolen');
      return await enrolByHand(world, device);
    },
  ],
  [
    'a revocation between challenge and answer',
    'revoked',
    async (world, device) => {
      await enrolByHand(world, device);
      return await enrolByHand(world, device, {
        activate: async () => {
          await world.registrar.revoke('spiffe://home.test/agent/dog-0001', 'stolen');
        },
      });
    },
  ],
  [
    'a renewal for another agent',
    'challenge',
    async (world, device) => {
      const other = await world.device('DOG-0002');
      await (await other.pledge()).obtain();
      const pledge = await device.pledge();
      await pledge.obtain();
      world.tamper = (path, body) => {
        if (path === PATHS.challenge) body['agent'] = 'spiffe://home.test/agent/dog-0002';
      };
      return await pledge.renew();
    },
  ],
  [
    'a renewal whose capabilities the provider took back',
    'endorsement',
    async (world, device) => {
      await (await device.pledge()).obtain();
      const endorsement = await world.endorse(device.options.aibom, { capabilities: ['lidar'] });
      return await (await device.pledge({ endorsement })).obtain();
    },
  ],
  [
    'a renewal with an AIBOM that the owner forbids by now',
    'aibom',
    async (world, device) => {
      await (await device.pledge()).obtain();
      world.registrar = createRegistrar({ ...world.registrarOptions, aibomRules: { forbidden: ['gait'] } });
      return await (await device.pledge()).obtain();
    },
  ],
  [
    'evidence of another device',
    'quote-signature',
    async (world, device) => {
      const other = await world.device('DOG-0002');
      const theirs = await beginBody(world, other, {});
      const challenge = await world.registrar.begin(theirs.body);
      const { evidence } = await activationBody(other, challenge, theirs.identity, theirs.csr);
      return await enrolByHand(world, device, {
        activate: (body) => {
          body.evidence = evidence;
        },
      });
    },
  ],
];

/** A device certificate with any names in it, by the maker's own authority. */
async function named(
  world: World,
  device: TestDevice,
  of: Certificate,
  names: { readonly serial?: string; readonly module?: string; readonly permanent?: string },
): Promise<Certificate> {
  const { subject, subjectAltName, policies = [], spki } = of;
  return parseCertificate(
    await issueCertificate({
      issuer: world.line.deviceCa,
      random: device.platform.random,
      notBefore: world.clock.now() - 1000,
      notAfter: world.clock.now() + 1e9,
      subject: writeName({
        commonName: subject.commonName,
        serialNumber: names.serial ?? subject.serialNumber,
      }),
      publicKey: spki,
      extensions: [
        basicConstraints(),
        keyUsage('digitalSignature'),
        certificatePolicies(...policies),
        alternativeNames([
          hardwareModuleName(names.module ?? subjectAltName?.hardwareModules[0]?.serial ?? ''),
          permanentIdentifier(names.permanent ?? subjectAltName?.permanentIdentifiers[0]?.value ?? ''),
        ]),
      ],
    }),
  );
}

describe('the certificates of a device', () => {
  it.each([
    ['hwSerialNum', { module: '464c5459:00:00' }],
    ['permanentIdentifier', { permanent: 'ab'.repeat(32) }],
  ])('must both name the EK certificate: another %s is refused', async (_, names) => {
    for (const which of ['idevidCertificate', 'iakCertificate'] as const) {
      const { world, device } = await shelf(`${which} ${JSON.stringify(names)}`);
      await expect(
        enrolByHand(world, device, {
          identity: async (identity) => ({
            ...identity,
            [which]: await named(world, device, identity[which], names),
          }),
        }),
      ).rejects.toMatchObject({ check: 'hardware-module' });
    }
  });

  it('must have a serial number that can be printed on a label', async () => {
    const { world, device } = await shelf('label');
    const serial = 'DOG 1';
    const enrolling = enrolByHand(world, device, {
      identity: async (identity) => ({
        ...identity,
        serial,
        idevidCertificate: await named(world, device, identity.idevidCertificate, { serial }),
        iakCertificate: await named(world, device, identity.iakCertificate, { serial }),
      }),
      begin: async (body) => {
        body.voucher = await makeVoucher(world.line, {
          serial: 'DOG-1',
          owner: world.ca.certificate,
          ownership: 1,
          at: world.clock.now(),
        });
      },
    });
    await expect(enrolling).rejects.toMatchObject({ check: 'serial-equality' });
  });
});

describe('a revocation', () => {
  const agent = 'spiffe://home.test/agent/dog-0001';

  it('is told when the challenge is asked for', async () => {
    const { world, device } = await shelf('revoked early');
    await enrolByHand(world, device);
    await world.registrar.revoke(agent, 'stolen');
    await expect(world.registrar.challenge({ agent })).rejects.toMatchObject({ check: 'revoked' });
  });

  it('in the very moment of a renewal wins', async () => {
    const { world, device } = await shelf('revoked late');
    const pledge = await device.pledge();
    await pledge.obtain();
    const { verifier } = world.registrarOptions;
    world.registrar = createRegistrar({
      ...world.registrarOptions,
      verifier: {
        ...verifier,
        appraise: async (request) => {
          await world.store.revokeDevice(agent);
          return await verifier.appraise(request);
        },
      },
    });
    await expect(pledge.renew()).rejects.toMatchObject({ check: 'revoked' });
    expect((await world.store.device(agent))?.status).toBe('revoked');
  });
});

describe('the registrar refuses also', () => {
  it.each(further)('%s, at `%s`', async (name, check, attack) => {
    const { world, device } = await shelf(name);
    await expect(attack(world, device)).rejects.toMatchObject({ code: 'provisioning.refused', check });
  });

  it('a platform that is made up, unless it is for simulation', async () => {
    const { world } = await shelf('made up');
    expect(() => createRegistrar({ ...world.registrarOptions, simulation: false })).toThrow(
      expect.objectContaining({ code: 'core.simulated-platform' }),
    );
  });
});

describe('the registrar', () => {
  it('accepts a TPM whose vendor certified an RSA endorsement key (template L-1)', async () => {
    const { world, device } = await shelf('rsa');
    const { tpm, platform } = device;
    const ek = await createPrimary(tpm, { hierarchy: 'endorsement', template: ekRsaTemplate });
    const issuing = { random: platform.random, notBefore: world.clock.now() - 1000 };
    const ekCertificate = await issueEkCertificate({
      ...issuing,
      issuer: world.line.ekCa,
      spki: spkiOfPublic(ek.public),
      manufacturer: 'id:464C5459',
      model: 'SW',
      version: 'id:00000001',
    });
    const answer = await enrolByHand(world, device, {
      identity: async (identity) => {
        const subject = {
          ...issuing,
          issuer: world.line.deviceCa,
          serialNumber: identity.serial,
          commonName: identity.model,
          ekCertificate,
        };
        const idevid = await issueIDevIdCertificate({
          ...subject,
          publicKey: identity.idevidCertificate.spki,
        });
        const iak = await issueIakCertificate({ ...subject, publicKey: identity.iakCertificate.spki });
        return {
          ...identity,
          ek,
          ekCertificate: parseCertificate(ekCertificate),
          idevidCertificate: parseCertificate(idevid),
          iakCertificate: parseCertificate(iak),
        };
      },
    });
    expect(answer.agentId).toBe('spiffe://home.test/agent/dog-0001');
  });

  it('renews with a new AIBOM when the provider endorses it', async () => {
    const { world, device } = await shelf('new aibom');
    await (await device.pledge()).obtain();
    const aibom = aibomOf('model', [{ type: 'data', name: 'maps', version: '2' }]);
    const pledge = await device.pledge({ aibom, endorsement: await world.endorse(aibom) });
    await pledge.obtain();
    const [record] = await world.store.devices();
    expect(Buffer.from(record?.aibomBytes ?? '', 'base64url').toString()).toContain('maps');
  });

  it('gives one answer to two that answer the same challenge at the same moment', async () => {
    const { world, device } = await shelf('race');
    let answer: unknown;
    const changes: Changes = {
      activate: (body) => {
        answer = structuredClone(body);
        throw new Error('not sent');
      },
    };
    await expect(enrolByHand(world, device, changes)).rejects.toThrow('not sent');
    const ended = await Promise.allSettled([
      world.registrar.activate(answer),
      world.registrar.activate(answer),
    ]);
    expect(ended.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('records every issuance and every refusal, and issues nothing that it cannot record', async () => {
    const entries: AuditEntry[] = [];
    let full = false;
    const audit: AuditLog = {
      append: async (entry) => {
        if (full) throw new StoreFailed('the disk is full');
        entries.push(entry);
        return { ...entry, index: entries.length, at: 0, previous: '' };
      },
      head: () => ({ index: entries.length, hash: '' }),
    };
    const { world, device } = await shelf('audit', { audit });
    await (await device.pledge()).obtain();
    await expect(
      enrolByHand(world, device, {
        begin: (body) => {
          body['more'] = 1;
        },
      }),
    ).rejects.toMatchObject({ check: 'request-form' });
    await world.registrar.revoke('spiffe://home.test/agent/dog-0001', 'stolen');
    expect(entries.map(({ kind, action, decision, cause }) => [kind, action, decision, cause])).toEqual([
      ['credential', 'enrol', 'permit', undefined],
      ['credential', 'begin', 'deny', 'request-form'],
      ['revocation', 'revoke', undefined, 'stolen'],
    ]);
    const other = await world.device('DOG-0002');
    full = true;
    await expect((await other.pledge()).obtain()).rejects.toMatchObject({
      code: 'provisioning.registrar-failed',
      status: 503,
      remedy: 'retry',
    });
  });

  it('asks devices to come later when too many are enrolling', async () => {
    const { world, device } = await shelf('busy', { challengesMax: 1 });
    const { body } = await beginBody(world, device, {});
    await world.registrar.begin(body);
    await expect(world.registrar.begin(body)).rejects.toMatchObject({
      code: 'provisioning.busy',
      remedy: 'retry',
    });
    await world.clock.advance(121_000);
    await expect(world.registrar.begin(body)).resolves.toBeDefined();
  });

  it('answers over HTTP only what it knows, and never why it broke', async () => {
    const { world } = await shelf('http');
    const ask = (path: string, init: RequestInit) =>
      world.registrar.handle(new Request(`${AUTHORITY}${path}`, init));
    expect((await ask(PATHS.begin, { method: 'GET' })).status).toBe(405);
    expect((await ask('/enrol/v1/other', { method: 'POST', body: '{}' })).status).toBe(404);
    expect((await ask(PATHS.begin, { method: 'POST', body: '{' })).status).toBe(400);
    expect((await ask(PATHS.begin, { method: 'POST', body: `"${'x'.repeat(800_000)}"` })).status).toBe(400);
    const refused = await ask(PATHS.begin, { method: 'POST', body: '{}' });
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ check: 'request-form' });
    world.voucherFor = () => Promise.reject(new Error('secret of the maker'));
    const broken = await ask(PATHS.voucher, {
      method: 'POST',
      body: JSON.stringify({
        'ietf-voucher-request:voucher': { 'serial-number': 'X', nonce: 'A'.repeat(43) },
      }),
    });
    expect(broken.status).toBe(500);
    expect(await broken.text()).not.toContain('secret');
  });

  it('keeps the activation secret out of what it sends', async () => {
    const { world, device } = await shelf('secret');
    const { body } = await beginBody(world, device, {});
    const challenge = await world.registrar.begin(body);
    const [record] = world.store.challenges.values();
    const { activationSecret } = JSON.parse(record?.state ?? '{}') as { activationSecret: string };
    expect(activationSecret).toHaveLength(43);
    expect(JSON.stringify(challenge)).not.toContain(activationSecret);
  });
});
