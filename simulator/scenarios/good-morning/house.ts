import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Papers } from 'fealty';
import type { Authority, OwnerClient } from 'fealty/authority';
import { initAuthority, openAuthority, ownerClient } from 'fealty/authority';
import type { Twin } from 'fealty/device';
import { Hub } from 'fealty/hub';
import { twin as bedroomLight } from '../../../devices/bedroom-light/twin.ts';
import { twin as blinds } from '../../../devices/blinds/twin.ts';
import { twin as coffeeMaker } from '../../../devices/coffee-maker/twin.ts';
import { twin as frontDoor } from '../../../devices/front-door/twin.ts';
import { twin as thermostat } from '../../../devices/thermostat/twin.ts';
import type { Measurement } from '../../../src/attestation/index.ts';
import { measure } from '../../../src/attestation/index.ts';
import { text } from '../../../src/core/bytes.ts';
import { canonicalBytes } from '../../../src/core/json.ts';
import type { SoftwareKey } from '../../../src/core/signer.ts';
import { generateKey, keyFromPem } from '../../../src/core/signer.ts';
import type { Routine } from '../../../src/hub/index.ts';
import { issueServerCertificate } from '../../../src/identity/issue.ts';
import type { VirtualClock } from '../../clock.ts';
import { virtualClock } from '../../clock.ts';
import type { SimulatedNetwork } from '../../network.ts';
import { simulatedNetwork } from '../../network.ts';
import type { SimulatedPlatform } from '../../platform.ts';
import { simulatedPlatform } from '../../platform.ts';
import type { MemoryStore } from '../../store.ts';
import { memoryStore } from '../../store.ts';
import { SoftwareTpm } from '../../tpm/index.ts';
import { AUTHORITY_URL, HOUSE_RULE, TRUST_DOMAIN } from './words.ts';

const HOUR = 3_600_000;
/** Credentials and tokens of a home that needs nobody outside: a day at most, renewed by themselves. */
const CREDENTIAL_MS = 23 * HOUR;
const TOKEN_S = 23 * 3_600;
/** Time in which nothing happens passes in strides; a credential that ended in one is renewed all the same … */
const STRIDE_MS = 11 * HOUR;
/** … and the last minutes before something happens as they are. */
const FINE_MS = 10 * 60_000;

/** A house, its hub and its owner, in one process with virtual time. */
export class House {
  readonly clock: VirtualClock;
  readonly platform: SimulatedPlatform;
  /** State of the authority, and of the hub's TPM. */
  readonly authorityStore: MemoryStore = memoryStore();
  readonly tpmStore: MemoryStore = memoryStore();
  readonly twins = {
    light: bedroomLight(),
    thermostat: thermostat(),
    coffee: coffeeMaker(),
    blinds: blinds(),
    door: frontDoor(),
  } as const satisfies Readonly<Record<string, Twin>>;
  readonly routines: readonly Routine[];
  readonly #network: SimulatedNetwork;
  readonly #signal: AbortSignal;
  #authority: Authority | undefined;
  #owner: { readonly client: OwnerClient; readonly key: SoftwareKey } | undefined;
  #chip: SoftwareTpm | undefined;
  #hub: Hub | undefined;

  constructor(options: {
    readonly seed: number;
    /** Wall time at which it begins, milliseconds since 1970. */
    readonly start: number;
    readonly routines: readonly Routine[];
    readonly signal: AbortSignal;
  }) {
    const network = simulatedNetwork();
    this.clock = virtualClock(options.start, () => network.open > 0);
    this.platform = simulatedPlatform({ seed: options.seed, name: 'house', clock: this.clock, network });
    this.routines = options.routines;
    this.#network = network;
    this.#signal = options.signal;
  }

  get authority(): Authority {
    return present(this.#authority, 'authority');
  }

  /** The owner's hand: each command signed with the owner's key. */
  get owner(): { readonly client: OwnerClient; readonly key: SoftwareKey } {
    return present(this.#owner, 'owner');
  }

  get hub(): Hub {
    return present(this.#hub, 'hub');
  }

  /** The authority of the home: the hub's own process is its authorization server. */
  async openAuthority(): Promise<void> {
    const { platform, authorityStore: store } = this;
    const measurements = (await this.measurements()).map(({ kind, name, digest }) => ({
      kind,
      name,
      digests: [digest],
    }));
    const { fingerprint } = await initAuthority({
      directory: 'authority',
      store,
      trustDomain: TRUST_DOMAIN,
      url: AUTHORITY_URL,
      simulation: true,
      reference: { measurements },
      platform,
    });
    const authority = await openAuthority({
      directory: 'authority',
      store,
      database: ':memory:',
      platform,
      url: AUTHORITY_URL,
      lifetimes: { credentialMs: CREDENTIAL_MS },
      tokenLifeS: TOKEN_S,
    });
    this.#authority = authority;
    await this.#showCertificate(authority);
    const key = keyFromPem(text((await store.read('owner-key.pem')) ?? new Uint8Array()));
    this.#owner = { key, client: ownerClient({ platform, url: AUTHORITY_URL, fingerprint, key }) };
  }

  /** Powers the hub: its TPM as the maker left it, its devices, its routines, its house rule. */
  async openHub(papers: Papers): Promise<void> {
    const { platform, tpmStore, routines } = this;
    const { random, clock } = platform;
    this.#chip = await SoftwareTpm.create({ random, clock, store: tpmStore });
    this.#hub = await Hub.open({
      platform,
      transport: this.#chip,
      papers,
      authority: AUTHORITY_URL,
      devices: Object.values(this.twins),
      title: 'Home',
      houseRules: [HOUSE_RULE],
      measurements: await this.measurements(),
      routines,
      syncMs: 5 * 60_000,
    });
  }

  /** What runs in the hub, as it is measured into its TPM and as the owner's reference values know it. */
  async measurements(): Promise<readonly Measurement[]> {
    const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    const parts = await Promise.all(
      ['hub', 'routine', 'triggers'].map((name) =>
        readFile(fileURLToPath(new URL(`../../../src/hub/${name}${extension}`, import.meta.url))),
      ),
    );
    return [
      measure('bundle', 'hub', new Uint8Array(Buffer.concat(parts))),
      measure('configuration', 'hub', canonicalBytes({ houseRule: HOUSE_RULE, routines: this.routines })),
    ];
  }

  /** Time passes until `at`, milliseconds since 1970: days in strides, the last minutes as they are. */
  async until(at: number): Promise<void> {
    for (let left = at - this.clock.now(); left > FINE_MS; left = at - this.clock.now()) {
      this.#signal.throwIfAborted();
      await this.clock.leap(Math.min(STRIDE_MS, left - FINE_MS));
    }
    await this.clock.advance(at - this.clock.now());
  }

  /** A value that a device of the house reported last. */
  reported(device: string, property: string): unknown {
    const { inputs } = this.hub.agent.books.permissions;
    return inputs.snapshot().find(({ key }) => key === `device:${device}/property/${property}`)?.value;
  }

  /** The hub is switched off, then the authority; their logs are complete. Idempotent. */
  async close(): Promise<void> {
    await this.#hub?.close();
    await this.#chip?.close();
    await this.#authority?.close();
  }

  /** As `serveAuthority` does: a certificate for three months, renewed after two. */
  async #showCertificate(authority: Authority): Promise<void> {
    const { random } = this.platform;
    let chain: readonly Uint8Array[] = [];
    const renew = async () => {
      const notBefore = this.clock.now() - 60_000;
      const leaf = await issueServerCertificate({
        issuer: authority.ca,
        random,
        notBefore,
        notAfter: notBefore + 90 * 24 * HOUR,
        hosts: [new URL(AUTHORITY_URL).hostname],
        publicKey: generateKey(random).publicJwk,
      });
      chain = [leaf, authority.ca.certificate];
      this.clock.schedule(60 * 24 * HOUR, () => void renew());
    };
    await renew();
    this.#network.attach(AUTHORITY_URL, { chain: () => chain, handle: authority.handle });
  }
}

function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the ${what} does not run yet`);
  return value;
}
