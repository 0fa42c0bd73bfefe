import { readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Device, DriverContext, Twin } from 'fealty/device';
import { controllerDevice, defineDevice } from 'fealty/device';
import { describe, expect, it } from 'vitest';
import type { VirtualClock } from '../../simulator/clock.ts';
import { virtualClock } from '../../simulator/clock.ts';
import { root } from '../house/sources.ts';

const names = readdirSync(join(root, 'devices'));

interface Seen {
  readonly context: DriverContext;
  readonly values: Map<string, unknown>;
  readonly events: string[];
}

function contextOn(clock: VirtualClock, http?: DriverContext['http']): Seen {
  const values = new Map<string, unknown>();
  const events: string[] = [];
  return {
    values,
    events,
    context: {
      reports: {
        property: (name, value) => values.set(name, value),
        event: (name) => events.push(name),
      },
      every: (ms, run) => {
        let cancel = () => {};
        const arm = () => {
          cancel = clock.schedule(ms, () => {
            arm();
            run();
          });
        };
        arm();
        return () => cancel();
      },
      http: http ?? (() => Promise.reject(new Error('no controller'))),
    },
  };
}

describe.each(names)('%s', (name) => {
  it('has a description that holds together, a driver and a twin of it', async () => {
    const { description } = await import(join(root, 'devices', name, 'device.ts'));
    const { device } = (await import(join(root, 'devices', name, 'driver.ts'))) as {
      device: (options: { url: string }) => Device;
    };
    const { twin } = (await import(join(root, 'devices', name, 'twin.ts'))) as { twin: () => Twin };
    expect(description.name).toBe(name);
    expect(defineDevice(device({ url: 'http://127.0.0.1:1' })).description).toBe(description);
    const body = defineDevice(twin());
    expect(body.description).toBe(description);
    const seen = contextOn(virtualClock());
    const driver = await body.open(seen.context);
    expect([...seen.values.keys()].sort()).toEqual(Object.keys(description.properties).sort());
    await driver.close();
  });
});

describe('the twin of the rescue vehicle', () => {
  const open = async () => {
    const { twin } = await import('../../devices/rescue-vehicle/twin.ts');
    const clock = virtualClock();
    const body = twin();
    const seen = contextOn(clock);
    const driver = await body.open(seen.context);
    const fed = async (running: { feed(): void }, periods: number) => {
      for (let period = 0; period < periods; period++) {
        running.feed();
        await clock.advance(100);
      }
    };
    return { body, clock, driver, seen, fed };
  };

  it('raises its arm while it is fed, and is done at the top', async () => {
    const { body, driver, seen, fed } = await open();
    const running = await driver.perform('lift-obstacle', { height: 0.5 });
    if (!running) throw new Error('lifting is continuous');
    await fed(running, 10);
    expect(seen.values.get('arm-height')).toBeCloseTo(0.2);
    await fed(running, 20);
    await running.done;
    expect(seen.values.get('arm-height')).toBe(0.5);
    expect(body.journal).toEqual([
      { at: 'start', action: 'lift-obstacle' },
      { at: 'done', action: 'lift-obstacle' },
    ]);
  });

  it('stops by itself when nobody feeds it (dead man)', async () => {
    const { body, clock, driver, seen, fed } = await open();
    const running = await driver.perform('lift-obstacle', { height: 2 });
    if (!running) throw new Error('lifting is continuous');
    await fed(running, 5);
    await clock.advance(1_000);
    await running.done;
    const height = seen.values.get('arm-height');
    await clock.advance(5_000);
    expect(seen.values.get('arm-height')).toBe(height);
    expect(Number(height)).toBeLessThan(0.2);
    expect(body.journal.at(-1)).toEqual({ at: 'stop', action: 'lift-obstacle' });
  });

  it('stops everything for the safe action, and when it is closed', async () => {
    const { driver, body } = await open();
    const first = await driver.perform('drive', { speed: 1 });
    await driver.perform('stop', {});
    await first?.done;
    const second = await driver.perform('lift-obstacle', { height: 1 });
    await driver.close();
    await second?.done;
    expect(body.journal.filter(({ at }) => at === 'stop')).toHaveLength(2);
  });

  it('says nothing while its sensors are silent', async () => {
    const { body, clock, seen } = await open();
    body.mute(true);
    seen.values.clear();
    body.sense('load', 12);
    body.happen('overload');
    await clock.advance(2_000);
    expect([seen.values.size, seen.events.length]).toEqual([0, 0]);
    body.mute(false);
    await clock.advance(200);
    expect(seen.values.get('load')).toBe(12);
  });

  it('refuses what it does not have', async () => {
    const { body, driver } = await open();
    expect(() => body.sense('wings', 2)).toThrow(TypeError);
    expect(() => body.happen('flew')).toThrow(TypeError);
    await expect(driver.perform('fly', {})).rejects.toThrow(TypeError);
  });
});

describe('a device behind a controller', () => {
  const description = {
    name: 'arm',
    title: 'Arm',
    risk: 'motion',
    deadMan: true,
    properties: { height: { type: 'number' } },
    actions: { lift: { continuous: true }, wave: {}, stop: { safe: true } },
    events: {},
  } as const;

  /** A controller over real HTTP that remembers what it was asked. */
  async function controller() {
    const asked: string[] = [];
    let running = false;
    let status = 0;
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      const answer = (code: number, body: object) => {
        response.writeHead(status || code, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body));
      };
      if (request.url === '/state') answer(200, { height: 0.4, secret: 1 });
      else if (request.url === '/actions/lift') {
        running = true;
        answer(202, {});
      } else if (request.url === '/running') answer(200, { running });
      else {
        if (request.url === '/stop') running = false;
        answer(200, {});
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return {
      url,
      asked,
      fail: (code: number) => {
        status = code;
      },
      finish: () => {
        running = false;
      },
      close: () => new Promise((resolve) => server.close(resolve)),
    };
  }
  const http: DriverContext['http'] = async ({ method, url, body }) => {
    const answer = await fetch(url, { method, ...(body === undefined ? {} : { body }) });
    return { status: answer.status, body: await answer.text() };
  };

  it('reports what the controller says of the properties it has', async () => {
    const real = await controller();
    const seen = contextOn(virtualClock(), http);
    const driver = await controllerDevice(description, { url: real.url }).open(seen.context);
    expect([...seen.values]).toEqual([['height', 0.4]]);
    await driver.close();
    await real.close();
  });

  it('passes actions on, feeds what runs, and stops it', async () => {
    const real = await controller();
    const clock = virtualClock();
    const driver = await controllerDevice(description, { url: real.url }).open(
      contextOn(clock, http).context,
    );
    expect(await driver.perform('wave', {})).toBeUndefined();
    const running = await driver.perform('lift', {});
    running?.feed();
    await clock.advance(100);
    await expect.poll(() => real.asked).toContain('POST /feed');
    await running?.stop();
    await running?.done;
    expect(real.asked).toContain('POST /stop');
    const feeds = real.asked.filter((line) => line === 'POST /feed').length;
    await clock.advance(500);
    expect(real.asked.filter((line) => line === 'POST /feed')).toHaveLength(feeds);
    await driver.close();
    await real.close();
  });

  it('fails when the controller refuses', async () => {
    const real = await controller();
    const driver = await controllerDevice(description, { url: real.url }).open(
      contextOn(virtualClock(), http).context,
    );
    real.fail(503);
    await expect(driver.perform('lift', {})).rejects.toThrow('503');
    await driver.close();
    await real.close();
  });
});

describe('a description', () => {
  const good = { name: 'x', title: 'X', risk: 'info', properties: {}, actions: {}, events: {} } as const;
  const open = () => Promise.reject(new Error('not opened'));

  it.each([
    ['a name with capitals', { ...good, name: 'Arm' }],
    ['motion without a dead man', { ...good, risk: 'motion' as const }],
    ['one action that moves, without a dead man', { ...good, actions: { go: { risk: 'motion' as const } } }],
    ['a control period of nothing', { ...good, controlPeriodMs: 0 }],
  ])('is refused with %s', (_, description) => {
    expect(() => defineDevice({ description, open })).toThrow(TypeError);
  });
});
