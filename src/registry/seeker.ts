import { fromBase64url } from '../core/bytes.ts';
import type { Platform } from '../core/platform.ts';
import type { Signer } from '../core/signer.ts';
import type { RegistryAddress } from './exchange.ts';
import { askRegistry } from './exchange.ts';
import { REGISTRY_PATHS, seekAnswerSchema } from './messages.ts';

/** An agent found in the registry: enough to invite it. Nothing of it is trusted before WIT and certificate verify. */
export interface Finding {
  readonly agentId: string;
  readonly slug: string;
  /** Only for agents of the same trust domain, unless the registry's rules say more. */
  readonly wit?: string | undefined;
  /** DER. */
  readonly lobbyCertificate: Uint8Array;
  readonly capabilities: readonly string[];
  readonly title?: string | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/**
 * Agents that offer *all* of `capabilities` and that this agent may know of; the seeking end.
 *
 * @throws {RegistryRefused} naming the check. @throws {RegistryFailed} @throws {Unreachable}
 */
export async function seek(
  platform: Pick<Platform, 'clock' | 'random' | 'network'>,
  address: RegistryAddress,
  agent: { readonly wit: string; readonly signer: Signer },
  query: { readonly capabilities: readonly string[]; readonly limit?: number | undefined },
): Promise<readonly Finding[]> {
  const answer = await askRegistry(
    platform,
    address,
    REGISTRY_PATHS.seek,
    agent,
    {
      op: 'seek',
      capabilities: query.capabilities,
      ...(query.limit === undefined ? {} : { limit: query.limit }),
    },
    seekAnswerSchema,
  );
  return answer.agents.map((found) => ({
    ...found,
    lobbyCertificate: fromBase64url(found.lobbyCertificate),
  }));
}
