import { describe, expect, it } from 'vitest';
import { peekPayload } from '../../src/core/jws.ts';
import { AUTHORITY, World } from './world.ts';

describe('a device fresh from the maker', () => {
  it('enrols in one go and holds credentials for its own keys', async () => {
    const world = await World.create('enrol');
    const device = await world.device('DOG-0001');
    const pledge = await device.pledge();
    expect(pledge.state).toBe('shipped');
    const { credentials, keys } = await pledge.obtain();
    expect(pledge.state).toBe('enrolled');
    expect(credentials.agentId).toBe('spiffe://home.test/agent/dog-0001');
    expect(credentials.endpoints.authority).toBe(AUTHORITY);
    expect(peekPayload(credentials.wit)['fealty/capabilities']).toEqual(['lidar', 'walk']);
    expect(keys.ldevid.kid).not.toBe(keys.credential.kid);
    expect(world.asked).toEqual(['/enrol/v1/voucher', '/enrol/v1/begin', '/enrol/v1/activate']);
  });
});
