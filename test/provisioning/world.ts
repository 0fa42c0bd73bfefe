import type { SimulatedPlatform, VirtualClock } from '../../simulator/index.ts';
import { SoftwareTpm, simulatedPlatform, virtualClock } from '../../simulator/index.ts';
import { Attester } from '../../src/attestation/attester.ts';
import type { ReferenceValues } from '../../src/attestation/reference.ts';
import { readAppraisalPolicy, readReferenceValues } from '../../src/attestation/reference.ts';
import { createVerifier } from '../../src/attestation/verifier.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { Unreachable } from '../../src/core/errors.ts';
import { sha256 } from '../../src/core/hash.ts';
import type { Clock, HttpRequest, Network, Platform } from '../../src/core/platform.ts';
import type { SoftwareKey } from '../../src/core/signer.ts';
import { generateKey } from '../../src/core/signer.ts';
import { agentIdOf } from '../../src/identity/agent-id.ts';
import type { TrustBundle } from '../../src/identity/bundle.ts';
import type { CertificateIssuer } from '../../src/identity/issue.ts';
import { createRoot, issueServerCertificate } from '../../src/identity/issue.ts';
import { aibomDigest } from '../../src/provisioning/aibom.ts';
import type { MakerLine, Manufactured } from '../../src/provisioning/maker.ts';
import { anchorsOf, createMakerLine, makeVoucher, manufacture } from '../../src/provisioning/maker.ts';
import { signBinding, signEndorsement } from '../../src/provisioning/papers.ts';
import type { PledgeOptions } from '../../src/provisioning/pledge.ts';
import { Pledge } from '../../src/provisioning/pledge.ts';
import type { Registrar } from '../../src/provisioning/registrar.ts';
import { createRegistrar } from '../../src/provisioning/registrar.ts';
import type { RegistrarOptions } from '../../src/provisioning/registrar-options.ts';
import { TPM2_Startup } from '../../src/tpm/commands.ts';
import type { Transport } from '../../src/tpm/index.ts';
import { run, Tpm } from '../../src/tpm/index.ts';
import { memoryRegistrarStore } from './memory-stores.ts';

export const AUTHORITY = 'https://authority.test:8443';
export const DOMAIN = 'home.test';
export const MODEL = 'dog-1';

/** Measurements that the owner approved, as reviewable JSON. */
export function referenceValues(): ReferenceValues {
  return readReferenceValues({
    version: 1,
    measurements: [
      { kind: 'bundle', name: 'agent.mjs', digests: [digestOf('bundle 1'), digestOf('bundle 2')] },
      { kind: 'configuration', name: 'fealty.json', digests: [digestOf('configuration')] },
      { kind: 'model', name: 'gait', digests: [digestOf('model')] },
    ],
  });
}

export function digestOf(content: string): string {
  return Buffer.from(sha256(utf8(content))).toString('hex');
}

/** An AIBOM in which the model is named by its hash. */
export function aibomOf(model = 'model', extra: readonly object[] = []): Uint8Array {
  return utf8(
    JSON.stringify({
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      version: 1,
      metadata: { component: { type: 'application', name: 'dog agent', version: '1.0.0' } },
      components: [
        {
          type: 'machine-learning-model',
          name: 'gait',
          version: '3',
          hashes: [{ alg: 'SHA-256', content: digestOf(model) }],
          modelCard: { modelParameters: { task: 'locomotion' } },
        },
        { type: 'library', name: 'valibot', version: '1.5.0' },
        ...extra,
      ],
    }),
  );
}

/** A device as it stands on the shelf, and everything to break it with. */
export interface TestDevice {
  readonly platform: SimulatedPlatform;
  readonly chip: SoftwareTpm | undefined;
  readonly tpm: Tpm;
  readonly made: Manufactured;
  readonly attester: Attester;
  readonly options: PledgeOptions;
  pledge(changes?: Partial<PledgeOptions>): Promise<Pledge>;
}

/** Changes a request on its way to the registrar; `undefined` = as it is. */
export type Tamper = (path: string, body: Record<string, unknown>) => void;

/** One maker, one owner, their authority, and a wire between that can be tampered with. */
export class World {
  readonly clock: VirtualClock;
  readonly platform: SimulatedPlatform;
  readonly line: MakerLine;
  readonly owner: SoftwareKey;
  readonly ca: CertificateIssuer;
  readonly wit: SoftwareKey;
  readonly verifierKey: SoftwareKey;
  readonly server: { readonly key: SoftwareKey; readonly certificate: Uint8Array };
  readonly store = memoryRegistrarStore();
  /** Sequence number of each device's owner. */
  ownership = 1;
  /** How the maker answers for vouchers; replaced by tests. */
  voucherFor: RegistrarOptions['voucherFor'];
  bindings = new Map<string, string>();
  reference = referenceValues();
  policy: Record<string, unknown> = { version: 1, id: 'test' };
  tamper: Tamper = () => {};
  /** Paths asked for. */
  readonly asked: string[] = [];
  /** What the server shows as its TLS certificates. */
  shown: readonly Uint8Array[];
  reachable = true;
  registrar: Registrar;
  readonly registrarOptions: RegistrarOptions;
  readonly #seed: string;

  private constructor(parts: {
    readonly seed: string;
    readonly platform: SimulatedPlatform;
    readonly line: MakerLine;
    readonly ca: CertificateIssuer;
    readonly server: World['server'];
    readonly owner: SoftwareKey;
    readonly changes: Partial<RegistrarOptions>;
  }) {
    const { platform, line } = parts;
    this.#seed = parts.seed;
    this.platform = platform;
    this.clock = platform.clock;
    this.line = line;
    this.ca = parts.ca;
    this.server = parts.server;
    this.owner = parts.owner;
    this.shown = [parts.server.certificate];
    this.wit = generateKey(platform.random);
    this.verifierKey = generateKey(platform.random);
    this.voucherFor = ({ serial }) =>
      makeVoucher(line, {
        serial,
        owner: this.ca.certificate,
        ownership: this.ownership,
        at: this.clock.now(),
      });
    const anchors = anchorsOf(line);
    this.registrarOptions = {
      platform,
      store: this.store,
      anchors: {
        ekVendors: [anchors.ekVendor],
        makers: [anchors.maker],
        providers: [anchors.provider],
        owners: [this.owner.publicJwk],
      },
      authority: {
        trustDomain: DOMAIN,
        issuer: AUTHORITY,
        ca: this.ca,
        wit: this.wit,
        bundles: () => [this.bundle()],
        endpoints: () => ({ authority: AUTHORITY, broker: 'mqtts://broker.test:8883' }),
      },
      verifier: createVerifier({
        signer: this.verifierKey,
        issuer: AUTHORITY,
        build: 'test',
        reference: () => this.reference,
        policy: () => readAppraisalPolicy(this.policy),
      }),
      simulation: true,
      voucherFor: (asked) => this.voucherFor(asked),
      bindingFor: async (_maker, serial) => this.bindings.get(serial),
      ...parts.changes,
    };
    this.registrar = createRegistrar(this.registrarOptions);
  }

  static async create(seed: string, changes: Partial<RegistrarOptions> = {}): Promise<World> {
    const platform = simulatedPlatform({ seed, name: 'authority', clock: virtualClock() });
    const { random } = platform;
    const notBefore = platform.clock.now() - 60_000;
    const ca = await createRoot({ signer: generateKey(random), random, commonName: 'Owner', notBefore });
    const key = generateKey(random);
    const certificate = await issueServerCertificate({
      issuer: ca,
      random,
      notBefore,
      notAfter: notBefore + 90 * 86_400_000,
      hosts: ['authority.test'],
      publicKey: key.publicJwk,
    });
    return new World({
      seed,
      platform,
      line: await createMakerLine(platform, 'Acme Robotics'),
      ca,
      server: { key, certificate },
      owner: generateKey(random),
      changes,
    });
  }

  bundle(): TrustBundle {
    const key = (use: 'wit-svid' | 'fealty/verifier', signer: SoftwareKey) => ({
      use,
      kid: signer.kid,
      jwk: signer.publicJwk,
    });
    return {
      trustDomain: DOMAIN,
      sequence: 1,
      keys: [
        {
          use: 'x509-svid',
          kid: this.ca.signer.kid,
          jwk: this.ca.signer.publicJwk,
          certificate: this.ca.certificate,
        },
        key('wit-svid', this.wit),
        key('fealty/verifier', this.verifierKey),
      ],
    };
  }

  /** The owner's word that device `serial` is its agent `name`. */
  async bind(serial: string, name: string, changes: Record<string, unknown> = {}): Promise<void> {
    const now = Math.floor(this.clock.now() / 1000);
    this.bindings.set(
      serial,
      await signBinding(this.owner, {
        iss: 'owner',
        iat: now,
        exp: now + 86_400,
        jti: `binding-of-${serial}-${name}`.padEnd(16, '.'),
        maker: this.line.name,
        serial,
        agent: agentIdOf(DOMAIN, name),
        owner: 'alice',
        ...changes,
      } as Parameters<typeof signBinding>[1]),
    );
  }

  endorse(aibom: Uint8Array, changes: Record<string, unknown> = {}): Promise<string> {
    const now = Math.floor(this.clock.now() / 1000);
    return signEndorsement(this.line.providerKey, {
      iss: this.line.name,
      iat: now,
      exp: now + 365 * 86_400,
      maker: this.line.name,
      model: MODEL,
      aibom: aibomDigest(aibom),
      capabilities: ['lidar', 'walk'],
      ...changes,
    } as Parameters<typeof signEndorsement>[1]);
  }

  /** The wire: TLS judged by the device, JSON that a test may tamper with, the registrar's own HTTP handler. */
  network(): Network {
    const request = async (asked: HttpRequest) => {
      if (!this.reachable) throw new Unreachable('the network is down');
      asked.tls?.verifyPeer(this.shown);
      const { pathname } = new URL(asked.url);
      this.asked.push(pathname);
      const body = JSON.parse(Buffer.from(asked.body ?? []).toString()) as Record<string, unknown>;
      this.tamper(pathname, body);
      const response = await this.registrar.handle(
        new Request(asked.url, { method: asked.method, body: JSON.stringify(body) }),
      );
      return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        body: new Uint8Array(await response.arrayBuffer()),
      };
    };
    return { request, connect: () => Promise.reject(new Unreachable('no sockets here')) };
  }

  /** Makes a device on the line, binds it, and starts its agent once. */
  async device(
    serial: string,
    options: {
      readonly name?: string;
      readonly bind?: boolean;
      readonly chip?: SoftwareTpm;
      /** A real TPM; `patience` is then a clock whose pauses end. */
      readonly transport?: Transport;
      readonly patience?: Pick<Clock, 'sleep' | 'schedule'>;
      readonly line?: MakerLine;
    } = {},
  ): Promise<TestDevice> {
    const platform: SimulatedPlatform = {
      ...simulatedPlatform({ seed: this.#seed, name: serial, clock: this.clock, network: this.network() }),
    };
    const chip =
      options.transport === undefined
        ? (options.chip ??
          (await SoftwareTpm.create({
            random: platform.random,
            clock: this.clock,
            seed: `${this.#seed} ${serial}`,
          })))
        : undefined;
    const transport = options.transport ?? chip;
    if (transport === undefined) throw new TypeError('no TPM');
    const { now, elapsed } = this.clock;
    const clock = { ...(options.patience ?? this.clock), now, elapsed };
    const tpm = await Tpm.open({ transport, random: platform.random, clock });
    const made = await manufacture(tpm, options.line ?? this.line, { serial, model: MODEL });
    const name = options.name ?? serial.toLowerCase();
    if (options.bind !== false) await this.bind(serial, name);
    const attester = await startAgent(platform, tpm);
    const aibom = aibomOf();
    const pledgeOptions: PledgeOptions = {
      platform,
      tpm,
      authority: AUTHORITY,
      attester,
      aibom,
      endorsement: await this.endorse(aibom),
    };
    return {
      platform,
      chip,
      tpm,
      made,
      attester,
      options: pledgeOptions,
      pledge: (changes = {}) => Pledge.open({ ...pledgeOptions, ...changes }),
    };
  }
}

/** Power off and on, and what the firmware does: PCRs are zero again. */
export async function reboot(device: TestDevice): Promise<void> {
  await device.chip?.powerCycle();
  await run(device.tpm, TPM2_Startup, { startupType: 'clear' });
}

/** What an agent does when it starts. */
export async function startAgent(platform: Platform, tpm: Tpm, bundle = 'bundle 1'): Promise<Attester> {
  const attester = await Attester.open({ store: platform.store, tpm });
  await attester.start('1.0.0');
  await attester.measure('bundle', 'agent.mjs', bundle);
  await attester.measure('configuration', 'fealty.json', 'configuration');
  await attester.measure('model', 'gait', 'model');
  return attester;
}
