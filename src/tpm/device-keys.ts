import { X509Certificate } from 'node:crypto';
import { equal, fromHex } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { listHandles } from './basics.ts';
import type { Tpm } from './client/tpm.ts';
import { nvReadCertificate } from './nv.ts';
import type { TpmObject } from './objects.ts';
import { createPrimary, flush, loadPersistent } from './objects.ts';
import { AUTH_POLICY_IAK, AUTH_POLICY_IDEVID } from './policy-digests.ts';
import { nodeCurve, spkiOfPublic } from './public-keys.ts';
import type { TPMT_PUBLIC } from './structures/keys.ts';
import type { EccPublic, UniqueVariant } from './templates.ts';
import {
  certificateIndices,
  iakRsaTemplate,
  iakTemplate,
  idevidRsaTemplate,
  idevidTemplate,
  persistentHandles,
} from './templates.ts';

/** A device key of the TCG: for signing anything (IDevID), or for attesting only (IAK). */
export type DeviceKeyKind = 'idevid' | 'iak';

/** How device keys differ: the template's name in TCG "Keys for Device Identity" §7.3.4, its curve, its hash. */
const CURVES = [
  { name: 'H-2', curveID: 'P-256', hash: 'sha256' },
  { name: 'H-3', curveID: 'P-384', hash: 'sha384' },
  { name: 'H-4', curveID: 'P-521', hash: 'sha512' },
] as const;
const VARIANTS: readonly UniqueVariant[] = ['y-empty', 'y-equals-x', 'halves'];

/** A template by its name, and what its maker put into `unique`. */
export interface DeviceKeyTemplate {
  readonly name: 'H-1' | 'H-2' | 'H-3' | 'H-4';
  /** Of ECC keys; RSA keys have no variants. */
  readonly variant?: UniqueVariant | undefined;
  readonly public: TPMT_PUBLIC;
}

/** Every device key template H-1 to H-4 in every variant of `unique`, P-256 first and RSA last. */
export function deviceKeyTemplates(kind: DeviceKeyKind): readonly DeviceKeyTemplate[] {
  const ecc = CURVES.flatMap(({ name }) =>
    VARIANTS.map((variant) => ({ name, variant, public: deviceKeyTemplate(kind, name, variant) })),
  );
  return [...ecc, { name: 'H-1', public: kind === 'idevid' ? idevidRsaTemplate : iakRsaTemplate }];
}

/** One ECC device key template: H-2 (P-256), H-3 (P-384) or H-4 (P-521). */
export function deviceKeyTemplate(
  kind: DeviceKeyKind,
  name: 'H-2' | 'H-3' | 'H-4',
  variant: UniqueVariant = 'y-empty',
): EccPublic {
  const base = kind === 'idevid' ? idevidTemplate(variant) : iakTemplate(variant);
  const { curveID, hash } = CURVES.find((one) => one.name === name) ?? CURVES[0];
  const policy = kind === 'idevid' ? AUTH_POLICY_IDEVID : AUTH_POLICY_IAK;
  return {
    ...base,
    nameAlg: hash,
    authPolicy: fromHex(policy[hash]),
    parameters: { ...base.parameters, curveID, scheme: { scheme: 'ecdsa', hashAlg: hash } },
  };
}

/** A device key, found by its certificate. */
export interface DeviceKey {
  readonly key: TpmObject;
  /** DER. */
  readonly certificate: Uint8Array;
  /** Where the key was: at a handle, where it stays; or in a template, and then it is transient: flush it. */
  readonly by: 'handle' | 'template';
}

/**
 * Finds the IDevID or the IAK: reads its certificate from NV, and looks for the certificate's key at its usual handle, at
 * every other persistent handle, and in every template. `undefined` when there is no certificate.
 *
 * @throws {Malformed} when the certificate cannot be read, or no handle and no template gives its key.
 */
export async function loadDeviceKey(
  tpm: Tpm,
  kind: DeviceKeyKind,
  options: { readonly endorsementAuth?: Uint8Array | undefined } = {},
): Promise<DeviceKey | undefined> {
  const certificate = await certificateOf(tpm, kind);
  if (certificate === undefined) return undefined;
  const { spki, curve } = publicKeyOf(certificate);
  const fits = (key: TpmObject) => equal(spkiOrNothing(key.public), spki);
  const usual = persistentHandles[kind];
  const others = (await listHandles(tpm, 'persistent')).filter((handle) => handle !== usual);
  for (const handle of [usual, ...others]) {
    const key = await loadPersistent(tpm, handle);
    if (key !== undefined && fits(key)) return { key, certificate, by: 'handle' };
  }
  const hierarchyAuth = options.endorsementAuth;
  for (const { public: template } of deviceKeyTemplates(kind)) {
    // TPMs take their time for others, and may not have the curve
    if (curveOf(template) !== curve) continue;
    const key = await createPrimary(tpm, { hierarchy: 'endorsement', template, hierarchyAuth });
    if (fits(key)) return { key, certificate, by: 'template' };
    await flush(tpm, key);
  }
  throw new Malformed(`neither a handle nor a template gives the key of the ${kind} certificate`);
}

async function certificateOf(tpm: Tpm, kind: DeviceKeyKind): Promise<Uint8Array | undefined> {
  const { iak, idevid, idevidElsewhere } = certificateIndices;
  for (const handle of kind === 'iak' ? [iak] : [idevid, idevidElsewhere]) {
    const found = await nvReadCertificate(tpm, handle);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `curve` is undefined for RSA. */
function publicKeyOf(certificate: Uint8Array): {
  readonly spki: Uint8Array;
  readonly curve: string | undefined;
} {
  try {
    const { publicKey } = new X509Certificate(certificate);
    const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
    return { spki, curve: publicKey.asymmetricKeyDetails?.namedCurve };
  } catch (cause) {
    throw new Malformed('the certificate in NV cannot be read', { cause });
  }
}

function curveOf(template: TPMT_PUBLIC): string | undefined {
  return template.type === 'ecc' ? nodeCurve(template.parameters.curveID) : undefined;
}

/** Empty for what is no RSA or ECC key of a usual curve. */
function spkiOrNothing(area: TPMT_PUBLIC): Uint8Array {
  try {
    return spkiOfPublic(area);
  } catch (error) {
    if (error instanceof Malformed) return new Uint8Array(0);
    throw error;
  }
}
