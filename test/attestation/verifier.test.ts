import { describe, expect, it } from 'vitest';
import { readAppraisalPolicy, readReferenceValues } from '../../src/attestation/reference.ts';
import { EAR_SUBMODULE } from '../../src/attestation/results.ts';
import { hex } from '../../src/core/bytes.ts';
import { peekPayload } from '../../src/core/jws.ts';
import { pcrExtend, pcrRead } from '../../src/tpm/index.ts';
import { reboot, startAgent, World } from '../provisioning/world.ts';

interface Vector {
  ear_status: string;
  ear_trustworthiness_vector: Record<string, number>;
}

function vectorOf(ear: string): Vector {
  return (peekPayload(ear)['submods'] as unknown as Record<string, Vector>)[EAR_SUBMODULE] as Vector;
}

describe('a verifier', () => {
  it('never calls executables affirming on the word of the agent alone', async () => {
    const world = await World.create('no chain');
    const device = await world.device('DOG-0001');
    const { credentials } = await (await device.pledge()).obtain();
    expect(vectorOf(credentials.ear).ear_status).toBe('affirming');
    expect(vectorOf(credentials.ear).ear_trustworthiness_vector).toEqual({
      'instance-identity': 2,
      configuration: 2,
    });
  });

  it('calls them affirming when firmware and kernel were measured too, and match', async () => {
    const world = await World.create('chain');
    const device = await world.device('DOG-0001');
    await pcrExtend(device.tpm, 4, { sha256: new Uint8Array(32).fill(7) });
    const [pcr0, pcr4] = await pcrRead(device.tpm, [0, 4]);
    world.policy = { ...world.policy, measuredChain: [0, 4] };
    world.reference = {
      ...world.reference,
      pcrs: { '0': [hex(pcr0 ?? new Uint8Array())], '4': [hex(pcr4 ?? new Uint8Array())] },
    };
    const pledge = await device.pledge();
    const { credentials } = await pledge.obtain();
    expect(vectorOf(credentials.ear).ear_trustworthiness_vector['executables']).toBe(2);
    await pcrExtend(device.tpm, 4, { sha256: new Uint8Array(32).fill(8) }); // another kernel
    await expect(pledge.renew()).rejects.toMatchObject({ check: 'reference-values' });
  });

  it('refuses a PCR for which nobody gave a value, or warns', async () => {
    const world = await World.create('no value');
    const device = await world.device('DOG-0001');
    world.policy = { ...world.policy, measuredChain: [7] };
    await expect((await device.pledge()).obtain()).rejects.toMatchObject({ check: 'reference-values' });
    world.policy = { ...world.policy, unknown: 'warn' };
    const { credentials } = await (await device.pledge()).obtain();
    expect(vectorOf(credentials.ear).ear_status).toBe('warning');
    expect(vectorOf(credentials.ear).ear_trustworthiness_vector).not.toHaveProperty('executables');
  });

  it('warns of measurements nobody knows, where the policy says so', async () => {
    const world = await World.create('unknown');
    const device = await world.device('DOG-0001');
    await device.attester.measure('driver', 'gripper', 'driver');
    await expect((await device.pledge()).obtain()).rejects.toMatchObject({ check: 'reference-values' });
    world.policy = { ...world.policy, unknown: 'warn' };
    const { credentials } = await (await device.pledge()).obtain();
    expect(vectorOf(credentials.ear)).toMatchObject({
      ear_status: 'warning',
      ear_trustworthiness_vector: { configuration: 36 },
    });
  });

  it('does not forget what ran before the agent was started again', async () => {
    const world = await World.create('before');
    const device = await world.device('DOG-0001');
    await reboot(device);
    await startAgent(device.platform, device.tpm, 'evil bundle');
    const attester = await startAgent(device.platform, device.tpm, 'bundle 1');
    await expect((await device.pledge({ attester })).obtain()).rejects.toMatchObject({
      check: 'reference-values',
    });
  });

  it('wants everything measured that the policy names, by the agent that runs now', async () => {
    const world = await World.create('required');
    const device = await world.device('DOG-0001');
    await device.attester.start('1.0.1'); // and measures nothing
    await expect((await device.pledge()).obtain()).rejects.toMatchObject({ check: 'reference-values' });
  });

  it('names its policy by the digest of policy and reference values', async () => {
    const world = await World.create('policy name');
    const device = await world.device('DOG-0001');
    const pledge = await device.pledge();
    const first = await pledge.obtain();
    world.reference = { ...world.reference, pcrs: { '0': ['0'.repeat(64)] } };
    const second = await pledge.renew();
    const name = (ear: string) =>
      (vectorOf(ear) as unknown as { ear_appraisal_policy_ids: string[] }).ear_appraisal_policy_ids[0];
    expect(name(first.credentials.ear)).toMatch(/^test@[\w-]{43}$/);
    expect(name(second.credentials.ear)).not.toBe(name(first.credentials.ear));
  });
});

describe('reference values and policies', () => {
  it('are refused with members nobody knows', () => {
    expect(() => readReferenceValues({ version: 1, measurements: [], pcr: {} })).toThrow(/pcr/);
    expect(() => readAppraisalPolicy({ version: 1, id: 'x', ignore: true })).toThrow(/ignore/);
    expect(() => readAppraisalPolicy({ version: 1, id: 'x', runtimePcr: 16 })).toThrow(/runtimePcr/);
    expect(() => readReferenceValues({ version: 1, measurements: [], pcrs: { '24': [] } })).toThrow();
  });

  it('are read from JSON text', () => {
    expect(readAppraisalPolicy('{"version":1,"id":"x"}')).toMatchObject({
      runtimePcr: 12,
      unknown: 'refuse',
    });
  });
});
