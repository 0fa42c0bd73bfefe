import { constants, verify } from 'node:crypto';
import { equal } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { isAgentId } from './agent-id.ts';
import type { Certificate } from './certificate.ts';
import { parseCertificate } from './certificate.ts';
import type { CertificateCheck } from './errors.ts';
import { CertificateRefused } from './errors.ts';
import type { KeyUsage, NameConstraints } from './extensions.ts';
import { OID } from './oids.ts';
import { keyObjectOfSpki } from './public-key.ts';

/**
 * What the leaf is used for; it decides which rules the leaf must keep.
 *
 * - `wic`: exactly one URI SAN, an agent identifier; digitalSignature; EKU clientAuth or serverAuth (which of them the
 *   caller asks for by `requiredEku`).
 * - `ldevid`: exactly one URI SAN, an agent identifier; digitalSignature; TCG policies "verified TPM residency" and
 *   "verified TPM fixed", so that no key in memory is ever taken for one in a TPM.
 * - `lobby`: exactly one URI SAN, an agent identifier; keyAgreement and not digitalSignature.
 * - `server`: a TLS server without an identifier of its own: digitalSignature, serverAuth.
 * - `device`: an IDevID or IAK certificate: digitalSignature, a subject with exactly one serialNumber.
 * - `ek`: an EK certificate: keyEncipherment or keyAgreement, EKU tcg-kp-EKCertificate.
 */
export type CertificatePurpose = 'wic' | 'ldevid' | 'lobby' | 'server' | 'device' | 'ek';

/** What {@link validateChain} is asked. */
export interface ChainRequest {
  /** DER. */
  readonly leaf: Uint8Array;
  /** DER, in any order; at most two. */
  readonly intermediates?: readonly Uint8Array[] | undefined;
  /** Self-issued anchors for this one role, DER; at most 64. An anchor of another role is simply not given. */
  readonly anchors: readonly Uint8Array[];
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly purpose: CertificatePurpose;
  /** Policies (object identifiers) that the leaf and every intermediate must have. */
  readonly requiredPolicies?: readonly string[] | undefined;
  /** Extended key usages the leaf must have, for example `OID.clientAuth`. */
  readonly requiredEku?: readonly string[] | undefined;
}

/** A chain that keeps every rule. */
export interface ValidChain {
  readonly leaf: Certificate;
  /** Leaf, intermediates used, anchor. */
  readonly path: readonly Certificate[];
  readonly anchor: Certificate;
  /** The one URI SAN, for purposes `wic`, `ldevid` and `lobby`. */
  readonly agentId?: string | undefined;
}

/** Purposes whose leaf names an agent. */
const NAMES_AGENT: readonly CertificatePurpose[] = ['wic', 'ldevid', 'lobby'];
const IN_TPM: readonly string[] = [OID.verifiedTpmResidency, OID.verifiedTpmFixed];
const MAX_INTERMEDIATES = 2;
const MAX_ANCHORS = 64;
/** Signatures verified for one chain: three true ones, and some wrong turns between CAs of one name. */
const MAX_SIGNATURES = 12;

/**
 * Validates a chain against the profile (design.md section 3). Bounded: at most two intermediates and twelve
 * signature checks, whatever is sent.
 *
 * @throws {CertificateRefused} `identity.certificate-refused`; `check` names the rule.
 */
export function validateChain(request: ChainRequest): ValidChain {
  const { at, purpose, requiredPolicies = [], requiredEku = [] } = request;
  if (!Number.isFinite(at)) throw new TypeError('`at` must be a time');
  if (request.anchors.length > MAX_ANCHORS) throw new TypeError(`at most ${MAX_ANCHORS} \`anchors\``);
  const given = request.intermediates ?? [];
  if (given.length > MAX_INTERMEDIATES)
    refuse('chain-length', `a chain has at most ${MAX_INTERMEDIATES} intermediates`);
  const leaf = parse(request.leaf, 'leaf');
  const intermediates = given.map((bytes) => parse(bytes, 'intermediate'));
  const anchors = request.anchors.map((bytes) => parse(bytes, 'anchor'));

  judgeLeaf(leaf, purpose, requiredEku);
  const path = findPath(leaf, intermediates, anchors);
  for (const certificate of path) judgeTime(certificate, at);
  for (const [depth, issuer] of path.entries()) if (depth > 0) judgeIssuer(issuer, depth - 1);
  for (const issuer of path.slice(1)) judgeNames(issuer.nameConstraints, path);
  judgePolicies(path, purpose === 'ldevid' ? [...IN_TPM, ...requiredPolicies] : requiredPolicies);
  const anchor = path.at(-1);
  if (anchor === undefined) throw new TypeError('a path has an anchor');
  const agentId = NAMES_AGENT.includes(purpose) ? leaf.subjectAltName?.uris[0] : undefined;
  return { leaf, path, anchor, agentId };
}

/** Whether `certificate` is signed by the key of `issuer`. Algorithm and key must fit each other. */
export function isSignedBy(
  certificate: Certificate,
  issuer: Pick<Certificate, 'spki' | 'publicKey'>,
): boolean {
  const { kind, hash, saltLength } = certificate.signatureAlgorithm;
  const rsa = issuer.publicKey.kind === 'rsa';
  if ((kind === 'ecdsa') === rsa) return false;
  const key = keyObjectOfSpki(issuer.spki);
  try {
    return verify(
      hash,
      certificate.tbs,
      kind === 'rsa-pss'
        ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: saltLength ?? 32 }
        : { key, dsaEncoding: 'der' },
      certificate.signature,
    );
  } catch {
    return false; // a signature that is not even DER
  }
}

function refuse(check: CertificateCheck, message: string, cause?: unknown): never {
  throw new CertificateRefused(check, message, cause === undefined ? undefined : { cause });
}

function parse(bytes: Uint8Array, what: string): Certificate {
  try {
    return parseCertificate(bytes);
  } catch (cause) {
    if (cause instanceof Malformed)
      refuse('malformed', `the ${what} certificate is refused: ${cause.message}`, cause);
    throw cause;
  }
}

/** Depth first from the leaf; anchors before intermediates; every certificate at most once. */
function findPath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
): readonly Certificate[] {
  let signatures = 0;
  let named = false; // an issuer of the right name was there, so what failed is the signature
  const signed = (certificate: Certificate, issuer: Certificate) => {
    if (++signatures > MAX_SIGNATURES) refuse('work', 'the chain asks for too many signature checks');
    return isSignedBy(certificate, issuer);
  };
  const climb = (path: readonly Certificate[]): readonly Certificate[] | undefined => {
    const last = path.at(-1);
    if (last === undefined) return undefined;
    for (const anchor of anchors) {
      if (!mayIssue(anchor, last)) continue;
      named = true;
      if (signed(last, anchor)) return [...path, anchor];
    }
    for (const intermediate of intermediates) {
      if (path.includes(intermediate) || !mayIssue(intermediate, last)) continue;
      if (!signed(last, intermediate)) {
        named = true;
        continue;
      }
      const found = climb([...path, intermediate]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const path = climb([leaf]);
  if (path !== undefined) return path;
  return named
    ? refuse('signature', 'a certificate is not signed by the key of its issuer')
    : refuse('anchor', `no anchor here issued the chain of \`${shown(leaf)}\``);
}

function mayIssue(issuer: Certificate, certificate: Certificate): boolean {
  if (!equal(issuer.subjectDer, certificate.issuerDer)) return false;
  const { authorityKeyId } = certificate;
  return (
    authorityKeyId === undefined ||
    issuer.subjectKeyId === undefined ||
    authorityKeyId === issuer.subjectKeyId
  );
}

function judgeTime(certificate: Certificate, at: number): void {
  if (at < certificate.notBefore)
    refuse('not-yet-valid', `the certificate of \`${shown(certificate)}\` is not valid yet`);
  // notAfter is the last second that is still valid.
  if (at >= certificate.notAfter + 1000)
    refuse('expired', `the certificate of \`${shown(certificate)}\` has expired`);
}

function judgeIssuer(issuer: Certificate, below: number): void {
  judgeCritical(issuer);
  const { basicConstraints, keyUsage } = issuer;
  if (basicConstraints?.ca !== true) refuse('ca', `\`${shown(issuer)}\` is not a certificate authority`);
  const { pathLength } = basicConstraints;
  if (pathLength !== undefined && below > pathLength)
    refuse('path-length', `\`${shown(issuer)}\` may not have ${below} authorities below it`);
  if (keyUsage?.has('keyCertSign') !== true)
    refuse('key-usage', `the key of \`${shown(issuer)}\` may not sign certificates`);
}

function judgeCritical(certificate: Certificate): void {
  const [unknown] = certificate.unknownCritical;
  if (unknown !== undefined)
    refuse('critical-extension', `\`${shown(certificate)}\` has critical extension ${unknown}`);
}

function judgeLeaf(leaf: Certificate, purpose: CertificatePurpose, requiredEku: readonly string[]): void {
  judgeCritical(leaf);
  if (leaf.basicConstraints?.ca === true) refuse('ca', `\`${shown(leaf)}\` is a certificate authority`);
  if (leaf.keyUsage?.has('keyCertSign') === true)
    refuse('key-usage', `the key of \`${shown(leaf)}\` may sign certificates`);
  if (leaf.nameConstraints !== undefined)
    refuse('name-constraints', `\`${shown(leaf)}\` is no authority and has name constraints`);

  const usages: readonly KeyUsage[] =
    purpose === 'lobby'
      ? ['keyAgreement']
      : purpose === 'ek'
        ? ['keyEncipherment', 'keyAgreement']
        : ['digitalSignature'];
  if (!usages.some((usage) => leaf.keyUsage?.has(usage)))
    refuse('key-usage', `the key of \`${shown(leaf)}\` is not for ${usages.join(' or ')}`);
  if ((purpose === 'lobby' || purpose === 'ek') && leaf.keyUsage?.has('digitalSignature'))
    refuse('key-usage', `the key of \`${shown(leaf)}\` may sign`);

  const eku = [...requiredEku];
  if (purpose === 'server') eku.push(OID.serverAuth);
  if (purpose === 'ek') eku.push(OID.ekCertificate);
  const tls: readonly string[] = [OID.clientAuth, OID.serverAuth];
  if (purpose === 'wic' && !leaf.extendedKeyUsage?.some((usage) => tls.includes(usage)))
    refuse('extended-key-usage', `\`${shown(leaf)}\` is not for TLS`);
  for (const usage of eku)
    if (leaf.extendedKeyUsage?.includes(usage) !== true)
      refuse('extended-key-usage', `\`${shown(leaf)}\` lacks extended key usage ${usage}`);

  if (NAMES_AGENT.includes(purpose)) {
    const uris = leaf.subjectAltName?.uris ?? [];
    if (uris.length !== 1) refuse('identifier', `a certificate of an agent has one URI, not ${uris.length}`);
    if (!isAgentId(uris[0])) refuse('identifier', 'the URI of the certificate is not an agent identifier');
  }
  if (purpose === 'device' && !leaf.subject.serialNumber)
    refuse('subject', 'a device certificate has one serial number in its subject');
  if (NAMES_AGENT.includes(purpose) || purpose === 'server')
    if (leaf.publicKey.kind !== 'p256') refuse('key', `the key of \`${shown(leaf)}\` is not on P-256`);
}

function judgeNames(constraints: NameConstraints | undefined, path: readonly Certificate[]): void {
  if (constraints === undefined) return;
  if (constraints.others) refuse('name-constraints', 'a name constraint of a form the profile does not have');
  const [leaf] = path;
  const { uris = [], dns = [] } = leaf?.subjectAltName ?? {};
  const hosts = uris.map((uri) =>
    /^[a-z][a-z0-9+.-]*:\/\/([^/?#@:[\]]+)(?:[/?#]|$)/i.exec(uri)?.[1]?.toLowerCase(),
  );
  judgeForm(hosts, constraints.permittedUris, constraints.excludedUris, hostMatches);
  judgeForm(dns, constraints.permittedDns, constraints.excludedDns, dnsMatches);
}

function judgeForm(
  names: readonly (string | undefined)[],
  permitted: readonly string[],
  excluded: readonly string[],
  matches: (name: string, base: string) => boolean,
): void {
  if (permitted.length === 0 && excluded.length === 0) return;
  for (const name of names) {
    // A URI without a host name cannot be judged, so it is outside (RFC 5280 §4.2.1.10).
    if (name === undefined || excluded.some((base) => matches(name, base)))
      refuse('name-constraints', 'a name of the certificate is excluded by its authority');
    if (permitted.length > 0 && !permitted.some((base) => matches(name, base)))
      refuse('name-constraints', 'a name of the certificate is not among those its authority may give');
  }
}

/** URI: `.example.com` means every host below, `example.com` that host alone. */
function hostMatches(host: string, base: string): boolean {
  return base.startsWith('.') ? host.endsWith(base) && host.length > base.length : host === base;
}

/** dNSName: `example.com` means it and every name below. */
function dnsMatches(name: string, base: string): boolean {
  return base === '' || name === base || name.endsWith(base.startsWith('.') ? base : `.${base}`);
}

function judgePolicies(path: readonly Certificate[], required: readonly string[]): void {
  for (const policy of required) {
    for (const [depth, { policies = [] }] of path.slice(0, -1).entries()) {
      // anyPolicy counts in authorities only: on a leaf it would say nothing.
      if (policies.includes(policy) || (depth > 0 && policies.includes(OID.anyPolicy))) continue;
      refuse(
        'policy',
        `the chain of \`${path[0] === undefined ? '' : shown(path[0])}\` lacks policy ${policy}`,
      );
    }
  }
}

function shown(certificate: Certificate): string {
  const { subject } = certificate;
  return (subject.commonName ?? subject.serialNumber ?? certificate.serial).slice(0, 64);
}
