import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Papers } from 'fealty';
import { nodePlatform } from 'fealty';
import type { OwnerClient } from 'fealty/authority';
import { initAuthority, ownerClient } from 'fealty/authority';
import type { BrokerPapers } from '../../../src/authority/broker-papers.ts';
import { slugOf } from '../../../src/core/names.ts';
import { fromPem } from '../../../src/core/pem.ts';
import type { Clock, Platform } from '../../../src/core/platform.ts';
import type { SoftwareKey } from '../../../src/core/signer.ts';
import { keyFromPem } from '../../../src/core/signer.ts';
import type { RunningMosquitto } from '../../../src/hub/broker-mosquitto.ts';
import { startMosquitto } from '../../../src/hub/broker-mosquitto.ts';
import { Actor } from '../actor.ts';
import type { Audience } from '../story.ts';
import type { AuthorityMethods } from './authority.ts';
import { measurementsOf } from './body.ts';
import type { BrokerMethods } from './broker.ts';
import type { ImpostorMethods } from './impostor.ts';
import type { RobotMethods } from './robot.ts';
import type { RunningSwtpm } from './swtpm.ts';
import { startSwtpm } from './swtpm.ts';
import type { RobotName } from './words.ts';
import { idOf, ROBOTS, TRUST_DOMAIN } from './words.ts';

/** How the story is played. */
export interface RescueOptions {
  readonly seed: number;
  /** Folder for the state of every party. */
  readonly directory: string;
  readonly tpm: 'software' | 'swtpm';
  readonly broker: 'embedded' | 'mosquitto';
  readonly signal: AbortSignal;
  readonly audience: Audience;
}

const robotModule = './robot.ts';

/** Every party of the story, each in a process of its own, and the owner's hand. */
export class Cast {
  readonly options: RescueOptions;
  readonly platform: Platform;
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #warm = new Map<string, Promise<Actor<never>>>();
  #closing: Promise<void> | undefined;
  #url = '';
  #broker = '';
  #owner: { readonly client: OwnerClient; readonly key: SoftwareKey } | undefined;
  readonly #robots = new Map<RobotName, Actor<RobotMethods>>();
  readonly #tpms = new Map<RobotName, RunningSwtpm>();
  #authority: Actor<AuthorityMethods> | undefined;

  constructor(options: RescueOptions) {
    this.options = options;
    this.platform = nodePlatform({ directory: options.directory });
  }

  get clock(): Clock {
    return this.platform.clock;
  }

  /** Base URL of the authority. */
  get url(): string {
    return this.#url;
  }

  /** URL of the broker. */
  get broker(): string {
    return this.#broker;
  }

  /** The owner: commands signed with the owner's key. */
  get owner(): { readonly client: OwnerClient; readonly key: SoftwareKey } {
    if (this.#owner === undefined) throw new Error('the authority does not run');
    return this.#owner;
  }

  /** A robot's process. */
  robot(name: RobotName): Actor<RobotMethods> {
    const robot = this.#robots.get(name);
    if (robot === undefined) throw new Error(`${name} does not run`);
    return robot;
  }

  folder(name: string): string {
    return join(this.options.directory, name);
  }

  /** The owner's certificate authority, DER. */
  async ownersCertificate(): Promise<Uint8Array> {
    const [certificate] = fromPem(
      'CERTIFICATE',
      await readFile(join(this.folder('authority'), 'aca.pem'), 'utf8'),
    );
    if (certificate === undefined) throw new Error('the authority has no certificate');
    return certificate;
  }

  /** Makes and serves the authority, for simulation: it knows what the robots' software measures. */
  async startAuthority(): Promise<void> {
    const directory = this.folder('authority');
    const known = await Promise.all((['dog', 'vehicle', 'console'] as const).map(measurementsOf));
    const measurements = new Map<string, { kind: string; name: string; digests: string[] }>();
    for (const { kind, name, digest } of known.flat()) {
      const entry = measurements.get(`${kind} ${name}`) ?? { kind, name, digests: [] };
      if (!entry.digests.includes(digest)) entry.digests.push(digest);
      measurements.set(`${kind} ${name}`, entry);
    }
    await initAuthority({
      directory,
      trustDomain: TRUST_DOMAIN,
      simulation: true,
      platform: this.platform,
      reference: { measurements: [...measurements.values()] },
    });
    const starting = this.#start<AuthorityMethods>('authority', './authority.ts');
    this.#warmUp();
    const authority = await starting;
    this.#authority = authority;
    const { url, fingerprint } = await authority.call('serve', { directory });
    this.#url = url;
    const key = keyFromPem(await readFile(join(directory, 'owner-key.pem'), 'utf8'));
    this.#owner = { key, client: ownerClient({ platform: this.platform, url, fingerprint, key }) };
  }

  /** Starts the broker: the embedded one in a process of its own, or a real Mosquitto. */
  async startBroker(): Promise<void> {
    const authority = this.#authority;
    if (authority === undefined) throw new Error('the authority comes first');
    const papers = await authority.call('brokerPapers', { directory: this.folder('authority') });
    if (this.options.broker === 'mosquitto') this.#broker = await this.#startMosquitto(papers);
    else {
      const broker = await this.#start<BrokerMethods>('broker', './broker.ts');
      broker.on('refused', (refusal) => {
        const { slug, what, detail } = refusal as { slug: string; what: string; detail: string };
        this.options.audience.told('broker', `refuses ${slug || 'somebody'}: ${what} ${detail}`);
      });
      this.#broker = (await broker.call('serve', { directory: this.folder('broker'), papers })).url;
    }
    await authority.call('brokerAt', { url: this.#broker });
  }

  /** How the maker's line and the robot reach its TPM. */
  async tpmOf(name: RobotName): Promise<string> {
    if (this.options.tpm === 'software') return 'software';
    const running =
      this.#tpms.get(name) ?? (await startSwtpm(join(this.folder(name), 'tpm'), name, this.clock));
    if (!this.#tpms.has(name)) {
      this.#tpms.set(name, running);
      this.#closers.push(() => running.close());
    }
    return running.transport;
  }

  /** Starts a robot's process. */
  async startRobot(name: RobotName, papers: Papers): Promise<void> {
    const robot = await this.#start<RobotMethods>(name, robotModule);
    this.#robots.set(name, robot);
    robot.on('warned', (warning) => {
      const { message, fields } = warning as { message: string; fields: object };
      this.options.audience.told(name, `${message} ${JSON.stringify(fields)}`);
    });
    robot.on('left', (left) => {
      const { task, reason } = left as { task: string; reason: string };
      this.options.audience.told(name, `is no longer in the domain of ${task}: ${reason}`);
    });
    robot.on('failed', (failure) => {
      const { what, reason } = failure as { what: string; reason: string };
      this.options.audience.told(name, `${what}: ${reason}`);
    });
    await robot.call('start', {
      robot: name,
      directory: this.folder(name),
      authority: this.#url,
      tpm: await this.tpmOf(name),
      papers,
      broker: this.options.broker,
    });
  }

  /** Lets the impostor's process start already, beside what is done meanwhile. */
  expectImpostor(): void {
    this.#expect('impostor', './impostor.ts');
  }

  /** Starts the impostor's process. */
  startImpostor(): Promise<Actor<ImpostorMethods>> {
    return this.#start<ImpostorMethods>('impostor', './impostor.ts');
  }

  /** Ends a robot's process, in order: its audit log is complete then. */
  async stopRobot(name: RobotName): Promise<void> {
    await this.#robots.get(name)?.stop();
    this.#robots.delete(name);
  }

  /** Ends the authority, in order. */
  async stopAuthority(): Promise<void> {
    await this.#authority?.stop();
  }

  /** Ends every process; all who ask wait for the same end. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    await Promise.allSettled(this.#warm.values());
    // Robots before broker before authority, and TPMs last: the reverse of how they came.
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop())
      await close().catch(() => {});
  }

  /** Lets the processes that come soon start already. */
  #warmUp(): void {
    if (this.options.broker === 'embedded') this.#expect('broker', './broker.ts');
    for (const name of ['dog', 'vehicle', 'console']) this.#expect(name, robotModule);
  }

  #expect(name: string, module: string): void {
    const starting = this.#fork(name, module);
    starting.catch(() => {}); // whoever needs it hears of it
    this.#warm.set(name, starting);
  }

  async #fork(name: string, module: string): Promise<Actor<never>> {
    this.options.signal.throwIfAborted();
    const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    const actor = await Actor.start<never>({
      name,
      module: new URL(module.replace('.ts', extension), import.meta.url),
      clock: this.clock,
    });
    // Stopped while this one was starting: whoever ends the others has perhaps gone already.
    if (this.#closing !== undefined) await actor.stop();
    else this.#closers.push(() => actor.stop());
    return actor;
  }

  async #start<M extends RobotMethods | AuthorityMethods | BrokerMethods | ImpostorMethods>(
    name: string,
    module: string,
  ): Promise<Actor<M>> {
    this.options.signal.throwIfAborted();
    const warm = this.#warm.get(name);
    this.#warm.delete(name);
    const actor = (await (warm ?? this.#fork(name, module))) as unknown as Actor<M>;
    this.options.signal.throwIfAborted();
    return actor;
  }

  async #startMosquitto(papers: BrokerPapers): Promise<string> {
    const anchor = papers.chain.at(-1);
    if (anchor === undefined) throw new Error('no anchor for clients');
    const running: RunningMosquitto = await startMosquitto({
      directory: this.folder('mosquitto'),
      tls: papers,
      anchors: [anchor],
      administrators: [slugOf(idOf('console'))],
    });
    this.#closers.push(() => running.close());
    return `mqtts://127.0.0.1:${running.port}`;
  }
}

/** What is known of a robot when it leaves the maker's line. */
export function productOf(name: RobotName): { readonly serial: string; readonly model: string } {
  const { serial, model } = ROBOTS[name];
  return { serial, model };
}
