import { expect } from 'vitest';
import { commandByCode } from '../../../src/tpm/command-table.ts';
import { TPM_RC_WARN } from '../../../src/tpm/response-codes.ts';
import type { Overheard } from '../relay.ts';
import { startRelay } from '../relay.ts';
import type { ProvidedTpm } from '../tpm-provider.ts';
import { provideSoftwareTpm, provideSwtpm } from '../tpm-provider.ts';
import type { Bench, Connection } from './bench.ts';
import { openBench } from './bench.ts';

/**
 * A bench that runs each script twice, against the software TPM and against swtpm, and overhears both: the tools must
 * have sent the same commands and got answers of the same tag, code and length.
 */
export async function openSideBySide(): Promise<Bench> {
  const ours = await listening(() => provideSoftwareTpm(3));
  const theirs = await listening(() => provideSwtpm());
  return {
    directory: ours.bench.directory,
    async sh(script) {
      const [out] = await Promise.all([ours.bench.sh(script), theirs.bench.sh(script)]);
      expect(ours.said()).toEqual(theirs.said());
      return out;
    },
    async powerCycle() {
      for (const { bench } of [ours, theirs]) await bench.powerCycle();
    },
    async close() {
      for (const { bench } of [ours, theirs]) await bench.close();
    },
  };
}

interface Listening {
  readonly bench: Bench;
  /** What was overheard so far, a line for each command. */
  said(): readonly string[];
}

async function listening(provide: () => Promise<ProvidedTpm>): Promise<Listening> {
  const overheard: (readonly Overheard[])[] = [];
  const connection: Connection = {
    name: 'overheard',
    programs: [],
    possible: true,
    untidy: true,
    async connect() {
      const tpm = await provide();
      const relay = await startRelay(tpm.place);
      overheard.push(relay.overheard);
      return {
        environment: { TPM2TOOLS_TCTI: relay.tcti },
        powerCycle: tpm.powerCycle,
        async close() {
          await relay.close();
          await tpm.close();
        },
      };
    },
  };
  const bench = await openBench(connection);
  return { bench, said: () => overheard.flat().flatMap(lineOf) };
}

/** Commands whose answers may differ in length: what was saved is the TPM's own, and so is what it has to tell. */
const lengthsVary: ReadonlySet<string> = new Set([
  'TPM2_ContextSave',
  'TPM2_GetCapability',
  'TPM2_GetTestResult',
]);

function lineOf({ command, answer }: Overheard): readonly string[] {
  const sent = Buffer.from(command);
  const got = Buffer.from(answer);
  const code = got.readUInt32BE(6);
  // libtpms asks for the first use of an object that is guarded against guessing to be sent again
  if (code === TPM_RC_WARN.RETRY) return [];
  const name = commandByCode(sent.readUInt32BE(6))?.name ?? sent.toString('hex');
  const form = `${got.readUInt16BE(0).toString(16)} ${code.toString(16)}`;
  return [lengthsVary.has(name) ? `${name}: ${form}` : `${name}: ${form}, ${got.length} bytes`];
}
