import { utf8 } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { Platform, TlsOptions } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { Signer } from '../core/signer.ts';
import { REGISTRY_CHECKS, RegistryFailed, RegistryRefused } from './errors.ts';
import { signRequest } from './messages.ts';

/** Where the registry is. */
export interface RegistryAddress {
  /** Base URL of the authority, as `Endpoints.authority` says it. */
  readonly authority: string;
  /** How its TLS certificate is judged, and what is shown to it. */
  readonly tls?: TlsOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

const problemSchema = v.object({
  detail: v.optional(v.pipe(v.string(), v.maxLength(2048))),
  check: v.optional(v.picklist(REGISTRY_CHECKS)),
});

/** Where a path of the registry is, and what a request to it is addressed to (`aud`). */
export function registryUrl(authority: string, path: string): string {
  return `${authority.replace(/\/$/, '')}${path}`;
}

/** One signed question to the registry and its answer. */
export async function askRegistry<const S extends v.GenericSchema = v.AnySchema>(
  platform: Pick<Platform, 'clock' | 'random' | 'network'>,
  address: RegistryAddress,
  path: string,
  agent: { readonly wit: string; readonly signer: Signer },
  body: Readonly<Record<string, unknown>>,
  schema?: S,
): Promise<v.InferOutput<S>> {
  const url = registryUrl(address.authority, path);
  const request = await signRequest(platform, agent, url, body);
  const response = await platform.network.request({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json' },
    body: utf8(JSON.stringify(request)),
    tls: address.tls,
    signal: address.signal,
  });
  if (response.status === 204) return undefined as v.InferOutput<S>;
  let json: unknown;
  try {
    json = parseJson(response.body, { maxBytes: 1 << 20 });
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new RegistryFailed(response.status, 'the registry did not answer in JSON', { cause });
  }
  if (response.status !== 200) {
    const problem = v.safeParse(problemSchema, json);
    if (problem.success && problem.output.check !== undefined)
      throw new RegistryRefused(problem.output.check, problem.output.detail ?? 'no reason given');
    throw new RegistryFailed(response.status, `the registry answered with status ${response.status}`);
  }
  return schema === undefined ? undefined : check(schema, json, 'answer of the registry');
}
