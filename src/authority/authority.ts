import { createVerifier } from '../attestation/verifier.ts';
import { signedCheckpoints } from '../audit/checkpoint.ts';
import { AuditJournal } from '../audit/log.ts';
import { SimulatedPlatform } from '../core/errors.ts';
import type { PublicJwk, SoftwareKey } from '../core/signer.ts';
import type { BundleKeyUse, TrustBundle } from '../identity/bundle.ts';
import { createRegistrar } from '../provisioning/registrar.ts';
import { createRegistry } from '../registry/registry.ts';
import type { Issuer } from '../tokens/issuer.ts';
import { createIssuer } from '../tokens/issuer.ts';
import { makeApp } from './app.ts';
import { KEY_NAMES, readBinding, readCaCertificate, readConfig, readKey, readVoucher } from './folder.ts';
import { fingerprintOf, storeOf } from './init.ts';
import { sqliteDialect } from './sqlite.ts';
import type { AuthorityStore } from './store.ts';
import { openStore } from './store.ts';
import type { TrustState } from './trust-state.ts';
import { openTrustState } from './trust-state.ts';
import type { AuthorityIdentity, OpenOptions } from './types.ts';

/** How often the store is swept and the log checkpointed, in milliseconds. */
const SWEEP_MS = 60_000;
/** Largest audit log of an authority, in bytes. */
const LOG_MAX = 256 << 20;

/** An authority without a socket: registrar, registry, token service and the owner's side over one store. */
export interface Authority extends AuthorityIdentity {
  /** Base URL. */
  readonly url: string;
  readonly issuer: Issuer;
  readonly store: AuthorityStore;
  readonly audit: AuditJournal;
  readonly trust: TrustState;
  /** Its own bundle. */
  readonly bundle: TrustBundle;
  /** Certificate of the ACA, DER, and its key: it issues the TLS certificates of the owner's servers. */
  readonly ca: { readonly certificate: Uint8Array; readonly signer: SoftwareKey };
  /** Answers one request; never throws. */
  handle(request: Request): Promise<Response>;
  /** Finishes, checkpoints the log, closes the store. Idempotent. */
  close(): Promise<void>;
}

/**
 * Opens an authority that {@link initAuthority} made.
 *
 * @throws {AuthorityFolder} when there is none. @throws {SimulatedPlatform} unless it is for simulation.
 */
export async function openAuthority(options: OpenOptions): Promise<Authority> {
  const { platform, url } = options;
  const folder = storeOf(options);
  const config = await readConfig(folder);
  const { trustDomain, simulation } = config;
  if (platform.simulated && !simulation)
    throw new SimulatedPlatform('a real authority does not run on a simulated platform');
  const [aca, wit, issuerKey, verifierKey, status, log] = await readKeys(folder);
  const certificate = await readCaCertificate(folder);
  const bundle: TrustBundle = {
    trustDomain,
    sequence: config.bundleSequence,
    keys: [
      { use: 'x509-svid', kid: aca.kid, jwk: aca.publicJwk, certificate },
      bundleKey('wit-svid', wit),
      bundleKey('fealty/issuer', issuerKey),
      bundleKey('fealty/verifier', verifierKey),
      bundleKey('fealty/status', status),
    ],
  };
  const trust = await openTrustState(folder, bundle);
  const audit = await AuditJournal.open({
    store: folder,
    clock: platform.clock,
    agent: `spiffe://${trustDomain}/authority`,
    maxBytes: LOG_MAX,
    checkpointer: signedCheckpoints(log),
  });
  let store: AuthorityStore;
  try {
    store = await openStore(sqliteDialect(options.database ?? `${options.directory}/authority.db`));
  } catch (error) {
    await audit.close();
    throw error;
  }
  const issuer = createIssuer({
    issuer: url,
    trustDomain,
    clock: platform.clock,
    random: platform.random,
    store: store.issuer,
    audit,
    keys: { issuer: issuerKey, status },
    bundles: trust.bundles,
    lifeS: options.tokenLifeS,
    onRevoked: options.onRevoked,
  });
  const registrar = createRegistrar({
    platform,
    store: store.registrar,
    // Read at each use, so that what the owner changes counts at once.
    anchors: {
      get ekVendors() {
        return trust.anchors().ekVendors;
      },
      get makers() {
        return trust.anchors().makers;
      },
      get providers() {
        return trust.anchors().providers;
      },
      get owners(): readonly PublicJwk[] {
        return trust.anchors().owners;
      },
    },
    authority: {
      trustDomain,
      issuer: url,
      ca: { signer: aca, certificate },
      wit,
      bundles: trust.bundles,
      endpoints: () => {
        const broker = typeof options.broker === 'function' ? options.broker() : options.broker;
        return { authority: url, ...(broker === undefined ? {} : { broker }) };
      },
    },
    verifier: createVerifier({
      signer: verifierKey,
      issuer: url,
      build: '0.1.0',
      reference: trust.reference,
      policy: trust.policy,
    }),
    simulation,
    voucherFor: options.voucherFor ?? (({ serial }) => readVoucher(folder, serial)),
    bindingFor: (maker, serial) => readBinding(folder, maker, serial),
    lifetimes: options.lifetimes,
    audit,
  });
  const registry = createRegistry({
    platform,
    store: store.registry,
    authority: url,
    trustDomain,
    bundles: trust.bundles,
    isRevoked: async (agentId) => (await store.registrar.device(agentId))?.status === 'revoked',
  });
  const handle = makeApp({
    issuer,
    registrar,
    registry,
    desk: {
      platform,
      url,
      store: folder,
      issuer,
      grants: store.issuer,
      registrar,
      devices: store.registrar,
      registry,
      audit,
      trust,
    },
    bundle: () => bundle,
    log: platform.log,
  });
  const stopSweeping = sweeping(options, store, audit);
  let closing: Promise<void> | undefined;
  return {
    trustDomain,
    simulation,
    fingerprint: fingerprintOf(certificate),
    url,
    issuer,
    store,
    audit,
    trust,
    bundle,
    ca: { certificate, signer: aca },
    handle,
    close: () => {
      closing ??= (async () => {
        await stopSweeping();
        await audit.close();
        await store.close();
      })();
      return closing;
    },
  };
}

/** Sweeps and checkpoints once a minute. @returns stops it, after what runs. */
function sweeping(options: OpenOptions, store: AuthorityStore, audit: AuditJournal): () => Promise<void> {
  const { clock, log } = options.platform;
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  let cancel = () => {};
  let seen = audit.head().index;
  const round = async () => {
    await store.sweep(clock.now());
    if (audit.head().index > seen) {
      await audit.checkpoint();
      seen = audit.head().index;
    }
  };
  const arm = () => {
    if (stopped) return;
    cancel = clock.schedule(SWEEP_MS, () => {
      running = round()
        .catch((error: unknown) => log.warn('sweeping failed', { error: String(error) }))
        .then(arm);
    });
  };
  arm();
  return async () => {
    stopped = true;
    cancel();
    await running;
  };
}

async function readKeys(
  folder: Parameters<typeof readKey>[0],
): Promise<[SoftwareKey, SoftwareKey, SoftwareKey, SoftwareKey, SoftwareKey, SoftwareKey]> {
  const keys = await Promise.all(KEY_NAMES.map((name) => readKey(folder, name)));
  return keys as [SoftwareKey, SoftwareKey, SoftwareKey, SoftwareKey, SoftwareKey, SoftwareKey];
}

function bundleKey(use: BundleKeyUse, key: SoftwareKey): TrustBundle['keys'][number] {
  return { use, kid: key.kid, jwk: key.publicJwk };
}
