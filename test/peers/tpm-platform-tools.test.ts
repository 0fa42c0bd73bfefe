import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import type { TpmServer } from '../../simulator/tpm/serve.ts';
import { serveTpm } from '../../simulator/tpm/serve.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { present } from './present.ts';

const run = promisify(execFile);

describe.skipIf(!present('tpm2_nvdefine', 'tpm2_pcrallocate', 'tpm2_dictionarylockout', 'xxd'))(
  'tpm2-tools for the platform against the software TPM',
  { timeout: 60_000 },
  () => {
    let directory: string;
    let chip: SoftwareTpm;
    let server: TpmServer;

    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'fealty-tpm-platform-'));
      chip = await SoftwareTpm.create(nodePlatform({ directory }));
      server = await serveTpm(chip, { port: 0 });
    });
    afterEach(async () => {
      await server.close();
      await chip.close();
      await rm(directory, { recursive: true, force: true });
    });

    /** Runs shell commands; stdout. Rejects with the tools' stderr. */
    async function sh(script: string): Promise<string> {
      const { stdout } = await run('bash', ['-e', '-o', 'pipefail', '-c', script], {
        cwd: directory,
        env: { ...process.env, TPM2TOOLS_TCTI: server.tcti, TSS2_LOG: 'all+ERROR' },
        timeout: 30_000,
      });
      return stdout.trim();
    }

    it('extend an index as one would by hand', async () => {
      const byHand = '(head -c 32 /dev/zero; printf abc) | sha256sum | cut -d" " -f1';
      const shown = await sh(`tpm2_nvdefine -a 'nt=extend|ownerread|ownerwrite' -s 32 0x1500001
        printf abc | tpm2_nvextend -C o -i - 0x1500001
        tpm2_nvread -C o 0x1500001 | xxd -p -c 64
        ${byHand}`);
      const [read, expected] = shown.split('\n').slice(-2);
      expect(read).toBe(expected);
    });

    it('set bits, count and read what they did', async () => {
      const shown = await sh(`tpm2_nvdefine -a 'nt=bits|ownerread|ownerwrite' 0x1500001 >/dev/null
        tpm2_nvsetbits -C o -i 0x8001 0x1500001
        tpm2_nvsetbits -C o -i 0x10 0x1500001
        tpm2_nvread -C o 0x1500001 | xxd -p
        tpm2_nvdefine -a 'nt=counter|ownerread|ownerwrite|orderly' 0x1500002 >/dev/null
        tpm2_nvincrement -C o 0x1500002
        tpm2_nvincrement -C o 0x1500002
        tpm2_nvread -C o 0x1500002 | xxd -p`);
      expect(shown.split('\n')).toEqual(['0000000000008011', '0000000000000002']);
    });

    it('switch a bank of PCRs off for the next start', async () => {
      const banks = () => sh('tpm2_getcap pcrs | grep sha1');
      expect(await banks()).toContain('0, 1, 2');
      await sh('tpm2_pcrallocate -P "" sha1:none+sha256:all');
      expect(await banks()).toContain('0, 1, 2');
      await sh('tpm2_shutdown -c');
      await chip.powerCycle();
      await sh('tpm2_startup -c');
      expect(await banks()).toMatch(/sha1: \[ \]/);
      expect(await sh('tpm2_pcrread sha1:0+sha256:0')).toMatch(/^sha1:\s+sha256:\s+0 : 0x0{64}$/);
    });

    it('set parameters of the lockout, run into it, and out of it', async () => {
      const shown = await sh(`tpm2_dictionarylockout -s -n 2 -t 7200 -l 86400
        tpm2_getcap properties-variable | grep -A4 LOCKOUT_COUNTER
        tpm2_nvdefine -p key -a 'authread|authwrite' -s 1 0x1500001 >/dev/null
        for i in 1 2 3; do tpm2_nvread -P no 0x1500001 2>&1 | grep -o 'authorization failure\\|lockout mode' | head -1; done || true
        tpm2_getcap properties-variable | grep 'inLockout'
        tpm2_dictionarylockout -c
        tpm2_getcap properties-variable | grep 'inLockout'`);
      expect(shown).toContain('TPM2_PT_MAX_AUTH_FAIL: 0x2');
      expect(shown).toContain('TPM2_PT_LOCKOUT_INTERVAL: 0x1C20');
      expect(shown).toContain('TPM2_PT_LOCKOUT_RECOVERY: 0x15180');
      expect(shown.match(/inLockout: +\d/g)?.map((one) => one.at(-1))).toEqual(['1', '0']);
    });

    it('put the clock forward and change its rate', async () => {
      const shown = await sh(`tpm2_setclock 100000000
        tpm2_clockrateadjust ss
        tpm2_readclock`);
      const [, clock = '0'] = /clock: (\d+)/.exec(shown) ?? [];
      expect(Number(clock)).toBeGreaterThanOrEqual(100_000_000);
      await expect(sh('tpm2_setclock 5')).rejects.toThrow(/0x1C4/i);
    });

    it('switch hierarchies off and on, and see it', async () => {
      const shown = await sh(`tpm2_hierarchycontrol -C p shEnable clear
        tpm2_getcap properties-variable | grep -A6 STARTUP_CLEAR
        tpm2_hierarchycontrol -C p shEnable set
        tpm2_createprimary -C o -c key.ctx >/dev/null && echo created`);
      expect(shown).toMatch(/shEnable: +0/);
      expect(shown).toMatch(/ehEnable: +1/);
      expect(shown).toContain('created');
    });

    it('make the platform policy of a hierarchy and see it', async () => {
      const shown = await sh(`tpm2_startauthsession -S session.ctx
        tpm2_policycommandcode -S session.ctx -L policy.dat TPM2_CC_CreatePrimary >/dev/null
        tpm2_flushcontext session.ctx
        tpm2_setprimarypolicy -C o -L policy.dat -g sha256
        tpm2_startauthsession --policy-session -S session.ctx
        tpm2_policycommandcode -S session.ctx TPM2_CC_CreatePrimary >/dev/null
        tpm2_createprimary -C o -P session:session.ctx -c key.ctx >/dev/null && echo created
        tpm2_flushcontext session.ctx`);
      expect(shown).toContain('created');
    });

    it('make another endorsement seed, and clear the TPM', async () => {
      const shown = await sh(`tpm2_createprimary -C e -G ecc -c a.ctx | grep 'x:'; tpm2_flushcontext -t
        tpm2_changeeps
        tpm2_createprimary -C e -G ecc -c b.ctx | grep 'x:'; tpm2_flushcontext -t
        tpm2_clear
        tpm2_createprimary -C e -G ecc -c c.ctx | grep 'x:'`);
      const [first, second, third] = shown.split('\n').map((line) => line.trim());
      expect(second).not.toBe(first);
      expect(third).toBe(second);
    });
  },
);
