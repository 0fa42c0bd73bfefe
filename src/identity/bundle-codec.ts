import { base64, equal, fromBase64 } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import type { Json, JsonObject } from '../core/json.ts';
import { canonicalJson, parseJsonObject } from '../core/json.ts';
import { readPublicJwk, sameKey } from '../core/signer.ts';
import { checkTrustDomain } from './agent-id.ts';
import type { BundleKey, BundleKeyUse, TrustBundle } from './bundle.ts';
import { parseCertificate } from './certificate.ts';
import { BundleRefused } from './errors.ts';

/** How often a holder of a bundle asks for a newer one unless the bundle says otherwise, in seconds. */
export const DEFAULT_REFRESH_HINT_S = 300;

const USES: readonly string[] = [
  'x509-svid',
  'wit-svid',
  'fealty/issuer',
  'fealty/verifier',
  'fealty/status',
] satisfies readonly BundleKeyUse[];
const MAX_KEYS = 64;

/**
 * The SPIFFE form of a bundle: a JWK set with `spiffe_sequence` and `spiffe_refresh_hint` (SPIFFE Trust Domain and
 * Bundle §4). `trust_domain` is ours: a bundle map, or the place it was fetched from, says it otherwise.
 */
export function bundleToJson(bundle: TrustBundle, refreshHintS: number = DEFAULT_REFRESH_HINT_S): JsonObject {
  return {
    spiffe_sequence: bundle.sequence,
    spiffe_refresh_hint: refreshHintS,
    keys: bundle.keys.map(({ use, kid, jwk, certificate }) => ({
      ...jwk,
      use,
      kid,
      ...(use === 'wit-svid' ? { alg: 'ES256' } : {}),
      ...(certificate === undefined ? {} : { x5c: [base64(certificate)] }),
    })),
  };
}

/** Canonical text of {@link bundleToJson}. */
export function writeBundle(bundle: TrustBundle): string {
  return canonicalJson(bundleToJson(bundle));
}

/**
 * Reads the bundle of `trustDomain`, which the *caller* knows; nothing in the bytes says it.
 * Keys of a use or type we do not know are ignored; a key we do know must be whole: an X.509 anchor is one
 * certificate for the same public key. An empty `keys` means that everything is revoked.
 *
 * @throws {Malformed}
 */
export function readBundle(trustDomain: string, source: Uint8Array | string | JsonObject): TrustBundle {
  checkTrustDomain(trustDomain);
  const value = typeof source === 'string' || source instanceof Uint8Array ? parseJsonObject(source) : source;
  const { keys, spiffe_sequence: sequence = 0 } = value;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 0)
    throw new Malformed('`spiffe_sequence` is not a whole number');
  if (!Array.isArray(keys)) throw new Malformed('a bundle has `keys`');
  if (keys.length > MAX_KEYS) throw new Malformed(`a bundle has at most ${MAX_KEYS} keys`);
  const read = keys.map(readKey).filter((key) => key !== undefined);
  const names = read.map(({ use, kid }) => `${use} ${kid}`);
  if (new Set(names).size !== names.length) throw new Malformed('two keys of a bundle have one `kid`');
  return { trustDomain, sequence, keys: read };
}

/** A bundle map: `{ "trust_domains": { "<trust domain>": bundle } }` (SPIFFE Federation). @throws {Malformed} */
export function readBundleMap(source: Uint8Array | string | JsonObject): readonly TrustBundle[] {
  const value =
    typeof source === 'string' || source instanceof Uint8Array
      ? parseJsonObject(source, { maxBytes: 262_144 })
      : source;
  const domains = value['trust_domains'];
  if (!isObject(domains)) throw new Malformed('a bundle map has `trust_domains`');
  return Object.entries(domains).map(([name, bundle]) => {
    if (!isObject(bundle)) throw new Malformed('a bundle is an object');
    return readBundle(name, bundle);
  });
}

/** The bundle map of several bundles. */
export function writeBundleMap(bundles: readonly TrustBundle[]): string {
  return canonicalJson({
    trust_domains: Object.fromEntries(bundles.map((bundle) => [bundle.trustDomain, bundleToJson(bundle)])),
  });
}

/**
 * `known` with `next` in the place of the bundle of the same trust domain. An older sequence never replaces a newer
 * one, and two different bundles with one sequence are refused.
 *
 * @throws {BundleRefused}
 */
export function replaceBundle(known: readonly TrustBundle[], next: TrustBundle): readonly TrustBundle[] {
  const previous = known.find(({ trustDomain }) => trustDomain === next.trustDomain);
  if (previous !== undefined) {
    if (next.sequence < previous.sequence)
      throw new BundleRefused(next.trustDomain, `the bundle of \`${next.trustDomain}\` is older than ours`);
    if (next.sequence === previous.sequence) {
      if (writeBundle(next) === writeBundle(previous)) return known;
      throw new BundleRefused(
        next.trustDomain,
        `two bundles of \`${next.trustDomain}\` have sequence ${next.sequence}`,
      );
    }
  }
  return [...known.filter(({ trustDomain }) => trustDomain !== next.trustDomain), next];
}

function readKey(value: Json): BundleKey | undefined {
  if (!isObject(value)) throw new Malformed('a key of a bundle is an object');
  const { use, kid, kty, crv, x5c } = value;
  if (typeof use !== 'string' || !USES.includes(use)) return undefined;
  if (kty !== 'EC' || crv !== 'P-256') return undefined;
  if ('d' in value) throw new Malformed('a bundle holds a private key');
  if (typeof kid !== 'string' || kid === '' || kid.length > 256)
    throw new Malformed('a key of a bundle has a `kid`');
  const jwk = readPublicJwk(value);
  const common = { use: use as BundleKeyUse, kid, jwk };
  if (use !== 'x509-svid') return common;
  const [encoded, ...more] = Array.isArray(x5c) ? x5c : [];
  if (typeof encoded !== 'string' || more.length > 0)
    throw new Malformed('an X.509 anchor has exactly one certificate in `x5c`');
  const certificate = fromBase64(encoded);
  const { publicKey, subjectDer, issuerDer } = parseCertificate(certificate);
  if (publicKey.kind !== 'p256' || !sameKey(publicKey.jwk, jwk))
    throw new Malformed('an X.509 anchor is for another key than its JWK');
  if (!equal(subjectDer, issuerDer)) throw new Malformed('an X.509 anchor is self-issued');
  return { ...common, certificate };
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
