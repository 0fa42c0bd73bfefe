import { base64url } from '../core/bytes.ts';
import { sortedCapabilities } from '../core/capability.ts';
import type { Platform } from '../core/platform.ts';
import type { Signer } from '../core/signer.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { RegistryAddress } from './exchange.ts';
import { askRegistry } from './exchange.ts';
import { REGISTRY_PATHS, registerAnswerSchema } from './messages.ts';

/**
 * Tells the registry what this agent offers; the device's end. It must be exactly what the ACA signed into the WIT.
 * To be called again after each renewal: a record ends with the credential it was made with.
 *
 * @returns when the record is dropped, milliseconds since 1970.
 * @throws {RegistryRefused} naming the check. @throws {RegistryFailed} @throws {Unreachable}
 */
export async function register(
  platform: Pick<Platform, 'clock' | 'random' | 'network'>,
  address: RegistryAddress,
  agent: {
    readonly credentials: Pick<Credentials, 'wit' | 'lobbyCertificate'>;
    /** The credential key. */
    readonly signer: Signer;
    readonly capabilities: readonly string[];
    /** For people. */
    readonly title?: string | undefined;
  },
): Promise<number> {
  const answer = await askRegistry(
    platform,
    address,
    REGISTRY_PATHS.register,
    { wit: agent.credentials.wit, signer: agent.signer },
    {
      op: 'register',
      capabilities: sortedCapabilities(agent.capabilities),
      lobbyCertificate: base64url(agent.credentials.lobbyCertificate),
      ...(agent.title === undefined ? {} : { title: agent.title }),
    },
    registerAnswerSchema,
  );
  return answer.expiresAt;
}

/** Takes this agent out of the registry. @throws {RegistryRefused} {@link RegistryFailed} */
export async function withdraw(
  platform: Pick<Platform, 'clock' | 'random' | 'network'>,
  address: RegistryAddress,
  agent: { readonly wit: string; readonly signer: Signer },
): Promise<void> {
  await askRegistry(platform, address, REGISTRY_PATHS.withdraw, agent, { op: 'withdraw' });
}
