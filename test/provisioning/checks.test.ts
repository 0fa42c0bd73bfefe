import { describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/index.ts';
import { base64url } from '../../src/core/bytes.ts';
import type { PublicJwk, SoftwareKey } from '../../src/core/signer.ts';
import { agentIdOf } from '../../src/identity/agent-id.ts';
import { parseCertificate } from '../../src/identity/certificate.ts';
import { basicConstraints, keyUsage } from '../../src/identity/extension-writer.ts';
import type { CertificateIssuer } from '../../src/identity/issue.ts';
import { issueCertificate } from '../../src/identity/issue.ts';
import { issueIakCertificate, issueIDevIdCertificate } from '../../src/identity/issue-device.ts';
import { writeName } from '../../src/identity/name.ts';
import type { Check } from '../../src/provisioning/checks.ts';
import { CHECKS } from '../../src/provisioning/checks.ts';
import type { DeviceIdentity } from '../../src/provisioning/device-identity.ts';
import { proveKeys } from '../../src/provisioning/keys.ts';
import { createMakerLine, makeVoucher } from '../../src/provisioning/maker.ts';
import { createRegistrar } from '../../src/provisioning/registrar.ts';
import type { RegistrarOptions } from '../../src/provisioning/registrar-options.ts';
import type { DeviceRecord } from '../../src/provisioning/registrar-store.ts';
import type { IdevidCsrContent } from '../../src/provisioning/tcg-csr.ts';
import { decodeCsr, encodeCsr, encodeCsrContent } from '../../src/provisioning/tcg-csr.ts';
import {
  certify,
  createPrimary,
  encode,
  flush,
  iakTemplate,
  idevidTemplate,
  jwkOfPublic,
  ldevidTemplate,
  persist,
  publicOfJwk,
  TPMT_PUBLIC,
  TPMT_SIGNATURE,
  tpmSigner,
} from '../../src/tpm/index.ts';
import type { Proof } from './by-hand.ts';
import { activationBody, beginBody, changedEvidence, enrolByHand, flipped, otherKey } from './by-hand.ts';
import type { TestDevice } from './world.ts';
import { aibomOf, DOMAIN, digestOf, World } from './world.ts';

/** One way to break each check; a check without one does not compile. */
const breaks: Record<Check, (world: World, device: TestDevice) => Promise<unknown>> = {
  'request-form': (world, device) =>
    enrolByHand(world, device, {
      begin: (body) => {
        body['more'] = 1;
      },
    }),
  'csr-form': (world, device) =>
    enrolByHand(world, device, {
      begin: (body) => {
        body.csr = flipped(body.csr, 200);
      },
    }),
  'csr-signature': (world, device) =>
    enrolByHand(world, device, {
      csr: (csr) => {
        const { content, signature } = decodeCsr(csr);
        return encodeCsr(encodeCsrContent({ ...content, prodSerial: 'DOG-0002' }), signature);
      },
    }),
  // Anchors never stand in for one another: the device CA is no TPM vendor, the TPM vendor no maker.
  'ek-chain': async (world, device) => {
    const { anchors } = world.registrarOptions;
    const [maker] = anchors.makers;
    world.registrar = registrarWith(world, {
      anchors: {
        ...anchors,
        ekVendors: (maker?.certificates ?? []).map((certificate) => ({ certificate, simulated: true })),
      },
    });
    return await enrolByHand(world, device);
  },
  'ek-profile': async (world, device) => {
    const notEk = await issueCertificate({
      issuer: world.line.ekCa,
      random: device.platform.random,
      notBefore: 0,
      notAfter: world.clock.now() + 1e9,
      subject: writeName({ commonName: 'not an EK' }),
      publicKey: parseCertificate(device.made.ekCertificate).spki,
      extensions: [basicConstraints(), keyUsage('keyAgreement')],
    });
    return await enrolByHand(world, device, {
      identity: (identity) => ({ ...identity, ekCertificate: parseCertificate(notEk) }),
    });
  },
  'simulated-tpm': (world, device) => {
    world.registrar = registrarWith(world, {
      simulation: false,
      platform: { ...world.platform, simulated: false },
    });
    return enrolByHand(world, device);
  },
  'idevid-chain': (world, device) =>
    enrolByHand(world, device, {
      identity: reissued(world, device, { idevid: { issuer: world.line.ekCa } }),
    }),
  'iak-chain': async (world, device) => {
    const other = await createMakerLine(world.platform, 'Other Maker');
    const { anchors } = world.registrarOptions;
    // Even a maker that is known here: the IAK must come from the same maker as the IDevID.
    const known = {
      name: other.name,
      certificates: [other.deviceCa.certificate],
      voucherKeys: [other.voucherKey.publicJwk],
    };
    world.registrar = registrarWith(world, { anchors: { ...anchors, makers: [...anchors.makers, known] } });
    return await enrolByHand(world, device, {
      identity: reissued(world, device, { iak: { issuer: other.deviceCa } }),
    });
  },
  'idevid-policy': (world, device) =>
    enrolByHand(world, device, {
      identity: async (identity) => ({
        ...identity,
        idevidCertificate: parseCertificate(
          await issueCertificate({
            issuer: world.line.deviceCa,
            random: device.platform.random,
            notBefore: 0,
            notAfter: world.clock.now() + 1e9,
            subject: writeName({ commonName: identity.model, serialNumber: identity.serial }),
            publicKey: identity.idevidCertificate.spki,
            extensions: [basicConstraints(), keyUsage('digitalSignature')],
          }),
        ),
      }),
    }),
  'iak-policy': (world, device) =>
    enrolByHand(world, device, {
      identity: async (identity) => ({
        ...identity,
        // The IDevID's certificate says nothing about "restricted".
        iakCertificate: parseCertificate(
          await issueIDevIdCertificate({
            ...issuing(world, device),
            publicKey: identity.iakCertificate.spki,
            serialNumber: identity.serial,
            commonName: identity.model,
            ekCertificate: identity.ekCertificate.der,
          }),
        ),
      }),
    }),
  'idevid-key': (world, device) =>
    enrolByHand(world, device, {
      identity: reissued(world, device, { idevid: { publicKey: otherKey(device).publicJwk } }),
    }),
  'iak-key': (world, device) =>
    enrolByHand(world, device, {
      identity: reissued(world, device, { iak: { publicKey: otherKey(device).publicJwk } }),
    }),
  'idevid-attributes': (world, device) =>
    enrolByHand(world, device, {
      // A key that anybody may certify by password: not the TCG's policy.
      identity: withKey(world, device, 'idevid', { ...ldevidTemplate, unique: idevidTemplate().unique }),
    }),
  'iak-attributes': (world, device) =>
    enrolByHand(world, device, {
      // Unrestricted: such a key signs forged attestations.
      identity: withKey(world, device, 'iak', {
        ...iakTemplate(),
        objectAttributes: { ...iakTemplate().objectAttributes, restricted: false },
      }),
    }),
  'idevid-certified-by-iak': (world, device) =>
    enrolByHand(world, device, {
      csr: async (csr, identity) => {
        const { attest, signature } = await certify(device.tpm, {
          object: identity.iak,
          signer: identity.iak,
        });
        return await resigned(device, identity, csr, {
          sgnCertifyInfo: attest,
          sgnCertifyInfoSignature: signature,
        });
      },
    }),
  'serial-equality': (world, device) =>
    enrolByHand(world, device, {
      identity: reissued(world, device, { iak: { serialNumber: 'DOG-0002' } }),
    }),
  'model-equality': (world, device) =>
    enrolByHand(world, device, {
      csr: (csr, identity) => resigned(device, identity, csr, { prodModel: 'dog-2' }),
    }),
  'hardware-module': async (world, device) => {
    const other = await world.device('DOG-0009');
    return await enrolByHand(world, device, {
      identity: reissued(world, device, { idevid: { ekCertificate: other.made.ekCertificate } }),
    });
  },
  voucher: (world, device) =>
    enrolByHand(world, device, {
      begin: async (body) => {
        const owner = (await World.create('other owner')).ca.certificate;
        body.voucher = await makeVoucher(world.line, {
          serial: device.made.serial,
          owner,
          ownership: 1,
          at: world.clock.now(),
        });
      },
    }),
  endorsement: (world, device) =>
    enrolByHand(world, device, {
      begin: async (body) => {
        body.aibom = base64url(aibomOf('another model'));
      },
    }),
  binding: (world, device) => {
    world.bindings.clear();
    return enrolByHand(world, device);
  },
  aibom: (world, device) => {
    world.registrar = registrarWith(world, { aibomRules: { forbidden: ['valibot'] } });
    return enrolByHand(world, device);
  },
  challenge: async (world, device) => {
    let sent: unknown;
    await enrolByHand(world, device, {
      activate: (body) => {
        sent = structuredClone(body);
      },
    });
    return await world.registrar.activate(sent); // the very same, again
  },
  'credential-activation': async (world, device) => {
    // An impostor with the dog's certificates and its CSR as it once went over the wire, but with its own TPM.
    const { body } = await beginBody(world, device, {});
    const challenge = await world.registrar.begin(body);
    const impostor = await world.device('CAT-0001');
    const other = await beginBody(world, impostor, {});
    const own = await world.registrar.begin(other.body);
    const answer = await activationBody(impostor, own, other.identity, other.csr, {
      activate: (sent) => {
        sent.challenge = challenge.challenge;
      },
    });
    return await world.registrar.activate(answer);
  },
  'evidence-form': (world, device) =>
    enrolByHand(world, device, {
      activate: (body) => {
        body.evidence = changedEvidence(body.evidence, (json) => {
          json['opinion'] = 'I am fine';
        });
      },
    }),
  'quote-signature': (world, device) =>
    enrolByHand(world, device, {
      proof: (proof) => {
        proof.quoting = proof.owned.lak; // at enrolment the IAK has to quote
      },
    }),
  'quote-form': (world, device) =>
    enrolByHand(world, device, {
      activate: (body) => {
        body.evidence = changedEvidence(body.evidence, (json) => {
          json['quote'] = body.lak.certifyInfo; // signed by the IAK too, but it says something else
          json['signature'] = body.lak.signature;
        });
      },
    }),
  'quote-nonce': (world, device) =>
    enrolByHand(world, device, {
      activate: (body, proof) => {
        // Somebody on the wire puts a key of his own in, with a fine proof of possession.
        const own = otherKey(device);
        body.keys = proveKeysOf(proof, own);
      },
    }),
  'pcr-selection': (world, device) =>
    enrolByHand(world, device, {
      proof: (proof) => {
        proof.pcrs = [16];
      },
    }),
  'pcr-digest': (world, device) =>
    enrolByHand(world, device, {
      activate: (body) => {
        body.evidence = changedEvidence(body.evidence, (json) => {
          json['pcrs'] = { '12': digestOf('a better value') };
        });
      },
    }),
  'pcr-replay': (world, device) =>
    enrolByHand(world, device, {
      activate: (body) => {
        body.evidence = changedEvidence(body.evidence, (json) => {
          json['runtimeLog'] = (json['runtimeLog'] as unknown[]).slice(0, -1);
        });
      },
    }),
  'reference-values': async (world, device) => {
    await device.attester.measure('configuration', 'fealty.json', 'changed by night');
    return await enrolByHand(world, device);
  },
  'aibom-digest': async (world, device) => {
    world.reference = {
      ...world.reference,
      measurements: [
        ...world.reference.measurements,
        { kind: 'model', name: 'speech', digests: [digestOf('speech')] },
      ],
    };
    await device.attester.measure('model', 'speech', 'speech'); // approved, but nobody listed it
    return await enrolByHand(world, device);
  },
  'tpm-clock': async (world, device) => {
    const pledge = await device.pledge();
    await pledge.obtain();
    await pledge.renew();
    const record = await world.store.device(pledge.agentId ?? '');
    if (record?.tpmClock === undefined) throw new Error('a renewal leaves the clock');
    await world.store.updateDevice({
      ...record,
      tpmClock: { ...record.tpmClock, clock: String(BigInt(record.tpmClock.clock) + 1_000_000n) },
    });
    return await pledge.renew();
  },
  'lak-attributes': (world, device) =>
    enrolByHand(world, device, {
      proof: (proof) => {
        proof.owned = { ...proof.owned, lak: proof.owned.ldevid };
      },
    }),
  'ldevid-attributes': (world, device) =>
    enrolByHand(world, device, {
      proof: (proof) => {
        proof.owned = { ...proof.owned, ldevid: proof.owned.lak };
      },
    }),
  'lak-certified': (world, device) =>
    enrolByHand(world, device, {
      proof: (proof) => {
        proof.certifiedNonce = new Uint8Array(32); // certified once, long ago
      },
    }),
  'ldevid-certified': (world, device) =>
    enrolByHand(world, device, {
      activate: (body, proof) => {
        // A key in memory, dressed up as one in the TPM.
        const area = publicOfJwk(ldevidTemplate, proof.keys.credential.publicJwk);
        body.ldevid = { ...body.ldevid, public: base64url(encode(TPMT_PUBLIC, area)) };
      },
    }),
  'key-possession': (world, device) =>
    enrolByHand(world, device, {
      activate: (body) => {
        body.keys.tls.jwk = otherKey(device).publicJwk;
      },
    }),
  'unknown-device': async (world, device) => {
    const pledge = await device.pledge();
    await pledge.obtain();
    await world.store.removeDevice(pledge.agentId ?? '');
    return await pledge.renew();
  },
  'renewal-signature': async (world, device) => {
    const pledge = await device.pledge();
    await pledge.obtain();
    world.tamper = (path, body) => {
      if (path.endsWith('/renew')) body['signature'] = flipped(String(body['signature']), 5);
    };
    return await pledge.renew();
  },
  revoked: async (world, device) => {
    const pledge = await device.pledge();
    await pledge.obtain();
    await world.registrar.revoke(pledge.agentId ?? '', 'stolen');
    return await pledge.renew();
  },
  'unique-ek': async (world, device) => {
    await (await device.pledge()).obtain();
    // The same chip goes through the line again under another serial number (seen in production at others).
    await chipOf(device).powerCycle();
    const twin = await world.device('DOG-0002', { chip: chipOf(device) });
    return await (await twin.pledge()).obtain();
  },
  'unique-idevid': (world, device) => taken(world, device, 'idevid'),
  'unique-iak': (world, device) => taken(world, device, 'iak'),
  'unique-serial': async (world, device) => {
    await (await device.pledge()).obtain();
    const twin = await world.device('DOG-0001', { name: 'twin', chip: await freshChip(world, 'twin') });
    return await (await twin.pledge()).obtain();
  },
  'unique-hardware-module': (world, device) => taken(world, device, 'hwSerialNum'),
  'unique-slug': (world, device) => taken(world, device, 'slug'),
};

describe('the registrar (PV-02, PV-03, PV-08: every proof is checked before anything is issued)', () => {
  it.each(CHECKS)('refuses at `%s` what breaks just that', async (check) => {
    const world = await World.create(`break ${check}`);
    const device = await world.device('DOG-0001');
    await expect(breaks[check](world, device)).rejects.toMatchObject({
      code: 'provisioning.refused',
      check,
    });
  });

  it('accepts the same enrolment by hand when nothing is broken', async () => {
    const world = await World.create('by hand');
    const device = await world.device('DOG-0001');
    await expect(enrolByHand(world, device)).resolves.toMatchObject({
      agentId: agentIdOf('home.test', 'dog-0001'),
    });
  });
});

function registrarWith(world: World, changes: Partial<RegistrarOptions>) {
  return createRegistrar({ ...world.registrarOptions, ...changes });
}

function issuing(world: World, device: TestDevice) {
  return { issuer: world.line.deviceCa, random: device.platform.random, notBefore: world.clock.now() - 1000 };
}

interface Reissue {
  readonly issuer?: CertificateIssuer;
  readonly publicKey?: PublicJwk;
  readonly serialNumber?: string;
  readonly ekCertificate?: Uint8Array;
}

/** The device with other certificates than the maker gave it; the issuer's key is the attacker's. */
function reissued(
  world: World,
  device: TestDevice,
  wanted: { readonly idevid?: Reissue; readonly iak?: Reissue },
) {
  return async (identity: DeviceIdentity): Promise<DeviceIdentity> => {
    const common = {
      ...issuing(world, device),
      serialNumber: identity.serial,
      commonName: identity.model,
      ekCertificate: identity.ekCertificate.der,
    };
    const { idevid, iak } = wanted;
    return {
      ...identity,
      ...(idevid === undefined
        ? {}
        : {
            idevidCertificate: parseCertificate(
              await issueIDevIdCertificate({
                ...common,
                publicKey: identity.idevidCertificate.spki,
                ...idevid,
              }),
            ),
          }),
      ...(iak === undefined
        ? {}
        : {
            iakCertificate: parseCertificate(
              await issueIakCertificate({ ...common, publicKey: identity.iakCertificate.spki, ...iak }),
            ),
          }),
    };
  };
}

/** The device with a key of another template in place of its own, and a certificate for it. */
function withKey(world: World, device: TestDevice, which: 'idevid' | 'iak', template: TPMT_PUBLIC) {
  return async (identity: DeviceIdentity): Promise<DeviceIdentity> => {
    const made = await createPrimary(device.tpm, { hierarchy: 'endorsement', template });
    const key = await persist(device.tpm, made, 0x81020100);
    await flush(device.tpm, made);
    const publicKey = jwkOfPublic(key.public);
    const certified = await reissued(world, device, { [which]: { publicKey } })(identity);
    return { ...certified, [which]: key };
  };
}

/** A CSR with other contents, properly signed by the IDevID. */
async function resigned(
  device: TestDevice,
  identity: DeviceIdentity,
  csr: Uint8Array,
  changes: Partial<IdevidCsrContent>,
): Promise<Uint8Array> {
  const signed = encodeCsrContent({ ...decodeCsr(csr).content, ...changes });
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
}

/** Enrols while another device already has the same `field`, and nothing else in common. */
async function taken(world: World, device: TestDevice, field: keyof DeviceRecord): Promise<unknown> {
  const pledge = await device.pledge();
  await pledge.obtain();
  const [record] = await world.store.devices();
  if (record === undefined) throw new Error('it was enrolled');
  await world.store.removeDevice(record.agentId);
  const other: DeviceRecord = {
    ...record,
    agentId: agentIdOf(DOMAIN, 'somebody-else'),
    slug: 'aaaaaaaaaaaaa',
    serial: 'X-1',
    ek: 'ee',
    idevid: 'dd',
    iak: 'aa',
    hwSerialNum: 'other',
    [field]: record[field],
  };
  expect(await world.store.claimDevice(other)).toBeUndefined();
  return await enrolByHand(world, device);
}

function chipOf(device: TestDevice): SoftwareTpm {
  if (device.chip === undefined) throw new Error('a software TPM');
  return device.chip;
}

function freshChip(world: World, seed: string): Promise<SoftwareTpm> {
  return SoftwareTpm.create({ random: world.platform.random, clock: world.clock, seed });
}

/** The three proofs with `own` in place of the credential key. */
function proveKeysOf(proof: Proof, own: SoftwareKey) {
  return proveKeys({ ...proof.keys, credential: own }, proof.nonce);
}
