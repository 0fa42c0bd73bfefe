/**
 * The rescue by hand: what a person types to take two robots and a console from the maker's line to the end of a task, with
 * the real programs, each in a process of its own, over loopback (docs/guides/robot.md).
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { data, fealty, freePort, Program } from '../cli/program.ts';
import { root } from '../house/sources.ts';

const TRUST = 'fleet.example';
const TASK = 'rescue-7';
const id = (name: string) => `spiffe://${TRUST}/agent/${name}`;

const robots = {
  dog: { serial: 'DOG-1', model: 'Quadruped 3', device: 'robot-dog', can: ['lidar', 'scout'] },
  vehicle: { serial: 'VEH-2', model: 'Rescue truck 9', device: 'rescue-vehicle', can: ['arm.lift'] },
  console: { serial: 'CON-3', model: 'Field console', device: undefined, can: ['console'] },
} as const;
type Name = keyof typeof robots;
/** What the vehicle is granted. */
const lift = {
  type: 'fealty/action',
  locations: [id('vehicle')],
  device: 'rescue-vehicle',
  actions: ['lift-obstacle'],
  arguments: { 'lift-obstacle': { height: { max: 1.5 } } },
  task: TASK,
};

const names = Object.keys(robots) as Name[];

describe('a rescue by hand', { timeout: 120_000 }, () => {
  let directory = '';
  let ports = { authority: 0, broker: 0 };
  const programs: Program[] = [];
  const agents = new Map<Name, Program>();
  const tpms = new Map<Name, string>();
  const place = () => ({ cwd: directory, env: { XDG_CONFIG_HOME: join(directory, 'home') } });
  const at = (...path: string[]) => join(directory, ...path);
  const start = (...args: string[]) => {
    const program = new Program(place(), ...args);
    programs.push(program);
    return program;
  };
  const agent = (name: Name) => {
    const program = agents.get(name);
    if (program === undefined) throw new Error(`${name} does not run`);
    return program;
  };
  const of = (name: Name) => ['--config', at(name, 'fealty.json')];
  /** Asks again until it is so; the deadline is the test's own. */
  const until = async <T>(ask: () => Promise<T>, holds: (seen: T) => boolean): Promise<T> => {
    for (;;) {
      const seen = await ask();
      if (holds(seen)) return seen;
    }
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fealty-by-hand-'));
    ports = { authority: await freePort(), broker: await freePort() };
  });
  afterAll(async () => {
    for (const program of programs.reverse()) await program.kill();
    await rm(directory, { recursive: true, force: true });
  });

  it('three software TPMs are started', async () => {
    await Promise.all(
      names.map(async (name) => {
        const port = await freePort(true);
        const program = start('tpm', 'serve', '--port', String(port), '--state', at(name, 'tpm'));
        tpms.set(name, `swtpm:host=127.0.0.1,port=${port}`);
        await until(
          () => fealty(place(), 'tpm', 'info', '--tpm', tpms.get(name) ?? ''),
          ({ code }) => code === 0,
        );
        expect(program.pid).toBeGreaterThan(0);
      }),
    );
  });

  it('the maker has a line, and the owner an authority for simulation', async () => {
    const line = (await data(place(), 'maker', 'init', 'maker', '--name', 'Robotics Works')) as {
      anchors: string;
    };
    expect(JSON.parse(await readFile(line.anchors, 'utf8'))).toMatchObject({
      maker: { name: 'Robotics Works' },
    });
    expect((await stat(at('maker', 'voucher.key.pem'))).mode & 0o777).toBe(0o600);
    const url = `https://127.0.0.1:${ports.authority}`;
    const made = (await data(
      place(),
      'authority',
      'init',
      'authority',
      '--trust-domain',
      TRUST,
      '--simulation',
      '--url',
      url,
    )) as {
      fingerprint: string;
      profile: string;
    };
    expect(made.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(made.profile).toBe(at('home', 'fealty', TRUST));
    expect((await stat(join(made.profile, 'owner-key.pem'))).mode & 0o777).toBe(0o600);
    expect(await fealty(place(), 'maker', 'init', 'maker', '--name', 'Again')).toMatchObject({ code: 1 });
  });

  it('the line gives each TPM its identity, and each device its papers', async () => {
    for (const name of names) {
      const { serial, model, device, can } = robots[name];
      await data(
        place(),
        'maker',
        'manufacture',
        'maker',
        '--tpm',
        tpms.get(name) ?? '',
        '--serial',
        serial,
        '--model',
        model,
        '--out',
        `${name}/papers`,
        ...can.flatMap((one) => ['--can', one]),
        ...(device === undefined ? [] : ['--device', join(root, 'devices', device)]),
        // The console is sold later, with a voucher of its own.
        ...(name === 'console' ? [] : ['--owner', 'authority/aca.pem']),
      );
    }
    expect(existsSync(at('console', 'papers', 'voucher.json'))).toBe(false);
    await data(
      place(),
      'maker',
      'voucher',
      'maker',
      '--serial',
      'CON-3',
      '--owner',
      'authority/aca.pem',
      '--out',
      'console/papers',
    );
    expect((await readdir(at('dog', 'papers'))).sort()).toEqual([
      'aibom.json',
      'endorsement.jwt',
      'product.json',
      'voucher.json',
    ]);
  });

  it('the authority serves, and the owner trusts the maker and binds each device', async () => {
    const authority = start(
      'authority',
      'serve',
      'authority',
      '--broker',
      `mqtts://127.0.0.1:${ports.broker}`,
    );
    await authority.until('authority serves');
    await data(place(), 'authority', 'trust', 'maker/anchors.json');
    for (const name of names)
      await data(
        place(),
        'authority',
        'bind',
        `${name}/papers`,
        '--agent',
        id(name),
        '--for',
        'fire-brigade',
      );
    const wrong = await fealty(place(), 'authority', 'bind', 'dog/papers', '--agent', 'dog');
    expect(wrong).toMatchObject({ code: 2 });
    const foreign = { ...place(), env: { XDG_CONFIG_HOME: at('nobody') } };
    expect(await fealty(foreign, 'agents', 'list')).toMatchObject({ code: 2 });
  });

  it('what each machine measures becomes a reference value', async () => {
    const base = { authority: `https://127.0.0.1:${ports.authority}`, state: './state' };
    const configs = {
      dog: {
        ...base,
        title: 'Quadruped 3',
        devices: [{ folder: join(root, 'devices/robot-dog'), twin: true }],
        streams: { lidar: { device: 'robot-dog', properties: ['lidar-clear', 'lidar-distance'] } },
      },
      vehicle: {
        ...base,
        devices: [{ folder: join(root, 'devices/rescue-vehicle'), twin: true }],
        houseRules: [
          {
            id: 'no-lift-when-loaded',
            device: 'rescue-vehicle',
            actions: ['lift-obstacle'],
            when: 'state("rescue-vehicle", "load", duration("2s")) > 250',
            reason: 'the arm carries no more than 250 kg',
          },
        ],
      },
      console: base,
    };
    for (const name of names) {
      await mkdir(at(name), { recursive: true });
      await writeFile(at(name, 'fealty.json'), JSON.stringify({ tpm: tpms.get(name), ...configs[name] }));
      await data(place(), 'agent', 'measure', ...of(name), '--out', `${name}/measurements.json`);
    }
    const { measurements } = (await data(
      place(),
      'authority',
      'reference',
      'dog/measurements.json',
      'vehicle/measurements.json',
    )) as { measurements: { kind: string; name: string; digests: string[] }[] };
    expect(measurements.map(({ kind, name, digests }) => [kind, name, digests.length])).toEqual([
      ['bundle', 'fealty', 1],
      ['configuration', 'fealty.json', 2],
      ['driver', 'robot-dog', 1],
      ['driver', 'rescue-vehicle', 1],
    ]);
  });

  it('the owner grants, in JSON, in options and in text', async () => {
    await data(
      place(),
      'grant',
      'add',
      '--client',
      id('dog'),
      '--device',
      'robot-dog',
      '--action',
      'walk',
      '--task',
      TASK,
      '--when',
      `domain("${TASK}")`,
    );
    const asking = { ...lift, arguments: undefined };
    await writeFile(
      at('convene.json'),
      JSON.stringify([
        { type: 'fealty/convene', trustDomains: [TRUST], authorization_details: [asking], maxMembers: 8 },
      ]),
    );
    await data(place(), 'grant', 'add', '--client', id('console'), '--details', 'convene.json');
    expect(await data(place(), 'grant', 'list')).toHaveLength(2);
    await writeFile(
      at('rescue.json'),
      JSON.stringify({
        mission: 'Clear the way to the house at the corner',
        bounds: {
          roles: {
            scout: { capabilities: ['lidar'], authorization_details: [asking], max: 1 },
            carrier: { capabilities: ['arm.lift'], authorization_details: [], max: 1 },
          },
        },
        invite: [
          { role: 'scout', capabilities: ['lidar'] },
          { role: 'carrier', capabilities: ['arm.lift'] },
        ],
      }),
    );
  });

  it('an agent waits for its broker, its reference value, its grant, and says so; then all are ready', async () => {
    for (const name of names) agents.set(name, start('agent', 'run', ...of(name)));
    await agent('dog').until('the start does not work yet');
    expect(await data(place(), 'status', ...of('dog'))).toMatchObject({ agent: id('dog'), connected: false });
    // The console's configuration is no reference value yet: it is refused by name, and goes on trying.
    const refused = await agent('console').until('the start does not work yet');
    expect(String(refused['error'])).toMatch(/provisioning\.refused|attestation/);
    await data(place(), 'authority', 'reference', 'console/measurements.json');

    start('broker', 'serve', '--papers', 'authority/broker', '--port', String(ports.broker));
    // Nothing is granted to the vehicle yet: it may not act, but it can be met.
    await until(
      () => data(place(), 'status', ...of('vehicle')),
      (seen) =>
        (seen as { connected: boolean }).connected &&
        /invalid_authorization_details/.test((seen as { waiting?: string }).waiting ?? ''),
    );
    await data(
      place(),
      'grant',
      'add',
      '--client',
      id('vehicle'),
      '--details',
      JSON.stringify(lift),
      '--when',
      `domain("${TASK}", "actuate")`,
    );
    for (const name of names) {
      const ready = await agent(name).until('agent is ready');
      expect(ready['agent']).toBe(id(name));
    }
    const listed = (await data(place(), 'agents', 'list')) as { agentId: string; status: string }[];
    expect(listed.map(({ agentId, status }) => `${agentId} ${status}`).sort()).toEqual(
      names.map((name) => `${id(name)} active`).sort(),
    );
  });

  it('no second agent runs with the state of the first', async () => {
    expect(await fealty(place(), 'agent', 'run', ...of('dog'))).toMatchObject({ code: 1 });
  });

  it('the console convenes a domain, and both robots join it', async () => {
    const made = (await data(
      place(),
      'domain',
      'convene',
      TASK,
      '--file',
      'rescue.json',
      ...of('console'),
    )) as {
      invited: { role: string; agent?: string }[];
    };
    expect(made.invited).toEqual([
      { role: 'scout', agent: id('dog') },
      { role: 'carrier', agent: id('vehicle') },
    ]);
    for (const name of names)
      await until(
        () => data(place(), 'domain', 'list', ...of(name)),
        (domains) => {
          const [domain] = domains as { task: string; mode: string; members: unknown[] }[];
          return domain?.task === TASK && domain.mode === 'actuate' && domain.members.length === 3;
        },
      );
  });

  it('the dog asks the vehicle to lift, and why it may is told there', async () => {
    const ask = (height: string) =>
      fealty(
        place(),
        'domain',
        'ask',
        TASK,
        id('vehicle'),
        'rescue-vehicle',
        'lift-obstacle',
        '--arg',
        `height=${height}`,
        '--json',
        ...of('dog'),
      );
    const permitted = await until(
      () => ask('1.2'),
      ({ code }) => code === 0,
    );
    const { decision } = JSON.parse(permitted.out) as { decision: string };
    const why = await fealty(place(), 'why', decision, ...of('vehicle'));
    expect(why.out).toContain('[yes] domain');
    expect(why.out).toContain(`${id('dog')}, for ${id('vehicle')}`);

    const denied = await ask('1.9');
    expect(denied.code).toBe(1);
    expect(JSON.parse(denied.out)).toMatchObject({ permitted: false, reason: 'outside-grant' });
    const recent = (await data(place(), 'why', ...of('vehicle'))) as { verdict: string }[];
    expect(recent.at(-1)).toMatchObject({ verdict: 'deny' });
  });

  it('the audit logs of running agents and of the authority verify', async () => {
    for (const name of names) {
      const verified = (await data(place(), 'audit', 'verify', at(name, 'state'))) as {
        ok: boolean;
        checkpoints: number;
      };
      expect(verified).toMatchObject({ ok: true });
      expect(verified.checkpoints).toBeGreaterThan(0);
    }
    expect(await data(place(), 'audit', 'verify', 'authority')).toMatchObject({ ok: true });
    const steps = (await data(
      place(),
      'audit',
      'trace',
      'dog/state',
      'vehicle/state',
      '--task',
      TASK,
    )) as unknown[];
    expect(steps.length).toBeGreaterThan(2);
  });

  it('the dog is evicted, and the end takes everything', async () => {
    await data(place(), 'domain', 'evict', TASK, id('dog'), '--reason', 'battery low', ...of('console'));
    await agent('dog').until('left');
    await data(place(), 'domain', 'end', TASK, '--reason', 'the way is clear', ...of('console'));
    await agent('vehicle').until('left');
    expect(await data(place(), 'domain', 'list', ...of('vehicle'))).toEqual([]);
    await data(place(), 'grant', 'revoke', '--task', TASK);
    const grants = (await data(place(), 'grant', 'list', '--client', id('vehicle'))) as {
      revoked: boolean;
    }[];
    expect(grants).toHaveLength(1);
  });

  it('after Ctrl-C nothing runs, and the folders still tell what was', async () => {
    for (const name of names) expect(await agent(name).interrupt()).toBe(0);
    expect(await data(place(), 'status', ...of('dog'))).toMatchObject({ running: false, agent: id('dog') });
    expect(await data(place(), 'audit', 'verify', 'vehicle/state')).toMatchObject({ ok: true });
    const [decision] = (
      (await data(place(), 'audit', 'show', 'vehicle/state', '--kind', 'decision')) as {
        detail: { id: string };
      }[]
    ).map(({ detail }) => detail.id);
    const why = await fealty(place(), 'why', decision ?? '', ...of('vehicle'));
    expect(why).toMatchObject({ code: 0 });
    expect(why.out).toContain('rescue-vehicle.lift-obstacle');
  });

  it('broker, authority and TPMs end, and nothing is left behind', async () => {
    for (const program of [...programs].reverse()) expect(await program.interrupt()).toBe(0);
    for (const name of names) expect(existsSync(at(name, 'state', 'control.sock'))).toBe(false);
    for (const port of Object.values(ports)) expect(await listens(port)).toBe(false);
  });
});

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
