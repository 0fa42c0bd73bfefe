import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TPM2_GetCapability } from '../../src/tpm/commands.ts';
import { openTransport } from '../../src/tpm/index.ts';
import { ask } from '../tpm/raw.ts';
import { present } from './present.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** `fealty tpm serve` as a process of its own, and how tpm2-tss reaches it. */
async function serve(): Promise<{ readonly process: ChildProcess; readonly tcti: string }> {
  const arguments_ = ['--conditions=source', '--import', 'tsx', join(root, 'src/cli/main.ts')];
  const child = spawn(process.execPath, [...arguments_, 'tpm', 'serve', '--port', '0', '--json'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  for await (const part of child.stdout) {
    said += String(part);
    const tcti = /"tcti": "([^"]+)"/.exec(said)?.[1];
    if (tcti !== undefined) return { process: child, tcti };
  }
  throw new Error(`no TPM is served: ${said}`);
}

/** A message bus with tpm2-abrmd on it, which ends with the script. */
const onAbrmd = (tcti: string, script: string) => `
  tpm2-abrmd --session --allow-root --tcti=${tcti} > abrmd.log 2>&1 &
  manager=$!
  trap 'kill $manager; wait $manager || true' EXIT
  gdbus wait --session --timeout 20 com.intel.tss2.Tabrmd
  export TPM2TOOLS_TCTI=tabrmd:bus_type=session
  ${script}`;

describe.skipIf(!present('tpm2-abrmd', 'dbus-run-session', 'gdbus', 'tpm2_getrandom', 'openssl'))(
  'tpm2-abrmd in front of the software TPM',
  { timeout: 120_000 },
  () => {
    let directory: string;
    let served: Awaited<ReturnType<typeof serve>>;

    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'fealty-abrmd-'));
      served = await serve();
    });
    afterEach(async () => {
      const ended = once(served.process, 'exit');
      served.process.kill();
      await ended;
      await rm(directory, { recursive: true, force: true });
    });

    const sh = async (script: string) => {
      const { stdout } = await run(
        'dbus-run-session',
        ['--', 'bash', '-e', '-o', 'pipefail', '-c', onAbrmd(served.tcti, script)],
        { cwd: directory, timeout: 90_000, env: { ...process.env, TSS2_LOG: 'all+NONE' } },
      );
      return stdout;
    };

    /** Handles of each kind that are left in the TPM itself. */
    const left = async () => {
      const transport = openTransport(served.tcti);
      const kinds = [0x80000000, 0x02000000, 0x03000000];
      const found: (readonly number[])[] = [];
      for (const property of kinds) {
        const asked = { capability: 'handles', property, propertyCount: 254 } as const;
        const { capabilityData } = await ask(transport, TPM2_GetCapability, asked);
        found.push(capabilityData.capability === 'handles' ? capabilityData.data : []);
      }
      await transport.close?.();
      return found;
    };

    it('lets many tools in a row leave their objects behind, though it has but three slots', async () => {
      const said = await sh(`
        tpm2_createprimary -Q -C o -G ecc -c primary.ctx
        for i in $(seq 12); do
          tpm2_create -Q -C primary.ctx -G ecc:ecdsa-sha256 -u key$i.pub -r key$i.priv
          tpm2_load -Q -C primary.ctx -u key$i.pub -r key$i.priv -c key$i.ctx
        done
        echo -n 'a message' > message
        for i in $(seq 12); do
          tpm2_sign -Q -c key$i.ctx -g sha256 -f plain -o signature message
          tpm2_readpublic -Q -c key$i.ctx -f pem -o key.pem
          openssl dgst -sha256 -verify key.pem -signature signature message
        done`);
      expect(said.match(/Verified OK/g)?.length).toBe(12);
      expect(await left()).toEqual([[], [], []]);
    });

    // It keeps four sessions of programs that have ended, and flushes the oldest of more.
    it('keeps policy sessions from tool to tool, and sealed data behind them', async () => {
      const said = await sh(`
        tpm2_createprimary -Q -C o -G ecc -c primary.ctx
        tpm2_startauthsession -S trial.ctx
        tpm2_policypcr -Q -S trial.ctx -l sha256:16 -L policy
        tpm2_flushcontext trial.ctx
        echo -n 'behind a policy' > secret
        tpm2_create -Q -C primary.ctx -i secret -L policy -u sealed.pub -r sealed.priv
        tpm2_load -Q -C primary.ctx -u sealed.pub -r sealed.priv -c sealed.ctx
        for i in 1 2 3 4; do
          tpm2_startauthsession --policy-session -S session$i.ctx
          tpm2_policypcr -Q -S session$i.ctx -l sha256:16
        done
        for i in 3 1 4 2; do
          tpm2_unseal -c sealed.ctx -p session:session$i.ctx
          tpm2_flushcontext session$i.ctx
        done`);
      expect(said.match(/behind a policy/g)?.length).toBe(4);
      expect(await left()).toEqual([[], [], []]);
    });

    it('serves tools at the same time, each with its own objects', async () => {
      const said = await sh(`
        work() {
          tpm2_createprimary -Q -C o -G ecc -c primary$1.ctx
          echo -n "secret $1" > secret$1
          tpm2_create -Q -C primary$1.ctx -i secret$1 -u $1.pub -r $1.priv
          tpm2_load -Q -C primary$1.ctx -u $1.pub -r $1.priv -c $1.ctx
          tpm2_unseal -c $1.ctx
          echo
        }
        workers=
        for i in 1 2 3 4 5 6 7 8; do work $i & workers="$workers $!"; done
        wait $workers`);
      const secrets = [...said.matchAll(/secret (\d)/g)].map(([, worker]) => worker).sort();
      expect(secrets).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
      expect(await left()).toEqual([[], [], []]);
    });
  },
);
