import { base64url } from '../core/bytes.ts';
import { CAPABILITIES_CLAIM } from '../core/capability.ts';
import { signJws } from '../core/jws.ts';
import { slugOf } from '../core/names.ts';
import type { PublicJwk } from '../core/signer.ts';
import { readPublicJwk } from '../core/signer.ts';
import { issueLDevIdCertificate, issueLobbyCertificate, issueWic } from '../identity/issue.ts';
import { issueClientAttestation } from '../identity/wit.ts';
import type { CredentialsMessage, SoftwareKeyProofs } from './messages.ts';
import type { RegistrarOptions } from './registrar-options.ts';

/** Defaults of {@link Lifetimes}. */
export const LIFETIMES = {
  credentialMs: 3_600_000,
  ldevidMs: 2 * 365 * 86_400_000,
  challengeMs: 120_000,
} as const;

/** How far back credentials begin, in milliseconds: a robot's clock may be behind. */
const BACKDATED_MS = 60_000;

/** For whom, with which keys. Everything in it has been proven. */
export interface IssueRequest {
  readonly agentId: string;
  readonly capabilities: readonly string[];
  readonly ldevid: PublicJwk;
  readonly keys: SoftwareKeyProofs;
  readonly ear: string;
  /** Now, milliseconds since 1970. */
  readonly at: number;
}

/** Issues everything an enrolled agent holds, each bound to its own key. */
export async function issueCredentials(
  options: RegistrarOptions,
  request: IssueRequest,
): Promise<CredentialsMessage> {
  const { authority, platform, lifetimes = {} } = options;
  const { agentId, keys, at } = request;
  const notAfter = at + (lifetimes.credentialMs ?? LIFETIMES.credentialMs);
  const issuing = {
    issuer: authority.ca,
    random: platform.random,
    notBefore: at - BACKDATED_MS,
    notAfter,
    agentId,
  };
  const credential = readPublicJwk(keys.credential.jwk);
  const seconds = { iat: Math.floor(at / 1000), exp: Math.floor(notAfter / 1000) };
  const wit = await signJws(authority.wit, 'wit+jwt', {
    iss: authority.issuer,
    sub: agentId,
    ...seconds,
    jti: base64url(platform.random.bytes(16)),
    cnf: { jwk: { ...credential, alg: 'ES256' } },
    [CAPABILITIES_CLAIM]: request.capabilities,
  });
  const ldevid = await issueLDevIdCertificate({
    ...issuing,
    notAfter: at + (lifetimes.ldevidMs ?? LIFETIMES.ldevidMs),
    publicKey: request.ldevid,
  });
  const wic = await issueWic({ ...issuing, publicKey: readPublicJwk(keys.tls.jwk) });
  const lobby = await issueLobbyCertificate({ ...issuing, publicKey: readPublicJwk(keys.lobby.jwk) });
  const clientAttestation = await issueClientAttestation({
    signer: authority.wit,
    random: platform.random,
    iss: authority.issuer,
    sub: agentId,
    key: credential,
    issuedAt: at,
    expiresAt: notAfter,
  });
  return {
    agentId,
    slug: slugOf(agentId),
    ldevidChain: [base64url(ldevid)],
    wit,
    wic: [base64url(wic)],
    lobbyCertificate: base64url(lobby),
    clientAttestation,
    ear: request.ear,
    bundles: authority.bundles().map(({ trustDomain, sequence, keys }) => ({
      trustDomain,
      sequence,
      keys: keys.map(({ use, kid, jwk, certificate }) => ({
        use,
        kid,
        jwk: { ...jwk },
        ...(certificate === undefined ? {} : { certificate: base64url(certificate) }),
      })),
    })),
    endpoints: { ...authority.endpoints() },
    notAfter: seconds.exp * 1000,
  };
}
