import type { CmwRecord } from '../../src/attestation/cmw.ts';
import { EVIDENCE_TYPE } from '../../src/attestation/cmw.ts';
import { base64url, fromBase64url } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/hash.ts';
import { canonicalBytes } from '../../src/core/json.ts';
import type { SoftwareKey } from '../../src/core/signer.ts';
import { generateKey } from '../../src/core/signer.ts';
import type { DeviceIdentity } from '../../src/provisioning/device-identity.ts';
import { openDeviceIdentity } from '../../src/provisioning/device-identity.ts';
import type { SoftwareKeys } from '../../src/provisioning/keys.ts';
import {
  activationProof,
  enrolmentQualifier,
  proveKeys,
  SOFTWARE_KEYS,
} from '../../src/provisioning/keys.ts';
import { makeVoucher } from '../../src/provisioning/maker.ts';
import type { ActivateRequest, BeginRequest, Challenge } from '../../src/provisioning/messages.ts';
import type { OwnerKeys } from '../../src/provisioning/owner-keys.ts';
import { makeOwnerKeys } from '../../src/provisioning/owner-keys.ts';
import { certifiedKey, makeCsr } from '../../src/provisioning/pledge-proofs.ts';
import type { TpmObject } from '../../src/tpm/index.ts';
import { activateCredential } from '../../src/tpm/index.ts';
import type { TestDevice, World } from './world.ts';

/** What happens between challenge and answer, laid open. */
export interface Proof {
  challenge: Challenge;
  nonce: Uint8Array;
  activationSecret: Uint8Array;
  csr: Uint8Array;
  identity: DeviceIdentity;
  owned: OwnerKeys;
  keys: SoftwareKeys;
  /** PCRs that are quoted. */
  pcrs: readonly number[];
  /** Key that quotes. */
  quoting: TpmObject;
  /** Key that certifies LAK and LDevID, and the nonce it puts into it. */
  certifying: TpmObject;
  certifiedNonce: Uint8Array;
}

/** An enrolment by hand, message by message, to be broken anywhere. */
export interface Changes {
  readonly identity?: (identity: DeviceIdentity) => DeviceIdentity | Promise<DeviceIdentity>;
  readonly csr?: (csr: Uint8Array, identity: DeviceIdentity) => Uint8Array | Promise<Uint8Array>;
  readonly begin?: (body: Record<string, unknown> & BeginRequest) => void | Promise<void>;
  readonly proof?: (proof: Proof) => void | Promise<void>;
  readonly activate?: (body: Record<string, unknown> & ActivateRequest, proof: Proof) => void | Promise<void>;
}

export async function beginBody(
  world: World,
  device: TestDevice,
  changes: Changes,
): Promise<{ body: BeginRequest; identity: DeviceIdentity; csr: Uint8Array }> {
  const found = await openDeviceIdentity(device.tpm);
  const identity = (await changes.identity?.(found)) ?? found;
  const made = await makeCsr(device.tpm, identity);
  const csr = (await changes.csr?.(made, identity)) ?? made;
  const body: BeginRequest = {
    csr: base64url(csr),
    ekIntermediates: [],
    iakChain: [base64url(identity.iakCertificate.der)],
    idevidChain: [base64url(identity.idevidCertificate.der)],
    aibom: base64url(device.options.aibom),
    voucher: await makeVoucher(world.line, {
      serial: identity.serial,
      owner: world.ca.certificate,
      ownership: 1,
      at: world.clock.now(),
    }),
    endorsement: device.options.endorsement,
  };
  await changes.begin?.(body as Record<string, unknown> & BeginRequest);
  return { body, identity, csr };
}

/** Runs both messages; rejects with whatever the registrar refused. */
export async function enrolByHand(world: World, device: TestDevice, changes: Changes = {}) {
  const { body, identity, csr } = await beginBody(world, device, changes);
  const challenge = await world.registrar.begin(body);
  const activation = await activationBody(device, challenge, identity, csr, changes);
  return await world.registrar.activate(activation);
}

export async function activationBody(
  device: TestDevice,
  challenge: Challenge,
  identity: DeviceIdentity,
  csr: Uint8Array,
  changes: Changes = {},
): Promise<ActivateRequest> {
  const { tpm, platform, attester } = device;
  const { random } = platform;
  const activationSecret = await activateCredential(tpm, {
    ak: identity.iak,
    ek: identity.ek,
    challenge: {
      credentialBlob: fromBase64url(challenge.credentialBlob),
      secret: fromBase64url(challenge.secret),
    },
  });
  const nonce = fromBase64url(challenge.nonce);
  const proof: Proof = {
    challenge,
    nonce,
    activationSecret,
    csr,
    identity,
    owned: await makeOwnerKeys(tpm, { lak: random.bytes(32), ldevid: random.bytes(32) }),
    keys: { credential: generateKey(random), tls: generateKey(random), lobby: generateKey(random) },
    pcrs: challenge.pcrs,
    quoting: identity.iak,
    certifying: identity.iak,
    certifiedNonce: nonce,
  };
  await changes.proof?.(proof);
  const { owned, keys, certifying, certifiedNonce } = proof;
  const evidence = await attester.evidence({
    key: proof.quoting,
    qualifier: enrolmentQualifier({
      nonce: proof.nonce,
      activationSecret: proof.activationSecret,
      csr: proof.csr,
      lakName: owned.lak.name,
      ldevidName: owned.ldevid.name,
      thumbprints: SOFTWARE_KEYS.map((use) => keys[use].kid),
    }),
    pcrs: proof.pcrs,
    aibom: sha256(device.options.aibom),
  });
  const body: ActivateRequest = {
    challenge: proof.challenge.challenge,
    activation: base64url(activationProof(proof.activationSecret, proof.nonce)),
    evidence,
    lak: await certifiedKey(tpm, certifying, owned.lak, certifiedNonce),
    ldevid: await certifiedKey(tpm, certifying, owned.ldevid, certifiedNonce),
    keys: proveKeys(keys, proof.nonce),
  };
  await changes.activate?.(body as Record<string, unknown> & ActivateRequest, proof);
  return body;
}

/** The JSON inside evidence, changed. */
export function changedEvidence(
  evidence: CmwRecord,
  change: (json: Record<string, unknown>) => void,
): CmwRecord {
  const json = JSON.parse(Buffer.from(fromBase64url(evidence[1])).toString()) as Record<string, unknown>;
  change(json);
  return [EVIDENCE_TYPE, base64url(canonicalBytes(json)), 4];
}

/** Base64url with one bit flipped at `at` (counted from the end when negative). */
export function flipped(value: string, at: number): string {
  const bytes = fromBase64url(value);
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  return base64url(bytes);
}

/** Another key for the same use. */
export function otherKey(device: TestDevice): SoftwareKey {
  return generateKey(device.platform.random);
}
