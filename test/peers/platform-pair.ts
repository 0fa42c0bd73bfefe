import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createConnection } from 'node:net';
import { execute } from '../../simulator/tpm/dispatch.ts';
import { concat, equal, hex, u32 } from '../../src/core/bytes.ts';
import * as tpm2 from '../../src/tpm/commands.ts';
import { TPM_CAP } from '../../src/tpm/structures.ts';
import { Bench } from '../simulator/tpm-bench.ts';
import { codeOf, patient } from '../tpm/raw.ts';
import { openSwtpm } from './swtpm.ts';

const none = new Uint8Array();

/** Something that is done to both TPMs. Bytes are a command. */
export type Step =
  | Uint8Array
  | { readonly locality: number }
  | { readonly init: true }
  | { readonly hash: readonly Uint8Array[] };

/** Answers to the same command that are not the same. */
export interface Difference {
  /** Both response codes, hexadecimal. */
  readonly codes: string;
  /** For a person to read. */
  readonly text: string;
}

/** A software TPM whose time only passes when told to, and a swtpm, to which the same is done. */
export interface PlatformPair {
  /** Does it to both; what is different in their answers, if anything is. */
  take(step: Step): Promise<Difference | undefined>;
  close(): Promise<void>;
}

/** Starts both, new. */
export async function startPlatformPair(): Promise<PlatformPair> {
  const bench = new Bench();
  const swtpm = await openSwtpm();
  const its = patient(swtpm.transport);
  const tell = await controlOf(`${swtpm.spec.slice('swtpm:path='.length)}.ctrl`);
  return {
    async take(step) {
      if (step instanceof Uint8Array) {
        const ours = execute(bench.chip, step);
        const theirs = await its.exchange(step);
        const alike = isExact(step) ? equal(ours, theirs) : outline(ours) === outline(theirs);
        if (alike) return undefined;
        const codes = `${codeOf(ours).toString(16)} ${codeOf(theirs).toString(16)}`;
        return { codes, text: `${hex(step)}: ours ${hex(ours)}, swtpm's ${hex(theirs)}` };
      }
      if ('locality' in step) {
        bench.chip.locality = step.locality;
        await tell(5, Uint8Array.of(step.locality));
      } else if ('hash' in step) {
        bench.chip.hashStart();
        await tell(6);
        for (const data of step.hash) {
          bench.chip.hashData(data);
          await tell(7, concat(u32(data.length), data));
        }
        bench.chip.hashEnd();
        await tell(8);
      } else {
        bench.chip.powerOn();
        await tell(2, u32(0));
      }
      return undefined;
    },
    close: () => swtpm.close(),
  };
}

/** The control channel of a swtpm. */
async function controlOf(path: string): Promise<(command: number, body?: Uint8Array) => Promise<void>> {
  const socket: Socket = createConnection({ path });
  await once(socket, 'connect');
  socket.unref();
  return async (command, body = none) => {
    socket.write(concat(u32(command), body));
    const [answer] = (await once(socket, 'data')) as [Uint8Array];
    if (hex(answer.subarray(0, 4)) !== '00000000') throw new Error(`swtpm refused control ${command}`);
  };
}

/** Tag, length and response code of a response: what must be the same. */
const outline = (response: Uint8Array) =>
  `${hex(response.subarray(0, 2))} ${response.length} ${codeOf(response).toString(16)}`;

/** Commands whose answers are the same to the last byte, when nothing of the maker is in them. */
const exact: ReadonlySet<number> = new Set([
  tpm2.TPM2_NV_Read.code,
  tpm2.TPM2_NV_ReadPublic.code,
  tpm2.TPM2_PCR_Read.code,
  tpm2.TPM2_PCR_Event.code,
  tpm2.TPM2_PCR_Allocate.code,
]);
/** Capabilities of which that is true too. */
const ofNobody: ReadonlySet<string> = new Set([
  'handles',
  'ppCommands',
  'pcrs',
  'pcrProperties',
  'authPolicies',
]);

function isExact(command: Uint8Array): boolean {
  if (codeOf(command) !== tpm2.TPM2_GetCapability.code) return exact.has(codeOf(command));
  const wanted = new DataView(command.buffer, command.byteOffset);
  const names = Object.entries(TPM_CAP.values);
  const name = names.find(([, value]) => value === wanted.getUint32(10))?.[0] ?? '';
  // The variable properties are about what was done, but for the number of curves.
  if (name === 'tpmProperties') return wanted.getUint32(14) >= 0x200 && wanted.getUint32(18) < 10;
  return ofNobody.has(name);
}
