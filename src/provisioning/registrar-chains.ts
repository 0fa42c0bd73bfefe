import { fromBase64url } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import type { Certificate } from '../identity/certificate.ts';
import { CertificateRefused } from '../identity/errors.ts';
import { hardwareSerialOf, permanentIdentifierOf } from '../identity/hardware-serial.ts';
import { OID } from '../identity/oids.ts';
import { validateChain } from '../identity/validate.ts';
import type { Check } from './checks.ts';
import type { BeginRequest } from './messages.ts';
import { formed, refuse } from './refuse.ts';
import type { MakerAnchor, RegistrarOptions } from './registrar-options.ts';

/** The three certificates of a device, each valid under the anchors of its own role. */
export interface DeviceChains {
  readonly ekCertificate: Certificate;
  readonly idevidCertificate: Certificate;
  readonly iakCertificate: Certificate;
  readonly maker: MakerAnchor;
  readonly hwSerialNum: string;
  /** Whether the TPM is a simulator. */
  readonly simulated: boolean;
}

/** TCG vendor identifiers of simulators: ours (`FLTY`), swtpm's EK certificates (IBM's number) and its own answer. */
const simulators = ['id:464c5459', 'id:00001014', 'id:49424d00'];

/** @throws {EnrolmentRefused} naming the check. */
export function judgeChains(
  options: RegistrarOptions,
  request: BeginRequest,
  ekCert: Uint8Array,
  at: number,
): DeviceChains {
  const { anchors } = options;
  const ek = chained('ek-chain', 'ek-profile', () =>
    validateChain({
      leaf: ekCert,
      intermediates: request.ekIntermediates.map(fromBase64url),
      anchors: anchors.ekVendors.map(({ certificate }) => certificate),
      at,
      purpose: 'ek',
    }),
  );
  const simulated =
    anchors.ekVendors.some(
      (vendor) => vendor.simulated && Buffer.from(vendor.certificate).equals(ek.anchor.der),
    ) || saysSimulator(ek.leaf);
  if (simulated && options.simulation !== true)
    refuse('simulated-tpm', 'this authority was not initialised for simulation');

  const [idevidLeaf = '', ...idevidRest] = request.idevidChain;
  const maker = makerOf(options, idevidLeaf, idevidRest, at);
  const idevidCertificate = device(maker, idevidLeaf, idevidRest, at, 'idevid-chain', 'idevid-policy', [
    OID.verifiedTpmResidency,
    OID.verifiedTpmFixed,
  ]);
  const [iakLeaf = '', ...iakRest] = request.iakChain;
  const iakCertificate = device(maker, iakLeaf, iakRest, at, 'iak-chain', 'iak-policy', [
    OID.verifiedTpmResidency,
    OID.verifiedTpmRestricted,
  ]);

  const hwSerialNum = formed('hardware-module', () => hardwareSerialOf(ek.leaf.der));
  const permanent = permanentIdentifierOf(ek.leaf.der);
  for (const { subjectAltName: names } of [idevidCertificate, iakCertificate]) {
    const [module, ...modules] = names?.hardwareModules ?? [];
    if (module?.type !== OID.tpm20 || module.serial !== hwSerialNum || modules.length > 0)
      refuse('hardware-module', 'hardwareModuleName is not that of the EK certificate');
    const [identifier, ...identifiers] = names?.permanentIdentifiers ?? [];
    if (
      identifier?.value !== permanent ||
      identifier.assigner !== OID.ekPermIdSha256 ||
      identifiers.length > 0
    )
      refuse('hardware-module', 'permanentIdentifier is not that of the EK certificate');
  }
  return { ekCertificate: ek.leaf, idevidCertificate, iakCertificate, maker, hwSerialNum, simulated };
}

/** Whether an EK certificate itself says that its TPM is software, whoever issued it. */
function saysSimulator(certificate: Certificate): boolean {
  const attributes = certificate.subjectAltName?.directoryNames.flatMap((name) => name.attributes) ?? [];
  return attributes.some(
    ([type, value]) =>
      (type === OID.tpmManufacturer && simulators.includes(value.toLowerCase())) ||
      (type === OID.tpmModel && /^\s*sw/i.test(value)),
  );
}

/** The one maker under whose anchors the IDevID certificate is valid. */
function makerOf(options: RegistrarOptions, leaf: string, rest: readonly string[], at: number): MakerAnchor {
  let refusal: unknown;
  for (const maker of options.anchors.makers) {
    try {
      validateDevice(maker, leaf, rest, at, []);
      return maker;
    } catch (error) {
      if (!(error instanceof CertificateRefused) && !(error instanceof Malformed)) throw error;
      refusal ??= error;
    }
  }
  return refuse('idevid-chain', 'no maker known here issued the IDevID certificate', refusal);
}

function device(
  maker: MakerAnchor,
  leaf: string,
  rest: readonly string[],
  at: number,
  chain: Check,
  policy: Check,
  policies: readonly string[],
): Certificate {
  return chained(chain, policy, () => validateDevice(maker, leaf, rest, at, policies)).leaf;
}

function validateDevice(
  maker: MakerAnchor,
  leaf: string,
  rest: readonly string[],
  at: number,
  requiredPolicies: readonly string[],
) {
  return validateChain({
    leaf: fromBase64url(leaf),
    intermediates: rest.map(fromBase64url),
    anchors: maker.certificates,
    at,
    purpose: 'device',
    requiredPolicies,
  });
}

/** Rules about what a leaf is for have their own name; everything else is the chain. */
const profileRules = ['policy', 'extended-key-usage', 'key-usage'];

function chained<T>(chain: Check, profile: Check, validate: () => T): T {
  try {
    return validate();
  } catch (cause) {
    if (cause instanceof CertificateRefused)
      refuse(profileRules.includes(cause.check) ? profile : chain, cause.message, cause);
    if (cause instanceof Malformed) refuse(chain, cause.message, cause);
    throw cause;
  }
}
