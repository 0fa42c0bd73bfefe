import { describe, expect, it } from 'vitest';
import { slugOf } from '../../src/core/names.ts';
import { BrokerDomains } from '../../src/hub/broker-domains.ts';
import { permitOf } from '../../src/hub/owner-broker.ts';

const [console_, dog, vehicle, third] = ['console', 'dog', 'vehicle', 'third'].map(
  (name) => `spiffe://fleet.example/agent/${name}`,
) as [string, string, string, string];
const domain = '0123456789abcdef0123456789abcdef';
const bounds = {
  trustDomains: ['fleet.example'],
  roles: {},
  maxMembers: 2,
  posture: 'affirming',
  assignLate: true,
  statusBoundS: 600,
} as const;

describe('a group grant at the broker', () => {
  it('opens a domain for as many members as it says, and its coordinator, who has no role', () => {
    const domains = new BrokerDomains([]);
    const slug = slugOf(console_);
    domains.open(domain, slug, permitOf({ coordinator: console_, exp: 1, bounds }, slug));
    domains.admit(domain, slug, [slugOf(dog)]);
    domains.admit(domain, slug, [slugOf(vehicle)]);
    expect(() => domains.admit(domain, slug, [slugOf(third)])).toThrow('at most');
  });

  it('is for its coordinator and the successors it names', () => {
    const permit = (who: string, successors?: readonly string[]) =>
      permitOf(
        { coordinator: console_, exp: 1, bounds: { ...bounds, ...(successors && { successors }) } },
        slugOf(who),
      );
    expect(permit(console_)).toMatchObject({ until: 1000, takeover: false });
    expect(permit(dog, [dog])).toMatchObject({ takeover: true });
    expect(() => permit(dog)).toThrow('another coordinator');
  });
});
