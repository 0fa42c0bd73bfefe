import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { base64 } from '../../src/core/bytes.ts';
import { FealtyError, Malformed } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { parseJsonObject } from '../../src/core/json.ts';
import type { TrustBundle } from '../../src/identity/bundle.ts';
import { keysFor } from '../../src/identity/bundle.ts';
import {
  bundleToJson,
  readBundle,
  readBundleMap,
  replaceBundle,
  writeBundle,
  writeBundleMap,
} from '../../src/identity/bundle-codec.ts';
import { BundleRefused } from '../../src/identity/errors.ts';
import type { CertificateIssuer } from '../../src/identity/issue.ts';
import { fleet, key } from './fixtures.ts';

const signer = key();
let root: CertificateIssuer;
let aca: CertificateIssuer;
let bundle: TrustBundle;

beforeAll(async () => {
  ({ root, aca } = await fleet());
  bundle = {
    trustDomain: 'fleet.example',
    sequence: 3,
    keys: [
      { use: 'x509-svid', kid: root.signer.kid, jwk: root.signer.publicJwk, certificate: root.certificate },
      { use: 'wit-svid', kid: signer.kid, jwk: signer.publicJwk },
      { use: 'fealty/issuer', kid: signer.kid, jwk: signer.publicJwk },
    ],
  };
});

const altered = (change: (json: { keys: Record<string, unknown>[] } & Record<string, unknown>) => void) => {
  const json = JSON.parse(writeBundle(bundle)) as { keys: Record<string, unknown>[] } & Record<
    string,
    unknown
  >;
  change(json);
  return json as unknown as JsonObject;
};

describe('a trust bundle (SPIFFE Trust Domain and Bundle §4)', () => {
  it('reads back as it was written', () => {
    expect(readBundle('fleet.example', writeBundle(bundle))).toEqual(bundle);
    expect(bundleToJson(bundle)).toMatchObject({ spiffe_sequence: 3, spiffe_refresh_hint: 300 });
    expect(readBundleMap(writeBundleMap([bundle]))).toEqual([bundle]);
    expect(keysFor([bundle], 'fleet.example', 'wit-svid')).toHaveLength(1);
    expect(keysFor([bundle], 'other.example', 'wit-svid')).toEqual([]);
  });

  it('may hold keys of uses and types nobody here knows, which are ignored', () => {
    const more = altered((json) => {
      json.keys.push({ kty: 'RSA', use: 'jwt-svid', n: 'AQAB', e: 'AQAB' });
      json.keys.push({ kty: 'OKP', crv: 'Ed25519', use: 'wit-svid', kid: 'x', x: 'AA' });
      json.keys.push({ kty: 'EC', kid: 'no use' });
    });
    expect(readBundle('fleet.example', more)).toEqual(bundle);
  });

  it('that is empty means that everything is revoked', () => {
    expect(readBundle('fleet.example', '{"keys":[]}')).toEqual({
      trustDomain: 'fleet.example',
      sequence: 0,
      keys: [],
    });
  });

  it.each<[string, () => JsonObject | string]>([
    ['no `keys`', () => '{}'],
    ['`keys` that are no list', () => '{"keys":{}}'],
    ['a sequence below zero', () => altered((json) => Object.assign(json, { spiffe_sequence: -1 }))],
    ['a sequence that is text', () => altered((json) => Object.assign(json, { spiffe_sequence: '3' }))],
    ['a private key', () => altered((json) => Object.assign(json.keys[1] ?? {}, { d: 'AA' }))],
    ['a key without `kid`', () => altered((json) => Object.assign(json.keys[1] ?? {}, { kid: '' }))],
    ['two keys of one name', () => altered((json) => json.keys.push({ ...json.keys[1] }))],
    [
      'an anchor without its certificate',
      () => altered((json) => Object.assign(json.keys[0] ?? {}, { x5c: [] })),
    ],
    [
      'an anchor with a chain',
      () =>
        altered((json) =>
          Object.assign(json.keys[0] ?? {}, { x5c: [base64(root.certificate), base64(root.certificate)] }),
        ),
    ],
    [
      'an anchor for another key',
      () => altered((json) => Object.assign(json.keys[0] ?? {}, { ...signer.publicJwk })),
    ],
    [
      'an anchor that is no root',
      () =>
        altered((json) =>
          Object.assign(json.keys[0] ?? {}, { ...aca.signer.publicJwk, x5c: [base64(aca.certificate)] }),
        ),
    ],
    ['more than 64 keys', () => altered((json) => json.keys.push(...Array.from({ length: 64 }, () => ({}))))],
    ['a member that appears twice', () => writeBundle(bundle).replace('{', '{"keys":[],')],
  ])('with %s is refused', (_what, source) => {
    expect(() => readBundle('fleet.example', source())).toThrow(Malformed);
  });

  it('is never named by an IP address', () => {
    expect(() => readBundle('192.0.2.1', '{"keys":[]}')).toThrow(Malformed);
    expect(() => readBundleMap('{"trust_domains":{"A b":{"keys":[]}}}')).toThrow(Malformed);
  });

  it('made of hostile JSON is read or refused by name', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        try {
          readBundle('fleet.example', json);
        } catch (error) {
          expect(error).toBeInstanceOf(FealtyError);
        }
      }),
      { seed: 6, numRuns: 300 },
    );
    expect(parseJsonObject('{"keys":[null]}')).toBeDefined();
    expect(() => readBundle('fleet.example', '{"keys":[null]}')).toThrow(Malformed);
  });
});

describe('the bundles an agent keeps', () => {
  it('are replaced by newer ones, of their trust domain alone', () => {
    const other: TrustBundle = { ...bundle, trustDomain: 'other.example' };
    const newer: TrustBundle = { ...bundle, sequence: 4, keys: [] };
    expect(replaceBundle([bundle, other], newer)).toEqual([other, newer]);
    expect(replaceBundle([], bundle)).toEqual([bundle]);
  });

  it('are never replaced by older ones, nor by another of the same sequence', () => {
    expect(() => replaceBundle([bundle], { ...bundle, sequence: 2 })).toThrow(BundleRefused);
    expect(() => replaceBundle([bundle], { ...bundle, keys: [] })).toThrow(BundleRefused);
    expect(replaceBundle([bundle], { ...bundle })).toEqual([bundle]);
  });
});
