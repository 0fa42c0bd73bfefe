import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
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

/** A folder, a software TPM served in this process, and a shell that points tpm2-tools at it. */
interface Bench {
  readonly directory: string;
  readonly chip: SoftwareTpm;
  readonly server: TpmServer;
  /** Runs shell commands in the folder; stdout. Rejects with the tools' stderr. */
  sh(script: string): Promise<string>;
}

async function bench(): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'fealty-tpm-tools-'));
  const { clock, random } = nodePlatform({ directory });
  const chip = await SoftwareTpm.create({ clock, random });
  const server = await serveTpm(chip, { port: 0 });
  const sh = async (script: string) => {
    const { stdout } = await run('bash', ['-e', '-o', 'pipefail', '-c', script], {
      cwd: directory,
      env: { ...process.env, TPM2TOOLS_TCTI: server.tcti, TSS2_LOG: 'all+ERROR' },
      timeout: 30_000,
    });
    return stdout;
  };
  return { directory, chip, server, sh };
}

describe.skipIf(!present('tpm2_getrandom', 'openssl'))(
  'tpm2-tools against the software TPM',
  { timeout: 60_000 },
  () => {
    let tpm: Bench;
    const sh = (script: string) => tpm.sh(script);
    const file = async (name: string) => readFile(join(tpm.directory, name));

    beforeEach(async () => {
      tpm = await bench();
    });
    afterEach(async () => {
      await tpm.server.close();
      await rm(tpm.directory, { recursive: true, force: true });
    });

    /** An EK at 0x81010002 and a restricted signing key `ak` below it. */
    const endorsed = `tpm2_createek -G ecc -c 0x81010002 -u ek.pub
    tpm2_flushcontext -t
    tpm2_createak -C 0x81010002 -G ecc -g sha256 -s ecdsa -c ak.ctx -u ak.pub -n ak.name
    tpm2_flushcontext -t`;

    it('tpm2_getrandom gives as many bytes as asked for, not the same twice', async () => {
      const first = await sh('tpm2_getrandom --hex 32');
      expect(first).toMatch(/^[0-9a-f]{64}$/);
      expect(await sh('tpm2_getrandom --hex 32')).not.toBe(first);
    });

    it('tpm2_createprimary, create, load and sign make a signature openssl verifies', async () => {
      const verdict = await sh(`
      tpm2_createprimary -C o -g sha256 -G ecc -c primary.ctx
      tpm2_create -C primary.ctx -G ecc:ecdsa-sha256 -u key.pub -r key.priv ; tpm2_flushcontext -t
      tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx ; tpm2_flushcontext -t
      tpm2_readpublic -c key.ctx -f pem -o key.pem
      tpm2_flushcontext -t
      echo -n 'a message' > msg
      tpm2_sign -c key.ctx -g sha256 -f plain -o sig msg
      tpm2_flushcontext -t
      tpm2_verifysignature -c key.ctx -g sha256 -m msg -f ecdsa -s sig
      openssl dgst -sha256 -verify key.pem -signature sig msg`);
      expect(verdict).toContain('Verified OK');
    });

    it.each(['rsassa', 'rsapss'])('an RSA primary and a child sign with %s', async (scheme) => {
      const options = scheme === 'rsapss' ? '-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:auto' : '';
      const verdict = await sh(`
      tpm2_createprimary -C o -c primary.ctx
      tpm2_create -C primary.ctx -G rsa2048:${scheme}-sha256:null -u key.pub -r key.priv ; tpm2_flushcontext -t
      tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx ; tpm2_flushcontext -t
      tpm2_readpublic -c key.ctx -f pem -o key.pem ; tpm2_flushcontext -t
      echo -n 'a message' > msg
      tpm2_sign -c key.ctx -g sha256 -s ${scheme} -f plain -o sig msg
      openssl dgst -sha256 -verify key.pem ${options} -signature sig msg`);
      expect(verdict).toContain('Verified OK');
    });

    it('tpm2_quote and tpm2_checkquote agree, before and after an extend', async () => {
      await sh(`${endorsed}
      tpm2_readpublic -c ak.ctx -f pem -o ak.pem ; tpm2_flushcontext -t
      tpm2_pcrextend 16:sha256=$(printf 'event' | sha256sum | cut -d' ' -f1)
      tpm2_quote -c ak.ctx -l sha256:0,1,16 -q abcd1234 -m q.msg -s q.sig -o q.pcr -g sha256
      tpm2_checkquote -u ak.pem -m q.msg -s q.sig -f q.pcr -g sha256 -q abcd1234`);
      await expect(
        sh('tpm2_checkquote -u ak.pem -m q.msg -s q.sig -f q.pcr -g sha256 -q abcd1235'),
      ).rejects.toThrow();
    });

    it.each(['ecc', 'rsa'])('a credential made for an %s EK is activated inside', async (kind) => {
      const handle = '0x81010002';
      const out = await sh(`
      tpm2_createek -G ${kind} -c ${handle} -u ek.pub ; tpm2_flushcontext -t
      tpm2_createak -C ${handle} -G ecc -g sha256 -s ecdsa -c ak.ctx -u ak.pub -n ak.name ; tpm2_flushcontext -t
      echo -n 0123456789abcdef0123456789abcdef > secret
      tpm2_makecredential -T none -u ek.pub -s secret -n $(xxd -p -c 200 ak.name) -o cred
      tpm2_startauthsession --policy-session -S s.ctx
      tpm2_policysecret -S s.ctx -c e
      tpm2_activatecredential -c ak.ctx -C ${handle} -i cred -o secret.out -P "session:s.ctx"
      tpm2_flushcontext s.ctx
      cat secret.out`);
      expect(out).toContain('0123456789abcdef0123456789abcdef');
    });

    it('makes credentials itself, and refuses one made for another Name', async () => {
      await sh(`${endorsed}
      echo -n 0123456789abcdef0123456789abcdef > secret
      tpm2_makecredential -u ek.pub -s secret -n $(xxd -p -c 200 ak.name) -o cred ; tpm2_flushcontext -t
      tpm2_makecredential -u ek.pub -s secret -n 000b$(printf x | sha256sum | cut -d' ' -f1) -o bad ; tpm2_flushcontext -t`);
      const activate = (cred: string) =>
        sh(`tpm2_startauthsession --policy-session -S s.ctx
      tpm2_policysecret -S s.ctx -c e > policy
      tpm2_activatecredential -c ak.ctx -C 0x81010002 -i ${cred} -o secret.out -P "session:s.ctx" > certinfo`);
      await activate('cred');
      expect((await file('secret.out')).toString()).toBe('0123456789abcdef0123456789abcdef');
      await sh('tpm2_flushcontext -t ; tpm2_flushcontext -l');
      await expect(activate('bad')).rejects.toThrow(/integrity/i);
    });

    it('NV indices are defined, written, read, counted and removed', async () => {
      const out = await sh(`
      tpm2_nvdefine 0x01500001 -C o -s 32 -a "ownerread|ownerwrite|authread|authwrite"
      echo -n nvdata | tpm2_nvwrite 0x01500001 -C o -i -
      tpm2_nvread 0x01500001 -C o -s 6`);
      expect(out).toContain('nvdata');
      expect(await sh('tpm2_nvreadpublic 0x01500001')).toMatch(
        /friendly: ownerwrite\|authwrite\|ownerread\|authread/,
      );
      const counter = await sh(`
      tpm2_nvdefine 0x01500002 -C o -a "ownerread|ownerwrite|authread|authwrite|nt=counter" > defined
      tpm2_nvincrement 0x01500002 -C o ; tpm2_nvincrement 0x01500002 -C o
      tpm2_nvread 0x01500002 -C o | xxd -p`);
      expect(counter.trim()).toBe('0000000000000002');
      await sh('tpm2_nvundefine 0x01500001 -C o');
      await expect(sh('tpm2_nvread 0x01500001 -C o -s 6')).rejects.toThrow(/0x18b|handle/i);
    });

    it('an NV password is needed, and enough', async () => {
      const out = await sh(`
      tpm2_nvdefine 0x01500003 -C o -s 8 -p secret -a "authread|authwrite" > defined
      echo -n 12345678 | tpm2_nvwrite 0x01500003 -P secret -i -
      tpm2_nvread 0x01500003 -P secret`);
      expect(out).toContain('12345678');
      await expect(sh('tpm2_nvread 0x01500003 -P wrong')).rejects.toThrow(/0x98e/i);
      await expect(sh('tpm2_nvread 0x01500003 -C o')).rejects.toThrow(/0x149/i);
    });

    it('tpm2_certify by an attestation key, and its signature verifies', async () => {
      const verdict = await sh(`${endorsed}
      tpm2_createprimary -C o -g sha256 -G ecc -c primary.ctx ; tpm2_flushcontext -t
      tpm2_readpublic -c ak.ctx -f pem -o ak.pem ; tpm2_flushcontext -t
      tpm2_certify -c primary.ctx -C ak.ctx -g sha256 -f plain -o cert.att -s cert.sig
      openssl dgst -sha256 -verify ak.pem -signature cert.sig cert.att`);
      expect(verdict).toContain('Verified OK');
      const attest = await file('cert.att');
      expect(attest.subarray(0, 6).toString('hex')).toBe('ff5443478017');
    });

    it('seals a secret under a parent, and gives it back to who knows the password', async () => {
      await writeFile(join(tpm.directory, 'data'), 'sealed words');
      const out = await sh(`
      tpm2_createprimary -C o -G ecc -c primary.ctx > primary ; tpm2_flushcontext -t
      tpm2_create -C primary.ctx -i data -p word -u seal.pub -r seal.priv > seal ; tpm2_flushcontext -t
      tpm2_load -C primary.ctx -u seal.pub -r seal.priv -c seal.ctx > loaded ; tpm2_flushcontext -t
      tpm2_unseal -c seal.ctx -p word`);
      expect(out).toBe('sealed words');
      await sh('tpm2_flushcontext -t');
      await expect(sh('tpm2_unseal -c seal.ctx -p other')).rejects.toThrow(/0x98e/i);
    });

    it('seals a secret to PCR values, and keeps it when they change', async () => {
      await writeFile(join(tpm.directory, 'data'), 'boot secret');
      const unseal = `
      tpm2_startauthsession --policy-session -S s.ctx ; tpm2_policypcr -S s.ctx -l sha256:16 > policy
      tpm2_unseal -c seal.ctx -p session:s.ctx`;
      const out = await sh(`
      tpm2_startauthsession -S trial.ctx
      tpm2_policypcr -S trial.ctx -l sha256:16 -L pcr.policy > policy ; tpm2_flushcontext trial.ctx
      tpm2_createprimary -C o -G ecc -c primary.ctx > primary ; tpm2_flushcontext -t
      tpm2_create -C primary.ctx -i data -L pcr.policy -u seal.pub -r seal.priv > seal ; tpm2_flushcontext -t
      tpm2_load -C primary.ctx -u seal.pub -r seal.priv -c seal.ctx > loaded ; tpm2_flushcontext -t
      ${unseal}
      tpm2_flushcontext s.ctx ; tpm2_flushcontext -t`);
      expect(out).toBe('boot secret');
      await sh('tpm2_pcrextend 16:sha256=$(printf x | sha256sum | cut -d" " -f1)');
      await expect(sh(unseal)).rejects.toThrow(/0x99d/i);
    });

    it('sessions salted by a key and with encrypted parameters work', async () => {
      const out = await sh(`
      tpm2_createprimary -C o -G ecc -c ecc.ctx > primary ; tpm2_flushcontext -t
      tpm2_createprimary -C o -G rsa -c rsa.ctx > primary ; tpm2_flushcontext -t
      for key in ecc rsa; do
        tpm2_startauthsession --hmac-session -c $key.ctx -S s.ctx ; tpm2_flushcontext -t
        tpm2_sessionconfig s.ctx --enable-decrypt --enable-encrypt
        tpm2_getrandom -S s.ctx --hex 8
        tpm2_flushcontext s.ctx
      done`);
      expect(out).toMatch(/^[0-9a-f]{32}$/);
    });

    it('PCRs are read, extended and reset', async () => {
      expect(await sh('tpm2_pcrread sha256:0,23')).toMatch(/23: 0x0{64}/);
      await sh(`tpm2_pcrextend 23:sha256=${'11'.repeat(32)}`);
      expect(await sh('tpm2_pcrread sha256:23')).not.toMatch(/23: 0x0{64}/);
      await sh('tpm2_pcrreset 23');
      expect(await sh('tpm2_pcrread sha256:23')).toMatch(/23: 0x0{64}/);
      await expect(sh('tpm2_pcrreset 0')).rejects.toThrow(/0x907|locality/i);
      expect(await sh('tpm2_pcrread')).toContain('sha512');
    });

    it('a key is made persistent, used from there and evicted', async () => {
      await sh(`
      tpm2_createprimary -C o -g sha256 -G ecc -c primary.ctx
      tpm2_evictcontrol -C o -c primary.ctx 0x81000005 ; tpm2_flushcontext -t
      tpm2_create -C 0x81000005 -G ecc -u key.pub -r key.priv`);
      expect(await sh('tpm2_getcap handles-persistent')).toContain('0x81000005');
      await sh('tpm2_evictcontrol -C o -c 0x81000005');
      expect(await sh('tpm2_getcap handles-persistent')).not.toContain('0x81000005');
      await expect(sh('tpm2_readpublic -c 0x81000005')).rejects.toThrow(/0x18b/i);
    });

    it('tpm2_clear makes other owner keys, and is refused once switched off', async () => {
      const name = async () =>
        sh(
          'tpm2_createprimary -C o -G ecc -c p.ctx > out ; tpm2_readpublic -c p.ctx -n p.name > out ; xxd -p -c 64 p.name ; tpm2_flushcontext -t',
        );
      const before = await name();
      expect(await name()).toBe(before);
      await sh('tpm2_clear -c p');
      expect(await name()).not.toBe(before);
      await sh('tpm2_clearcontrol -C l s');
      await expect(sh('tpm2_clear')).rejects.toThrow(/0x120/i);
    });

    it('tpm2_changeauth sets an owner password that is then asked for', async () => {
      await sh('tpm2_changeauth -c o secret');
      await expect(sh('tpm2_createprimary -C o -G ecc -c p.ctx')).rejects.toThrow(/0x9a2/i);
      await sh('tpm2_createprimary -C o -P secret -G ecc -c p.ctx');
    });

    it.each([
      ['algorithms', 'sha256'],
      ['commands', 'TPM2_CC_Quote'],
      ['pcrs', 'sha256'],
      ['properties-fixed', 'FLTY'],
      ['properties-variable', 'TPM2_PT_PERMANENT'],
      ['ecc-curves', 'TPM2_ECC_NIST_P256'],
      ['handles-permanent', '0x40000001'],
      ['handles-pcr', '0x17'],
      ['handles-nv-index', ''],
      ['handles-transient', ''],
      ['handles-loaded-session', ''],
      ['handles-saved-session', ''],
    ])('tpm2_getcap %s', async (capability, expected) => {
      expect(await sh(`tpm2_getcap ${capability}`)).toContain(expected);
    });

    it('reports its clock, takes a self test and a shutdown', async () => {
      expect(await sh('tpm2_readclock')).toContain('reset_count');
      await sh('tpm2_selftest ; tpm2_selftest --fulltest ; tpm2_gettestresult ; tpm2_stirrandom <<< stir');
      await sh('tpm2_shutdown ; tpm2_startup -c');
    });

    it('refuses what it does not have with a response code, and goes on', async () => {
      // TPM2_CertifyX509, for which there is no tool.
      const send = `printf '80010000000a00000197' | xxd -r -p | tpm2_send | xxd -p`;
      expect((await sh(send)).trim()).toBe('80010000000a00000143');
      expect(await sh('tpm2_getrandom --hex 4')).toMatch(/^[0-9a-f]{8}$/);
    });
  },
);
