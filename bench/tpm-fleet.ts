import { nodePlatform } from 'fealty';
import { memoryStore, SoftwareTpm } from 'fealty/simulator';
import {
  counterDefine,
  counterIncrement,
  loadPersistent,
  openTpm,
  persistentHandles,
  quote,
  run,
} from 'fealty/tpm';
import { TPM2_NV_Increment } from 'fealty/tpm/commands';
import { createMakerLine, manufacture } from '../src/provisioning/maker.ts';

const { clock, random } = nodePlatform({ directory: '.' });

/** The snapshot of a TPM that a maker has given EK, IAK and IDevID, with their certificates. */
export async function manufactured(): Promise<Uint8Array> {
  const chip = await SoftwareTpm.create({ clock, random });
  const tpm = await openTpm({ transport: { exchange: (command) => chip.exchange(command) }, clock, random });
  const line = await createMakerLine({ clock, random }, 'Robotics Works');
  await manufacture(tpm, line, { serial: 'BENCH-1', model: 'bench' });
  await chip.close();
  return await chip.snapshot();
}

/** Wakes a TPM from a snapshot, and has its IAK sign a quote. */
export async function wake(template: Uint8Array): Promise<void> {
  const chip = await SoftwareTpm.restore(template, { clock, random });
  const tpm = await openTpm({ transport: { exchange: (command) => chip.exchange(command) }, clock, random });
  const iak = await loadPersistent(tpm, persistentHandles.iak);
  if (iak === undefined) throw new Error('the IAK is not there');
  await quote(tpm, iak, { qualifyingData: new Uint8Array(32), pcrs: [{ hash: 'sha256', pcrSelect: [0] }] });
}

/** NV_Increment of a counter whose every change is stored, in memory. */
export async function durableCounter(): Promise<() => Promise<unknown>> {
  const chip = await SoftwareTpm.create({ clock, random, store: memoryStore() });
  const tpm = await openTpm({ transport: { exchange: (command) => chip.exchange(command) }, clock, random });
  const counter = await counterIncrement(tpm, await counterDefine(tpm, { handle: 0x01500001 }));
  return () => run(tpm, TPM2_NV_Increment, { authHandle: counter, nvIndex: counter });
}
