import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SoftwareTpm, simulatedPlatform } from '../../simulator/index.ts';
import { Attester } from '../../src/attestation/attester.ts';
import { EVIDENCE_TYPE, unwrapCmw, wrapCmw } from '../../src/attestation/cmw.ts';
import { RuntimeLogFull } from '../../src/attestation/errors.ts';
import { decodeEvidence } from '../../src/attestation/evidence.ts';
import type { Measurement } from '../../src/attestation/runtime-log.ts';
import {
  current,
  measure,
  measurementDigest,
  RUNTIME_LOG_MAX,
  replay,
} from '../../src/attestation/runtime-log.ts';
import { base64url, hex, utf8 } from '../../src/core/bytes.ts';
import { Malformed } from '../../src/core/errors.ts';
import { sha256 } from '../../src/core/hash.ts';
import { TPM2_Startup } from '../../src/tpm/commands.ts';
import { createPrimary, iakTemplate, pcrExtend, pcrRead, run, Tpm } from '../../src/tpm/index.ts';

async function machine(seed: string) {
  const platform = simulatedPlatform({ seed });
  const { random, clock, store } = platform;
  const chip = await SoftwareTpm.create({ random, clock, seed });
  const tpm = await Tpm.open({ transport: chip, random, clock });
  const pcr12 = async () => hex((await pcrRead(tpm, [12]))[0] ?? new Uint8Array());
  return { platform, chip, tpm, store, pcr12, open: () => Attester.open({ store, tpm }) };
}

describe('the runtime log', () => {
  it('explains PCR 12 by what was measured', async () => {
    const { open, pcr12 } = await machine('log');
    const attester = await open();
    await attester.start('1.0.0');
    await attester.measure('bundle', 'agent.mjs', 'content');
    expect(attester.log).toEqual([
      { kind: 'start', name: '1.0.0', digest: '0'.repeat(64) },
      { kind: 'bundle', name: 'agent.mjs', digest: hex(sha256(utf8('content'))) },
    ]);
    expect(await pcr12()).toBe(hex(replay(attester.log)));
  });

  it('goes on when the agent is started again, and begins anew when the machine is', async () => {
    const { open, pcr12, chip, tpm } = await machine('restart');
    await (await open()).start('1.0.0');
    const again = await open();
    await again.start('1.0.1');
    expect(again.log.map(({ name }) => name)).toEqual(['1.0.0', '1.0.1']);
    expect(await pcr12()).toBe(hex(replay(again.log)));
    await chip.powerCycle();
    await run(tpm, TPM2_Startup, { startupType: 'clear' });
    const rebooted = await open();
    expect(rebooted.log).toEqual([]);
    expect(rebooted.intact).toBe(true);
  });

  it('takes up an entry that was stored when power failed before the TPM had it', async () => {
    const { open, pcr12, store } = await machine('power');
    const attester = await open();
    await attester.start('1.0.0');
    await attester.measure('bundle', 'agent.mjs', 'content');
    const entry: Measurement = measure('driver', 'arm', utf8('driver'));
    const log = [...attester.log, entry];
    await store.write(
      'attestation/runtime-log.json',
      utf8(JSON.stringify({ version: 1, pcr: 12, entries: log })),
    );
    const restarted = await open();
    expect(restarted.log).toEqual(log);
    expect(await pcr12()).toBe(hex(replay(log)));
  });

  it('stays as it was when an entry could not be stored', async () => {
    const { open, pcr12, store } = await machine('full disk');
    const attester = await open();
    await attester.start('1.0.0');
    const before = await pcr12();
    store.failWrite(1);
    await expect(attester.measure('bundle', 'agent.mjs', 'x')).rejects.toMatchObject({
      code: 'core.store-failed',
    });
    expect(await pcr12()).toBe(before);
    expect(attester.log).toHaveLength(1);
  });

  it('says that it is broken when somebody else extended the PCR, or the log is gone', async () => {
    const { open, tpm, store } = await machine('foreign');
    await (await open()).start('1.0.0');
    await pcrExtend(tpm, 12, { sha256: sha256(utf8('malware')) });
    expect((await open()).intact).toBe(false);
    await store.remove('attestation/runtime-log.json');
    expect((await open()).intact).toBe(false);
  });

  it('is bounded', async () => {
    const { open, store, tpm } = await machine('bounded');
    const entries = Array.from({ length: RUNTIME_LOG_MAX }, (_, i) =>
      measure('configuration', `${i}`, new Uint8Array()),
    );
    for (const entry of entries) await pcrExtend(tpm, 12, { sha256: measurementDigest(entry) });
    await store.write('attestation/runtime-log.json', utf8(JSON.stringify({ version: 1, pcr: 12, entries })));
    await expect((await open()).start('again')).rejects.toBeInstanceOf(RuntimeLogFull);
  });

  it('refuses PCRs that the firmware uses or that software can reset', async () => {
    const { store, tpm } = await machine('pcr');
    for (const pcr of [0, 7, 16, 23, 24, 1.5])
      await expect(Attester.open({ store, tpm, pcr })).rejects.toThrow(TypeError);
  });

  it('knows what runs now', () => {
    const start: Measurement = { kind: 'start', name: '1', digest: '0'.repeat(64) };
    const bundle = measure('bundle', 'a', utf8('1'));
    const newer = measure('bundle', 'a', utf8('2'));
    expect(current([start, bundle, start, newer])).toEqual([newer]);
    expect(current([])).toEqual([]);
  });
});

describe('evidence', () => {
  it('quotes the PCRs the verifier chose, about what the verifier said', async () => {
    const { open, tpm } = await machine('evidence');
    const attester = await open();
    await attester.start('1.0.0');
    const key = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
    const record = await attester.evidence({
      key,
      qualifier: sha256(utf8('nonce')),
      pcrs: [12, 0, 1, 2, 3, 4, 5, 6, 7, 8], // more than a TPM tells at once
      aibom: sha256(utf8('aibom')),
    });
    const evidence = decodeEvidence(record);
    expect([...evidence.pcrs.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 12]);
    expect(evidence.runtimeLog).toEqual(attester.log);
    expect(record[0]).toBe(EVIDENCE_TYPE);
  });

  it('of any bytes is evidence or malformed, never another error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json().map(utf8), fc.uint8Array()), (bytes) => {
        expect(() => decodeEvidence([EVIDENCE_TYPE, base64url(bytes), 4])).toThrow(Malformed);
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  it('is not taken out of a wrapper for something else', () => {
    const record = wrapCmw(EVIDENCE_TYPE, utf8('{}'), 8);
    expect(() => unwrapCmw(record, EVIDENCE_TYPE, 4)).toThrow(Malformed);
    expect(() => unwrapCmw(['application/eat+jwt', 'AA'], EVIDENCE_TYPE, 4)).toThrow(Malformed);
    expect(unwrapCmw([EVIDENCE_TYPE, 'AQ'], EVIDENCE_TYPE, 4)).toEqual(Uint8Array.of(1));
  });
});
