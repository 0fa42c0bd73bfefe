import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { CMW_EVIDENCE, EVIDENCE_TYPE, unwrapCmw } from '../../src/attestation/cmw.ts';
import { verifyEar } from '../../src/attestation/results.ts';
import type { Measurement } from '../../src/attestation/runtime-log.ts';
import { measurementDigest, replay } from '../../src/attestation/runtime-log.ts';
import { readTpmPublic } from '../../src/attestation/tpm-key.ts';
import { base64url, fromBase64url, hex, utf8 } from '../../src/core/bytes.ts';
import { peekPayload, verifyJwsSync } from '../../src/core/jws.ts';
import { check } from '../../src/core/schema.ts';
import type { PublicJwk } from '../../src/core/signer.ts';
import { thumbprint, verifySignature } from '../../src/core/signer.ts';
import { verifyWit } from '../../src/identity/wit.ts';
import { aibomDigest, readAibom } from '../../src/provisioning/aibom.ts';
import { CHECKS } from '../../src/provisioning/checks.ts';
import { renewalBytes, renewalQualifier, verifyKeys } from '../../src/provisioning/keys.ts';
import {
  activateSchema,
  beginSchema,
  challengeSchema,
  credentialsSchema,
  renewalChallengeSchema,
  renewSchema,
  voucherAnswerSchema,
  voucherRequestSchema,
} from '../../src/provisioning/messages.ts';
import { verifyBinding, verifyEndorsement } from '../../src/provisioning/papers.ts';
import { readCredentials } from '../../src/provisioning/pledge-state.ts';
import { identify } from '../../src/provisioning/registrar-begin.ts';
import type { RegistrarOptions } from '../../src/provisioning/registrar-options.ts';
import { ENROLMENT_STATES, enrolment } from '../../src/provisioning/state.ts';
import { readVoucher } from '../../src/provisioning/voucher.ts';
import { REGISTRY_CHECKS } from '../../src/registry/errors.ts';
import { REQUEST, registerSchema, seekSchema, signedRequestSchema } from '../../src/registry/messages.ts';
import { jwkOfPublic } from '../../src/tpm/index.ts';
import { vector } from '../identity/vectors.ts';
import { referenceValues, World } from './world.ts';

const AT = Date.UTC(2026, 10, 24, 10);
const json = (name: string): unknown => JSON.parse(vector(`pv-${name}`));
const anchors = json('anchors') as Record<'ekVendor' | 'maker' | 'ca', string> &
  Record<'voucherKey' | 'provider' | 'owner' | 'verifier' | 'wit', PublicJwk>;
const page = readFileSync(resolve(import.meta.dirname, '../../docs/reference/wire.md'), 'utf8');

describe('the examples of the wire reference', () => {
  let options: RegistrarOptions;
  beforeAll(async () => {
    const world = await World.create('vectors of another world');
    options = {
      ...world.registrarOptions,
      anchors: {
        ekVendors: [{ certificate: fromBase64url(anchors.ekVendor), simulated: true }],
        makers: [
          {
            name: 'Acme Robotics',
            certificates: [fromBase64url(anchors.maker)],
            voucherKeys: [anchors.voucherKey],
          },
        ],
        providers: [anchors.provider],
        owners: [anchors.owner],
      },
      authority: {
        ...world.registrarOptions.authority,
        ca: { ...world.ca, certificate: fromBase64url(anchors.ca) },
      },
      bindingFor: async () => vector('pv-binding'),
    };
  });

  it('are a message 1 that a registrar with those anchors accepts', async () => {
    const request = check(beginSchema, json('begin'), 'begin');
    const device = await identify(options, request);
    expect(device).toMatchObject({ serial: 'DOG-0001', model: 'dog-1', capabilities: ['lidar', 'walk'] });
    expect(device.binding.agent).toBe('spiffe://home.test/agent/dog');
    expect(device.hwSerialNum).toMatch(/^464c5459:/);
  });

  it('are a message 2 whose keys prove themselves', () => {
    const { nonce } = check(challengeSchema, json('challenge'), 'challenge');
    const request = check(activateSchema, json('activate'), 'activate');
    expect(verifyKeys(request.keys, fromBase64url(nonce))).toHaveLength(3);
    const evidence = unwrapCmw(request.evidence, EVIDENCE_TYPE, CMW_EVIDENCE);
    expect(JSON.parse(Buffer.from(evidence).toString())).toEqual(json('evidence'));
  });

  it('are a renewal, signed by the LDevID and quoted by the LAK', async () => {
    const { lak, ldevid } = check(activateSchema, json('activate'), 'activate');
    const { nonce } = check(renewalChallengeSchema, json('renewal-challenge'), 'challenge');
    const { signature, ...unsigned } = check(renewSchema, json('renew'), 'renew');
    const ldevidJwk = jwkOfPublic(readTpmPublic(fromBase64url(ldevid.public)).area);
    expect(verifySignature(ldevidJwk, renewalBytes(unsigned), fromBase64url(signature))).toBe(true);
    const nonceBytes = fromBase64url(nonce);
    const aibom = readAibom(utf8(vector('pv-aibom')));
    const appraisal = await options.verifier.appraise({
      evidence: unsigned.evidence,
      key: readTpmPublic(fromBase64url(lak.public)),
      qualifier: renewalQualifier({
        nonce: nonceBytes,
        agentId: unsigned.agent,
        thumbprints: verifyKeys(unsigned.keys, nonceBytes),
      }),
      nonce: nonceBytes,
      agentId: unsigned.agent,
      ldevid: thumbprint(ldevidJwk),
      aibom: {
        digest: aibom.digest,
        hashes: new Set(aibom.components.flatMap(({ sha256 }) => sha256 ?? [])),
      },
      genuineHardware: false,
      at: AT,
    });
    expect(appraisal.status).toBe('affirming');
    expect(referenceValues().measurements.length).toBeGreaterThan(0);
  });

  it('are credentials that verify', () => {
    const credentials = readCredentials(check(credentialsSchema, json('credentials'), 'credentials'));
    expect(verifyWit(credentials.wit, credentials.bundles, AT).sub).toBe(credentials.agentId);
    expect(peekPayload(credentials.wit)).toMatchObject({
      iss: 'https://authority.test:8443',
      'fealty/capabilities': ['lidar', 'walk'],
    });
    const { nonce } = check(challengeSchema, json('challenge'), 'challenge');
    const result = verifyEar(vector('pv-ear'), {
      bundles: credentials.bundles,
      trustDomain: 'home.test',
      agentId: credentials.agentId,
      nonce,
      at: AT,
    });
    expect(result.status).toBe('affirming');
    expect(vector('pv-ear')).toBe(credentials.ear);
  });

  it('are papers of maker, provider and owner', () => {
    const { nonce } = check(voucherRequestSchema, json('voucher-request'), 'request')[
      'ietf-voucher-request:voucher'
    ];
    expect(fromBase64url(nonce)).toHaveLength(32);
    const { voucher } = check(voucherAnswerSchema, json('voucher'), 'voucher');
    const read = readVoucher(voucher, [anchors.voucherKey]);
    expect(read).toMatchObject({ serial: 'DOG-0001', ownership: 1 });
    expect(base64url(read.pinnedDomainCert)).toBe(anchors.ca);
    const endorsement = verifyEndorsement(vector('pv-endorsement'), [anchors.provider], AT);
    expect(endorsement.aibom).toBe(aibomDigest(utf8(vector('pv-aibom'))));
    expect(verifyBinding(vector('pv-binding'), [anchors.owner], AT).serial).toBe('DOG-0001');
  });

  it('are an entry of the runtime log and the PCR after it', () => {
    const { entry, digest, pcr } = json('measurement') as {
      entry: Measurement;
      digest: string;
      pcr: string;
    };
    expect(hex(measurementDigest(entry))).toBe(digest);
    expect(hex(replay([entry]))).toBe(pcr);
  });

  it('are requests to the registry', () => {
    for (const [name, schema] of [
      ['register', registerSchema],
      ['seek', seekSchema],
    ] as const) {
      const { wit, request } = check(signedRequestSchema, json(name), name);
      const key = peekPayload(wit)['cnf'] as unknown as { jwk: PublicJwk };
      const { payload } = verifyJwsSync(request, REQUEST, key.jwk);
      expect(check(schema, payload, name).op).toBe(name);
    }
  });
});

describe('the tables of the wire reference', () => {
  it('list every check of the registrar, in its order', () => {
    const [, table = ''] = page.split('### Checks of the registrar');
    const names = [...(table.split('### ')[0] ?? '').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, one]) => one);
    expect(names).toEqual([...CHECKS]);
  });

  it('list every check of the registry', () => {
    const [, line = ''] = /Checks, by name \(`registry\.refused`\): (.*)\./.exec(page) ?? [];
    expect(line.split(', ')).toEqual(REGISTRY_CHECKS.map((name) => `\`${name}\``));
  });

  it('draw the states of the device as the code has them', () => {
    const drawn = [...page.matchAll(/^ {2}(\w+) --> (\w+) : (\w+)$/gm)].map(([, ...one]) => one);
    const coded = ENROLMENT_STATES.flatMap((state) =>
      Object.entries(enrolment[state]).map(([event, to]) => [state, to, event]),
    );
    expect(drawn).toEqual(coded);
  });
});
