import { equal, utf8 } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { Network } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import { CertificateRefused } from '../identity/errors.ts';
import { validateChain } from '../identity/validate.ts';
import { isCheck } from './checks.ts';
import { EnrolmentRefused, RegistrarFailed, WrongAuthority } from './errors.ts';
import { PATHS, problemSchema } from './messages.ts';

/** One exchange with the registrar. */
export interface Exchange {
  readonly network: Network;
  /** Base URL of the authority. */
  readonly authority: string;
  /** Judges the certificates of the server before anything is sent. */
  readonly verifyPeer: (chain: readonly Uint8Array[]) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Posts one message and reads its answer. @throws {EnrolmentRefused} @throws {RegistrarFailed} @throws {Unreachable} */
export async function post<const S extends v.GenericSchema>(
  exchange: Exchange,
  message: keyof typeof PATHS,
  body: object,
  schema: S,
): Promise<v.InferOutput<S>> {
  const response = await exchange.network.request({
    method: 'POST',
    url: `${exchange.authority.replace(/\/$/, '')}${PATHS[message]}`,
    headers: { 'content-type': 'application/json' },
    body: utf8(JSON.stringify(body)),
    tls: { verifyPeer: exchange.verifyPeer },
    signal: exchange.signal,
  });
  let json: unknown;
  try {
    json = parseJson(response.body, { maxBytes: 1 << 20 });
    if (response.status === 200) return check(schema, json, 'answer of the registrar');
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new RegistrarFailed(response.status, `the registrar's answer is no answer: ${cause.message}`, {
      cause,
    });
  }
  const problem = v.safeParse(problemSchema, json);
  if (problem.success && isCheck(problem.output.check))
    throw new EnrolmentRefused(problem.output.check, problem.output.detail ?? 'no reason given');
  throw new RegistrarFailed(response.status, `the registrar answered with status ${response.status}`);
}

/**
 * A judge of the authority's TLS certificate: it must chain to the certificate authority that the voucher pinned *and*
 * name the host it was reached at. Agents of the same owner have certificates of the same authority that are good for
 * TLS servers too, but theirs name no host.
 *
 * @throws {WrongAuthority}
 */
export function pinnedTo(
  anchor: Uint8Array,
  authority: string,
  now: () => number,
): (chain: readonly Uint8Array[]) => void {
  const host = new URL(authority).hostname.replace(/^\[|\]$/g, '');
  return ([leaf, ...intermediates]) => {
    if (leaf === undefined) throw new WrongAuthority('the server showed no certificate');
    try {
      const { subjectAltName: names } = validateChain({
        leaf,
        // A server may send its anchor along.
        intermediates: intermediates.filter((one) => !equal(one, anchor)),
        anchors: [anchor],
        at: now(),
        purpose: 'server',
      }).leaf;
      if (names?.uris.length !== 0 || !(names.dns.includes(host) || names.ips.includes(host)))
        throw new WrongAuthority(`the server's certificate is not for \`${host}\``);
    } catch (cause) {
      if (cause instanceof CertificateRefused)
        throw new WrongAuthority(`the server is not the owner's: ${cause.message}`, { cause });
      throw cause;
    }
  };
}
