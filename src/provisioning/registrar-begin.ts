import type { TpmPublic } from '../attestation/tpm-key.ts';
import { faultOfTpmKey, readTpmPublic, signedBy } from '../attestation/tpm-key.ts';
import { equal, fromBase64url, fromHex, hex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { trustDomainOf } from '../identity/agent-id.ts';
import { readAttest, spkiOfPublic } from '../tpm/index.ts';
import type { PolicyDigests } from '../tpm/policy-digests.ts';
import { AUTH_POLICY_IAK, AUTH_POLICY_IDEVID } from '../tpm/policy-digests.ts';
import type { Aibom } from './aibom.ts';
import { aibomDigest, judgeAibom } from './aibom.ts';
import type { Check } from './checks.ts';
import { EnrolmentRefused, VoucherRefused } from './errors.ts';
import type { BeginRequest, VoucherJws } from './messages.ts';
import type { Binding, Endorsement } from './papers.ts';
import { verifyBinding, verifyEndorsement } from './papers.ts';
import { formed, refuse } from './refuse.ts';
import type { DeviceChains } from './registrar-chains.ts';
import { judgeChains } from './registrar-chains.ts';
import type { MakerAnchor, RegistrarOptions } from './registrar-options.ts';
import type { IdevidCsr } from './tcg-csr.ts';
import { decodeCsr } from './tcg-csr.ts';
import { readVoucher } from './voucher.ts';

/** A device of which everything was checked but that its TPM answers. */
export interface Identified extends DeviceChains {
  readonly model: string;
  readonly serial: string;
  readonly iak: TpmPublic;
  readonly idevid: TpmPublic;
  readonly aibom: Aibom;
  readonly binding: Binding;
  /** What it may offer, sorted. */
  readonly capabilities: readonly string[];
}

/**
 * Judges message 1, in the order of {@link CHECKS}.
 *
 * @throws {EnrolmentRefused} naming the check.
 */
export async function identify(options: RegistrarOptions, request: BeginRequest): Promise<Identified> {
  const at = options.platform.clock.now();
  const csr = formed('csr-form', () => decodeCsr(fromBase64url(request.csr)));
  const { content } = csr;
  const iak = formed('csr-form', () => readTpmPublic(content.attestPub));
  const idevid = formed('csr-form', () => readTpmPublic(content.signingPub));
  if (!formed('csr-signature', () => signedBy(idevid, csr.signed, csr.signature)))
    refuse('csr-signature', 'the IDevID key did not sign the CSR');

  const chains = judgeChains(options, request, content.ekCert, at);
  if (!equal(chains.idevidCertificate.spki, spkiOfPublic(idevid.area)))
    refuse('idevid-key', 'the IDevID certificate is for another key');
  if (!equal(chains.iakCertificate.spki, spkiOfPublic(iak.area)))
    refuse('iak-key', 'the IAK certificate is for another key');
  judgeKeys(csr, iak, idevid);
  const { serial, model } = judgeNames(csr, chains);
  judgeVoucher(options, chains.maker, request.voucher, serial);

  const aibomBytes = fromBase64url(request.aibom);
  const endorsement = judgeEndorsement(
    options,
    request.endorsement,
    aibomBytes,
    chains.maker.name,
    model,
    at,
  );
  const binding = await judgeBinding(options, request.binding, chains.maker.name, serial, at);
  const capabilities = binding.capabilities ?? endorsement.capabilities;
  const beyond = capabilities.find((name) => !endorsement.capabilities.includes(name));
  if (beyond !== undefined) refuse('binding', `capability \`${beyond}\` is not endorsed by the provider`);
  const aibom = judgeAibom(aibomBytes, options.aibomRules);
  return { ...chains, model, serial, iak, idevid, aibom, binding, capabilities };
}

/** The endorsement of an AIBOM on a product, in force. @throws {EnrolmentRefused} `endorsement` */
export function judgeEndorsement(
  options: RegistrarOptions,
  compact: string,
  aibom: Uint8Array,
  maker: string,
  model: string,
  at: number,
): Endorsement {
  const endorsement = verifyEndorsement(compact, options.anchors.providers, at);
  if (endorsement.maker !== maker || endorsement.model !== model)
    refuse('endorsement', 'it is for another product');
  if (endorsement.aibom !== aibomDigest(aibom)) refuse('endorsement', 'it is for another AIBOM');
  return endorsement;
}

/** @throws {EnrolmentRefused} `voucher` */
export function judgeVoucher(
  options: RegistrarOptions,
  maker: MakerAnchor,
  jws: VoucherJws,
  serial: string,
): void {
  try {
    const voucher = readVoucher(jws, maker.voucherKeys);
    if (voucher.serial !== serial) refuse('voucher', 'it is for another device');
    if (!equal(voucher.pinnedDomainCert, options.authority.ca.certificate))
      refuse('voucher', 'it names another owner');
  } catch (cause) {
    if (cause instanceof VoucherRefused) throw new EnrolmentRefused('voucher', cause.message, { cause });
    throw cause;
  }
}

async function judgeBinding(
  options: RegistrarOptions,
  carried: string | undefined,
  maker: string,
  serial: string,
  at: number,
): Promise<Binding> {
  const compact = carried ?? (await options.bindingFor?.(maker, serial));
  if (compact === undefined) refuse('binding', 'the owner bound this serial number to no agent');
  const binding = verifyBinding(compact, options.anchors.owners, at);
  if (binding.maker !== maker || binding.serial !== serial) refuse('binding', 'it is for another device');
  if (trustDomainOf(binding.agent) !== options.authority.trustDomain)
    refuse('binding', 'it names an agent of another trust domain');
  return binding;
}

function judgeKeys(csr: IdevidCsr, iak: TpmPublic, idevid: TpmPublic): void {
  const idevidFault = faultOfTpmKey(idevid, { restricted: false, policies: policiesOf(AUTH_POLICY_IDEVID) });
  if (idevidFault !== undefined) refuse('idevid-attributes', idevidFault);
  const iakFault = faultOfTpmKey(iak, { restricted: true, policies: policiesOf(AUTH_POLICY_IAK) });
  if (iakFault !== undefined) refuse('iak-attributes', iakFault);
  const { sgnCertifyInfo, sgnCertifyInfoSignature } = csr.content;
  judgeCertified('idevid-certified-by-iak', iak, idevid, sgnCertifyInfo, sgnCertifyInfoSignature);
}

/** `by` certified `key`: signature, magic, type and Name, and the nonce where there was one. @throws {EnrolmentRefused} */
export function judgeCertified(
  check: Check,
  by: TpmPublic,
  key: TpmPublic,
  info: Uint8Array,
  signature: Uint8Array,
  nonce?: Uint8Array,
): void {
  if (!formed(check, () => signedBy(by, info, signature)))
    refuse(check, 'the attestation key did not sign the certification');
  const attested = formed(check, () => readAttest(info));
  if (attested.type !== 'attestCertify') refuse(check, 'it attests something else');
  if (!equal(attested.attested.name, key.name)) refuse(check, 'another key was certified');
  if (nonce !== undefined && !equal(attested.extraData, nonce)) refuse(check, 'it answers another challenge');
}

function judgeNames(csr: IdevidCsr, chains: DeviceChains): { serial: string; model: string } {
  const { prodSerial: serial, prodModel: model } = csr.content;
  const { idevidCertificate, iakCertificate } = chains;
  if (!/^[A-Za-z0-9][A-Za-z0-9._:+/-]{0,63}$/.test(serial))
    refuse('serial-equality', 'it has no serial number');
  for (const certificate of [idevidCertificate, iakCertificate])
    if (certificate.subject.serialNumber !== serial)
      refuse('serial-equality', 'CSR, IDevID certificate and IAK certificate name different serial numbers');
  if (idevidCertificate.subject.commonName !== model || model === '')
    refuse('model-equality', 'CSR and IDevID certificate name different models');
  return { serial, model };
}

/** The policy of the TCG templates H-1 to H-4, in every hash they use. */
function policiesOf({ sha256, sha384, sha512 }: PolicyDigests): readonly Uint8Array[] {
  return [sha256, sha384, sha512].map(fromHex);
}

/** SHA-256 of a SubjectPublicKeyInfo, hex: how an EK is told from another. */
export function keyDigest(spki: Uint8Array): string {
  return hex(sha256(spki));
}
