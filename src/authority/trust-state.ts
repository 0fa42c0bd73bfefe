import type { AppraisalPolicy, ReferenceValues } from '../attestation/reference.ts';
import { readAppraisalPolicy, readReferenceValues } from '../attestation/reference.ts';
import { utf8 } from '../core/bytes.ts';
import { canonicalBytes } from '../core/json.ts';
import type { Store } from '../core/platform.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import { readBundle, replaceBundle, writeBundle } from '../identity/bundle-codec.ts';
import type { RegistrarAnchors } from '../provisioning/registrar-options.ts';
import { AuthorityFolder } from './errors.ts';
import { readAnchors, writeAnchors } from './folder.ts';

/** What an authority trusts and demands; the owner changes it while it runs, and it counts from the next request on. */
export interface TrustState {
  anchors(): RegistrarAnchors;
  reference(): ReferenceValues;
  policy(): AppraisalPolicy;
  /** The owner's own bundle and the federated ones. */
  bundles(): readonly TrustBundle[];
  setAnchors(anchors: RegistrarAnchors): Promise<void>;
  setReference(reference: ReferenceValues): Promise<void>;
  setPolicy(policy: AppraisalPolicy): Promise<void>;
  /** @throws {BundleRefused} when it is older than the one held, or the owner's own. */
  addBundle(bundle: TrustBundle): Promise<void>;
}

/** Reads what the folder holds. @param own the bundle of this authority. */
export async function openTrustState(store: Store, own: TrustBundle): Promise<TrustState> {
  let anchors = await readAnchors(store);
  let reference = readReferenceValues(await need(store, 'reference.json'));
  let policy = readAppraisalPolicy(await need(store, 'policy.json'));
  let bundles: readonly TrustBundle[] = [own];
  for (const name of await store.list('bundles/')) {
    const bytes = await store.read(name);
    const trustDomain = name.slice('bundles/'.length, -'.json'.length);
    if (bytes !== undefined && trustDomain !== own.trustDomain)
      bundles = replaceBundle(bundles, readBundle(trustDomain, bytes));
  }
  return {
    anchors: () => anchors,
    reference: () => reference,
    policy: () => policy,
    bundles: () => bundles,
    setAnchors: async (next) => {
      await writeAnchors(store, next);
      anchors = next;
    },
    setReference: async (next) => {
      await store.write('reference.json', canonicalBytes(next));
      reference = next;
    },
    setPolicy: async (next) => {
      await store.write('policy.json', canonicalBytes(next));
      policy = next;
    },
    addBundle: async (next) => {
      if (next.trustDomain === own.trustDomain)
        throw new AuthorityFolder('the bundle of this trust domain is made here');
      const changed = replaceBundle(bundles, next);
      await store.write(`bundles/${next.trustDomain}.json`, utf8(writeBundle(next)));
      bundles = changed;
    },
  };
}

async function need(store: Store, name: string): Promise<Uint8Array> {
  const bytes = await store.read(name);
  if (bytes === undefined) throw new AuthorityFolder(`the authority's folder has no \`${name}\``);
  return bytes;
}
