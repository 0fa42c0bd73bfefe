import { thumbprint } from '../core/signer.ts';
import { CredentialRefused } from '../identity/errors.ts';
import type { ClientAttestation } from '../identity/wit.ts';
import { verifyClientAttestation } from '../identity/wit.ts';
import type { VerifiedDpop } from './dpop.ts';
import { verifyDpop } from './dpop.ts';
import { OAUTH } from './endpoints.ts';
import { ProofRefused } from './errors.ts';
import type { IssuerContext } from './issuer-context.ts';
import { OAuthRefusal } from './issuer-errors.ts';

/** A client whose attestation and proof hold. */
export interface AuthenticatedClient {
  /** Agent identifier = `client_id`. */
  readonly id: string;
  readonly attestation: ClientAttestation;
  readonly dpop: VerifiedDpop;
}

/**
 * Authenticates the client: `attest_jwt_client_auth_dpop`, and nothing else.
 *
 * @param options.path of the endpoint, as configured: the proof's `htu`.
 * @param options.otherKey the DPoP key may be another than the attested one (JWT grant: the assertion proves that one).
 * @throws {OAuthRefusal}
 */
export async function authenticate(
  context: IssuerContext,
  request: Request,
  options: { readonly path: string; readonly clientId?: string | undefined; readonly otherKey?: boolean },
): Promise<AuthenticatedClient> {
  if (request.headers.has('authorization'))
    throw new OAuthRefusal(
      'invalid_request',
      'two-authentications',
      'clients authenticate by attestation alone',
    );
  const attestation = attested(context, request);
  if (options.clientId !== undefined && options.clientId !== attestation.sub)
    throw new OAuthRefusal('invalid_client', 'client-id', "the attestation is another client's");
  const own = options.otherKey === true ? undefined : thumbprint(attestation.key);
  const dpop = await proved(context, request, options.path, own);
  return { id: attestation.sub, attestation, dpop };
}

function attested(context: IssuerContext, request: Request): ClientAttestation {
  const compact = request.headers.get(OAUTH.attestationHeader);
  if (compact === null)
    throw new OAuthRefusal('invalid_client', 'attestation-missing', 'a client attestation is required');
  try {
    return verifyClientAttestation(compact, context.bundles(), context.clock.now());
  } catch (cause) {
    if (!(cause instanceof CredentialRefused)) throw cause;
    throw new OAuthRefusal(
      cause.check === 'expired' ? 'use_fresh_attestation' : 'invalid_client_attestation',
      `attestation-${cause.check}`,
      cause.message,
      { cause, status: 401 },
    );
  }
}

async function proved(
  context: IssuerContext,
  request: Request,
  path: string,
  jkt: string | undefined,
): Promise<VerifiedDpop> {
  const proof = request.headers.get(OAUTH.dpopHeader);
  if (proof === null)
    throw new OAuthRefusal('invalid_dpop_proof', 'dpop-missing', 'a DPoP proof is required');
  const { clock, store, nonces } = context;
  try {
    return await verifyDpop(proof, {
      method: request.method,
      url: `${context.issuer}${path}`,
      jkt,
      at: clock.now(),
      nonceIsOurs: nonces.isOurs,
      nonceRequired: context.nonceRequired ?? false,
      replay: {
        admit: async ({ id, forMs }) => {
          const now = clock.now();
          const outcome = await store.consume(id, now + forMs, now);
          if (outcome === 'replayed') throw new ProofRefused('replayed', 'the proof was shown before');
          if (outcome === 'full') throw new ProofRefused('replay-full', 'too many proofs at a time');
        },
      },
    });
  } catch (cause) {
    if (!(cause instanceof ProofRefused)) throw cause;
    if (cause.check === 'jkt')
      throw new OAuthRefusal(
        'invalid_client_attestation',
        'dpop-key',
        'the DPoP key is not the attested key',
        { cause },
      );
    if (cause.check === 'replay-full')
      throw new OAuthRefusal('temporarily_unavailable', 'dpop-replay-full', cause.message, {
        cause,
        status: 503,
      });
    // A proof of the wrong time may come from a clock that is wrong: with our nonce the time is ours.
    const askNonce = cause.check === 'nonce' || cause.check === 'nonce-required' || cause.check === 'iat';
    throw new OAuthRefusal(
      askNonce ? 'use_dpop_nonce' : 'invalid_dpop_proof',
      `dpop-${cause.check}`,
      cause.message,
      {
        cause,
      },
    );
  }
}
