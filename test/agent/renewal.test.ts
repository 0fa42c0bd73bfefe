import { afterEach, describe, expect, it } from 'vitest';
import { make, sell } from '../../simulator/scenarios/good-morning/factory.ts';
import { House } from '../../simulator/scenarios/good-morning/house.ts';
import { Unreachable } from '../../src/core/errors.ts';

const HOUR = 3_600_000;
let house: House;
afterEach(() => house.close());

describe('an agent whose authority is away (PV-13)', () => {
  it('tries to renew again and again, and not once after it was closed', async () => {
    const { signal } = new AbortController();
    house = new House({ seed: 6, start: Date.UTC(2026, 10, 24, 10), routines: [], signal });
    await house.openAuthority();
    const { line } = await make(house.platform, house.tpmStore);
    const buyer = { ...house.owner, certificate: house.authority.ca.certificate };
    await house.openHub(await sell(house.platform, line, buyer, await house.measurements()));
    await house.hub.enrol();
    const { agent } = house.hub;
    Object.assign(house.platform.network, { request: () => Promise.reject(new Unreachable('away')) });
    let failures = 0;
    let closing: Promise<void> | undefined;
    let close = false;
    agent.on('failed', (what) => {
      if (what !== 'renewal') return;
      failures++;
      if (close) closing ??= agent.close();
    });

    await house.clock.leap(24 * HOUR);
    await house.clock.advance(200_000);
    expect(failures).toBeGreaterThanOrEqual(3);

    // In the very moment of a failure, when the next attempt is about to be armed.
    close = true;
    const before = failures;
    await house.clock.advance(70_000);
    await closing;
    expect(failures).toBe(before + 1);
    await house.clock.advance(600_000);
    expect(failures).toBe(before + 1);
  });
});
