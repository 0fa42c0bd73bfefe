import { nodePlatform } from '../../src/core/node.ts';
import type { Clock } from '../../src/core/platform.ts';
import type { Command } from '../../src/tpm/command.ts';
import { TPM2_GetCapability } from '../../src/tpm/commands.ts';
import type { Tpm, TpmObject, Transport } from '../../src/tpm/index.ts';
import {
  createPrimary,
  ekTemplate,
  flush,
  openTpm,
  persist,
  persistentHandles,
  run,
  srkTemplate,
} from '../../src/tpm/index.ts';

/** What a story is given: fresh for each. */
export interface Stage {
  readonly tpm: Tpm;
  /** The way to the TPM below `tpm`, for another client; close that one, and this stays open. */
  readonly transport: Transport;
  /** Every command sent and every answer so far, as they were on the wire. */
  readonly wire: { readonly commands: Uint8Array[]; readonly answers: Uint8Array[] };
  /** Changes answers before the client sees them, until set to `undefined` again. */
  tamper: ((answer: Uint8Array, command: Uint8Array) => Uint8Array) | undefined;
  /** Changes commands before the TPM sees them, likewise. */
  forge: ((command: Uint8Array) => Uint8Array) | undefined;
}

/** The persistent EK every other story salts its sessions to. */
export async function makeEk(tpm: Tpm): Promise<TpmObject> {
  const ek = await createPrimary(tpm, { hierarchy: 'endorsement', template: ekTemplate });
  const kept = await persist(tpm, ek, persistentHandles.ekEcc);
  await flush(tpm, ek);
  return kept;
}

/** Opens the client on a transport, with everything on the wire recorded. */
export async function setStage(transport: Transport, time?: Clock): Promise<Stage> {
  const { clock: ours, random } = nodePlatform({ directory: '.' });
  const clock = time ?? ours;
  const wire = { commands: [] as Uint8Array[], answers: [] as Uint8Array[] };
  let tamper: Stage['tamper'];
  let forge: Stage['forge'];
  const recording: Transport = {
    async exchange(command, signal) {
      wire.commands.push(command);
      const answer = await transport.exchange(forge === undefined ? command : forge(command), signal);
      const seen = tamper === undefined ? answer : tamper(answer, command);
      wire.answers.push(seen);
      return seen;
    },
  };
  const tpm = await openTpm({ transport: recording, clock, random });
  return {
    tpm,
    transport: recording,
    wire,
    get tamper() {
      return tamper;
    },
    set tamper(value) {
      tamper = value;
    },
    get forge() {
      return forge;
    },
    set forge(value) {
      forge = value;
    },
  };
}

/** Whether the TPM does not have one of these commands: a TPM in the making has not. */
export async function lacks(tpm: Tpm, ...commands: readonly Command[]): Promise<boolean> {
  const { capabilityData } = await run(tpm, TPM2_GetCapability, {
    capability: 'commands',
    property: 0x11f,
    propertyCount: 256,
  });
  const has = new Set(
    capabilityData.capability === 'commands' ? capabilityData.data.map((one) => one & 0xffff) : [],
  );
  return commands.some(({ code }) => !has.has(code));
}

/** A persistent SRK (P-256). */
export async function makeSrk(tpm: Tpm): Promise<TpmObject> {
  const srk = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
  const kept = await persist(tpm, srk, persistentHandles.srk);
  await flush(tpm, srk);
  return kept;
}

/** Whether `needle` occurs in `haystack`. */
export function contains(haystack: Uint8Array, needle: Uint8Array): boolean {
  return Buffer.from(haystack).includes(Buffer.from(needle));
}
