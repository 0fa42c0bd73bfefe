import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe } from 'vitest';
import { startResourceManager } from '../message-bus.ts';
import { present } from '../present.ts';
import { openShell } from '../shell.ts';
import { cramped, provideTpm, subject, waysByPort } from '../tpm-provider.ts';
import { prelude } from './prelude.ts';

/** A folder, a TPM of its own, and a shell in the folder that points tpm2-tools at it. */
export interface Bench {
  readonly directory: string;
  /** Runs a script that may use what the prelude offers; its stdout. Rejects with what it said when a line fails. */
  sh(script: string): Promise<string>;
  /** Power off and on. */
  powerCycle(): Promise<void>;
  close(): Promise<void>;
}

/** What a {@link Connection} opened. */
export interface Connected {
  /** Makes the tools use it. */
  readonly environment: Readonly<Record<string, string>>;
  powerCycle(): Promise<void>;
  close(): Promise<void>;
}

/** How the tools reach the TPM. */
export interface Connection {
  readonly name: string;
  /** Programs it needs beside the tools. */
  readonly programs: readonly string[];
  connect(): Promise<Connected>;
  /** False where the TPM under test does not speak it. */
  readonly possible: boolean;
  /** Whether nobody but the tools themselves takes their leavings out of the TPM's slots. */
  readonly untidy: boolean;
}

/** The tools open the TPM themselves. It has room for what they leave in it. */
export const direct: Connection = {
  name: 'directly',
  programs: [],
  possible: true,
  untidy: cramped,
  async connect() {
    const { tcti, powerCycle, close } = await provideTpm(64);
    return { environment: { TPM2TOOLS_TCTI: tcti }, powerCycle, close };
  },
};

/** The same over the protocol of Microsoft's simulator, which the tools know too. */
export const bySimulator: Connection = {
  name: "by the protocol of Microsoft's simulator",
  programs: [],
  possible: waysByPort.includes('mssim'),
  untidy: false,
  async connect() {
    const { tcti, powerCycle, close } = await provideTpm(64, 'mssim');
    return { environment: { TPM2TOOLS_TCTI: tcti }, powerCycle, close };
  },
};

/** Through tpm2-abrmd, as on a distribution: the TPM has the three slots of hardware. */
export const managed: Connection = {
  name: 'through tpm2-abrmd',
  programs: ['tpm2-abrmd', 'dbus-daemon'],
  possible: true,
  untidy: false,
  async connect() {
    const tpm = await provideTpm(3);
    const manager = await startResourceManager(tpm.tcti);
    return {
      environment: manager.environment,
      powerCycle: tpm.powerCycle,
      async close() {
        await manager.close();
        await tpm.close();
      },
    };
  },
};

/** A bench in a folder of its own. */
export async function openBench(connection: Connection): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'fealty-tpm-tools-'));
  const { environment, powerCycle, close } = await connection.connect();
  const shell = await openShell(directory, prelude(connection.untidy), environment);
  return {
    directory,
    sh: shell,
    powerCycle,
    async close() {
      await close();
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** The tests of one topic: registers its `it`s, each with a fresh bench from `bench()`. */
export type Topic = (bench: () => Bench) => void;

/** Runs topics with the tools on one connection. */
export function toolSuite(connection: Connection, topics: readonly Topic[]): void {
  const { name, programs, possible } = connection;
  const open = () => openBench(connection);
  benchSuite({ name: `reach ${subject} ${name}, and`, programs, possible, open }, topics);
}

/** Where the tests of topics run, each with the bench that `open` opens for it. */
export interface Suite {
  readonly name: string;
  /** Programs it needs beside the tools. */
  readonly programs: readonly string[];
  readonly possible: boolean;
  open(): Promise<Bench>;
}

/** Runs topics in a suite. */
export function benchSuite(suite: Suite, topics: readonly Topic[]): void {
  const there = suite.possible && present('tpm2_getrandom', 'openssl', 'xxd', ...suite.programs);
  describe.skipIf(!there)(`tpm2-tools ${suite.name}`, { timeout: 60_000 }, () => {
    let bench: Bench | undefined;
    beforeEach(async () => {
      bench = await suite.open();
    });
    afterEach(async () => {
      await bench?.close();
      bench = undefined;
    });
    for (const topic of topics)
      topic(() => {
        if (bench === undefined) throw new Error('no bench');
        return bench;
      });
  });
}
