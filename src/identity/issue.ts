import 'reflect-metadata'; // @peculiar/x509 throws at import without it
import { Extension, Name, X509CertificateGenerator } from '@peculiar/x509';
import { hex } from '../core/bytes.ts';
import { slugOf } from '../core/names.ts';
import type { Random } from '../core/platform.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import { Crypto } from '../core/webcrypto.ts';
import { parseAgentId } from './agent-id.ts';
import { NO_END, parseCertificate } from './certificate.ts';
import type { ExtensionValue } from './extension-writer.ts';
import {
  authorityKeyId,
  basicConstraints,
  certificatePolicies,
  extendedKeyUsage,
  hostName,
  keyUsage,
  permittedTrustDomain,
  subjectAltName,
  subjectKeyId,
  uriName,
} from './extension-writer.ts';
import { writeName } from './name.ts';
import { OID } from './oids.ts';
import { keyIdOf, spkiOfJwk } from './public-key.ts';

/** A certificate authority that can sign now. */
export interface CertificateIssuer {
  readonly signer: Signer;
  /** Its own certificate, DER. */
  readonly certificate: Uint8Array;
}

/** What every certificate is issued with. */
export interface Issuing {
  readonly issuer: CertificateIssuer;
  /** Serial numbers come from here. */
  readonly random: Random;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  /** Milliseconds since 1970; `NO_END` for 99991231235959Z. */
  readonly notAfter: number;
}

/** A certificate to be made: everything but the signature. */
export interface CertificateToIssue extends Issuing {
  /** DER of the subject's Name; {@link writeName}. */
  readonly subject: Uint8Array;
  /** A key we may know by its public half alone, such as one in a TPM. */
  readonly publicKey: PublicJwk | Uint8Array;
  readonly extensions: readonly ExtensionValue[];
}

/** Longest life of a WIC, in milliseconds. */
export const MAX_WIC_LIFE_MS = 24 * 3_600_000;

/** What a new certificate authority is made with. */
export interface CaRequest {
  readonly signer: Signer;
  readonly random: Random;
  readonly commonName: string;
  readonly organization?: string | undefined;
  readonly notBefore: number;
  /** Default: no end. */
  readonly notAfter?: number | undefined;
  /** How many authorities may stand below it. Default: 1 for a root, 0 for an intermediate. */
  readonly pathLength?: number | undefined;
  /** The only trust domain whose agents it may name (a critical name constraint). Default: none. */
  readonly trustDomain?: string | undefined;
}

/** A self-signed authority: maker's device CA, EK vendor CA, owner's ACA. */
export async function createRoot(request: CaRequest): Promise<CertificateIssuer> {
  const subject = writeName({ organization: request.organization, commonName: request.commonName });
  const spki = spkiOfJwk(request.signer.publicJwk);
  const certificate = await sign(
    { subject, keyId: keyIdOf(spki), signer: request.signer },
    {
      ...request,
      notAfter: request.notAfter ?? NO_END,
      subject,
      publicKey: spki,
      extensions: caExtensions(request, 1),
    },
  );
  return { signer: request.signer, certificate };
}

/** An authority below `issuer`. */
export async function createIntermediate(
  request: CaRequest & { readonly issuer: CertificateIssuer },
): Promise<CertificateIssuer> {
  const certificate = await issueCertificate({
    ...request,
    notAfter: request.notAfter ?? NO_END,
    subject: writeName({ organization: request.organization, commonName: request.commonName }),
    publicKey: request.signer.publicJwk,
    extensions: [...caExtensions(request, 0), certificatePolicies(OID.anyPolicy)],
  });
  return { signer: request.signer, certificate };
}

/** What a certificate that names an agent is made with. */
export interface AgentCertificateRequest extends Issuing {
  /** The one URI SAN; the CN is its slug. */
  readonly agentId: string;
  readonly publicKey: PublicJwk;
}

/**
 * The owner's certificate for a key that is proven to live in the agent's TPM and never to leave it
 * (policies 2.23.133.11.1.1 and .2). Call it only after that proof.
 */
export function issueLDevIdCertificate(request: AgentCertificateRequest): Promise<Uint8Array> {
  return issueCertificate({
    ...request,
    subject: agentSubject(request.agentId),
    extensions: [
      basicConstraints(),
      keyUsage('digitalSignature'),
      certificatePolicies(OID.verifiedTpmResidency, OID.verifiedTpmFixed),
      subjectAltName([uriName(request.agentId)]),
    ],
  });
}

/** Workload identity certificate: CN = slug, one URI SAN, TLS client and server, at most 24 hours. */
export function issueWic(request: AgentCertificateRequest): Promise<Uint8Array> {
  if (request.notAfter - request.notBefore > MAX_WIC_LIFE_MS)
    throw new TypeError('`notAfter` must be at most 24 hours after `notBefore`');
  return issueCertificate({
    ...request,
    subject: agentSubject(request.agentId),
    extensions: [
      basicConstraints(),
      keyUsage('digitalSignature'),
      extendedKeyUsage(OID.clientAuth, OID.serverAuth),
      subjectAltName([uriName(request.agentId)]),
    ],
  });
}

/** Certificate of a lobby key: it agrees on keys (ECDH) and signs nothing. */
export function issueLobbyCertificate(request: AgentCertificateRequest): Promise<Uint8Array> {
  return issueCertificate({
    ...request,
    subject: agentSubject(request.agentId),
    extensions: [basicConstraints(), keyUsage('keyAgreement'), subjectAltName([uriName(request.agentId)])],
  });
}

/** TLS server certificate of the authority or the broker. @param request.hosts DNS names and IP addresses. */
export function issueServerCertificate(
  request: Issuing & {
    readonly hosts: readonly string[];
    readonly publicKey: PublicJwk;
    readonly commonName?: string;
  },
): Promise<Uint8Array> {
  const [first] = request.hosts;
  if (first === undefined) throw new TypeError('`hosts` must name at least one host');
  return issueCertificate({
    ...request,
    subject: writeName({ commonName: request.commonName ?? first }),
    extensions: [
      basicConstraints(),
      keyUsage('digitalSignature'),
      extendedKeyUsage(OID.serverAuth),
      subjectAltName(request.hosts.map(hostName)),
    ],
  });
}

/** Signs a certificate; key identifiers are added. @returns DER. */
export function issueCertificate(wanted: CertificateToIssue): Promise<Uint8Array> {
  const { subjectDer, subjectKeyId: keyId, spki } = parseCertificate(wanted.issuer.certificate);
  return sign({ subject: subjectDer, keyId: keyId ?? keyIdOf(spki), signer: wanted.issuer.signer }, wanted);
}

async function sign(
  issuer: { readonly subject: Uint8Array; readonly keyId: string; readonly signer: Signer },
  wanted: Omit<CertificateToIssue, 'issuer'>,
): Promise<Uint8Array> {
  if (!(wanted.notAfter > wanted.notBefore)) throw new TypeError('`notAfter` must be later than `notBefore`');
  const spki = wanted.publicKey instanceof Uint8Array ? wanted.publicKey : spkiOfJwk(wanted.publicKey);
  const serial = wanted.random.bytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and always 16 bytes long
  const extensions = [...wanted.extensions, subjectKeyId(keyIdOf(spki)), authorityKeyId(issuer.keyId)];
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: hex(serial),
      subject: new Name(wanted.subject),
      issuer: new Name(issuer.subject),
      notBefore: new Date(wanted.notBefore),
      notAfter: new Date(wanted.notAfter),
      publicKey: spki,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      // The engine below signs with our Signer and never looks at this key.
      signingKey: { algorithm: { name: 'ECDSA', namedCurve: 'P-256' } } as never,
      extensions: extensions.map(({ id, critical, value }) => new Extension(id, critical, value)),
    },
    engine(issuer.signer),
  );
  const der = new Uint8Array(certificate.rawData);
  parseCertificate(der); // what our own reader refuses never leaves the house
  return der;
}

/** A WebCrypto engine whose signatures come from `signer`, wherever its key lives. */
function engine(signer: Signer): Crypto {
  const crypto = new Crypto();
  crypto.subtle.sign = async (_algorithm: unknown, _key: unknown, data: ArrayBuffer | ArrayBufferView) => {
    const bytes = ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(data);
    return (await signer.sign(bytes)).slice().buffer;
  };
  return crypto;
}

function caExtensions(request: CaRequest, pathLength: number): ExtensionValue[] {
  return [
    basicConstraints({ pathLength: request.pathLength ?? pathLength }),
    keyUsage('keyCertSign', 'cRLSign'),
    ...(request.trustDomain === undefined ? [] : [permittedTrustDomain(request.trustDomain)]),
  ];
}

function agentSubject(agentId: string): Uint8Array {
  return writeName({ commonName: slugOf(parseAgentId(agentId).uri) });
}
