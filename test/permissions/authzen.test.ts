import { describe, expect, it } from 'vitest';
import { Malformed } from '../../src/core/errors.ts';
import { evaluateAllAuthZen, evaluateAuthZen } from '../../src/permissions/index.ts';
import { alice, bob, clear, held, opened } from './helpers.ts';

const drive = {
  subject: { type: 'agent', id: alice },
  action: { name: 'drive', properties: { speed: 1 } },
  resource: { type: 'device', id: 'vehicle' },
};
const honk = { ...drive, action: { name: 'honk' } };

async function made() {
  const all = await opened();
  all.pdp.add(held({ condition: clear }));
  return { ...all, decide: (request: Parameters<typeof all.pep.simulate>[0]) => all.pep.simulate(request) };
}

describe('an AuthZEN evaluation', () => {
  it('is one of our decisions, and does nothing', async () => {
    const { decide, inputs, device, audit } = await made();
    expect(evaluateAuthZen(drive, decide)).toMatchObject({
      decision: false,
      context: { reason: 'unknown', reason_user: { en: 'its condition cannot be told to hold' } },
    });
    inputs.report({ device: 'vehicle' }, 'clear', true);
    expect(evaluateAuthZen(drive, decide).decision).toBe(true);
    expect(device.calls).toEqual(['open']);
    expect(audit.entries).toEqual([]);
  });

  it('takes nothing from the caller but arguments, which are checked', async () => {
    const { decide } = await made();
    const claimed = { clear: true, vehicle: { clear: true }, 'device:vehicle/property/clear': true };
    expect(
      evaluateAuthZen(
        {
          ...drive,
          context: { ...claimed, time: '2026-11-24T10:00:00Z' },
          subject: { ...drive.subject, properties: claimed },
          resource: { ...drive.resource, properties: claimed },
        },
        decide,
      ).decision,
    ).toBe(false);
    const fast = { ...drive, action: { name: 'drive', properties: { speed: 11 } } };
    expect(evaluateAuthZen(fast, decide).context['reason']).toBe('arguments');
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['no subject', { ...drive, subject: undefined }],
    ['a subject without id', { ...drive, subject: { type: 'agent' } }],
    ['a resource of another type', { ...drive, resource: { type: 'file', id: 'vehicle' } }],
    ['an argument that is an object', { ...drive, action: { name: 'drive', properties: { speed: {} } } }],
    ['an endless id', { ...drive, subject: { type: 'agent', id: 'x'.repeat(600) } }],
  ])('is refused for %s', async (_, json) => {
    const { decide } = await made();
    expect(() => evaluateAuthZen(json, decide)).toThrow(Malformed);
  });

  it('comes in batches with defaults, and stops where it should', async () => {
    const { decide, inputs } = await made();
    inputs.report({ device: 'vehicle' }, 'clear', true);
    const { subject, resource } = drive;
    const evaluations = [
      { action: honk.action },
      { action: honk.action, subject: { type: 'agent', id: bob } },
      { action: drive.action },
    ];
    const all = (semantic?: string) =>
      evaluateAllAuthZen(
        { subject, resource, evaluations, options: { evaluations_semantic: semantic } },
        decide,
      ).evaluations.map(({ decision }) => decision);
    expect(all()).toEqual([true, false, true]);
    expect(all('deny_on_first_deny')).toEqual([true, false]);
    expect(all('permit_on_first_permit')).toEqual([true]);
    expect(() => all('whatever')).toThrow(Malformed);
    expect(() => evaluateAllAuthZen({ evaluations: [{}] }, decide)).toThrow(Malformed);
    expect(() => evaluateAllAuthZen({ evaluations: [] }, decide)).toThrow(Malformed);
    expect(() => evaluateAllAuthZen({ evaluations: Array(129).fill(drive) }, decide)).toThrow(Malformed);
  });
});
