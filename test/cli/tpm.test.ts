import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import type { TpmServer } from '../../simulator/tpm/serve.ts';
import { serveTpm } from '../../simulator/tpm/serve.ts';
import { openingError } from '../../src/cli/tpm.ts';
import { fromHex, hex, utf8 } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { createMakerLine, manufacture } from '../../src/provisioning/maker.ts';
import { TPM2_HierarchyChangeAuth } from '../../src/tpm/commands.ts';
import type { Tpm, TpmObject } from '../../src/tpm/index.ts';
import {
  counterDefine,
  counterIncrement,
  createPrimary,
  flush,
  lakTemplate,
  ldevidTemplate,
  nvDefine,
  nvRead,
  nvReadPublic,
  nvUndefine,
  nvWrite,
  openTpm,
  pcrExtend,
  persist,
  persistentHandles,
  run,
  sign,
  srkTemplate,
  TPM_RH,
  TpmSilent,
  verifyAttestation,
} from '../../src/tpm/index.ts';
import { runHere } from './paper.ts';

const { clock, random } = nodePlatform({ directory: '.' });
const auth = utf8('of the owner');

let directory: string;
let chip: SoftwareTpm;
let server: TpmServer;
let tpm: Tpm;
let srk: TpmObject;

/** `fealty tpm …` on the TPM of this test. */
const fealty = (command: string, ...args: readonly string[]) =>
  runHere(`tpm ${command}`, '--tpm', server.tcti, ...args);
/** …with `--json`. */
const data = async (command: string, ...args: readonly string[]) => {
  const { code, out, err } = await fealty(command, '--json', ...args);
  if (code !== 0) throw new Error(err);
  return JSON.parse(out);
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fealty-cli-tpm-'));
  chip = await SoftwareTpm.create({ clock, random });
  server = await serveTpm(chip, { path: join(directory, 'sock') });
  tpm = await openTpm({ transport: chip, clock, random });
  const line = await createMakerLine({ clock, random }, 'Robotics Works');
  await manufacture(tpm, line, { serial: 'VEH-0042', model: 'Rescue truck 9' });
  const owner = { hierarchy: 'owner' } as const;
  const made = await createPrimary(tpm, { ...owner, template: srkTemplate });
  srk = await persist(tpm, made, persistentHandles.srk);
  await flush(tpm, made);
  const lak = await createPrimary(tpm, { ...owner, template: lakTemplate, auth, saltedTo: srk });
  await persist(tpm, lak, persistentHandles.lak);
  await flush(tpm, lak);
});

afterAll(async () => {
  await tpm.close();
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

/** Every state a command could change: NV, PCRs, persistent keys, lockout. */
const state = async () => ({
  info: { ...(await data('info')), clock: undefined },
  pcrs: await data('pcr'),
  nv: await data('nv'),
  keys: await data('keys'),
});

describe('fealty tpm info', () => {
  it('says who made the TPM, that it is software, and what is in it', async () => {
    const { code, out } = await fealty('info');
    expect(code).toBe(0);
    expect(out).toContain('TPM 2.0 by FLTY (SW), specification revision 1.64');
    expect(out).toContain('proof of nothing');
    expect(out).toContain('PCR banks: sha1, sha256, sha384, sha512');
    expect(out).toContain(
      '0x81000001 (SRK), 0x81000101 (LAK), 0x8101000a (EK), 0x81020000 (IDevID), 0x81020001 (IAK)',
    );
    expect(out).toMatch(/certificate of the IDevID: .*CN=Rescue truck 9.*valid to no end/);
    expect(await data('info')).toMatchObject({
      manufacturer: 'FLTY',
      software: true,
      lockout: { locked: false, failuresMax: 3, authSet: { owner: false } },
      certificates: [{ index: '0x01c0000a' }, { index: '0x01c90100' }, { index: '0x01c90200' }],
    });
  });
});

describe('fealty tpm keys', () => {
  it('says of each key what it is and what it may do', async () => {
    const { out } = await fealty('keys');
    const lines = out.split('\n');
    const about = (handle: string) =>
      lines
        .slice(lines.findIndex((line) => line.startsWith(handle)))
        .slice(0, 3)
        .join(' ');
    expect(about('0x81000001')).toMatch(
      /SRK: P-256 .*wraps keys.*used by its auth value; guesses are not counted/,
    );
    expect(about('0x81020001')).toMatch(
      /IAK: P-256, ecdsa sha256 .*signs only what the TPM itself says.*its policy/,
    );
    expect(about('0x81020000')).toMatch(/IDevID: .*signs anything.*wrong guesses are counted/);
    expect(about('0x8101000a')).toMatch(/EK: .*used by its policy alone/);
  });

  it('gives Names and public keys as data, and the transient key of another program too', async () => {
    const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
    const { keys } = await data('keys');
    await flush(tpm, key);
    const found = keys.find((one: { handle: string }) => one.handle === '0x80000000');
    expect(found).toMatchObject({ role: 'signing key', name: hex(key.name) });
    expect(found.attributes).toContain('fixedTPM');
    expect(found.publicKey).toContain('BEGIN PUBLIC KEY');
    const { out } = await fealty('keys', '--pem');
    expect(out.match(/BEGIN PUBLIC KEY/g)).toHaveLength(5);
  });
});

describe('fealty tpm certs', () => {
  it('shows subject, issuer, validity, policies and the key that each is for', async () => {
    const { out } = await fealty('certs');
    const [, iak = ''] = out.split('0x01c90100');
    expect(iak).toContain('subject   O=Robotics Works, CN=Rescue truck 9, serialNumber=VEH-0042');
    expect(iak).toContain('issuer    O=Robotics Works, CN=Devices');
    expect(iak).toContain('policy    the key signs only what the TPM says (2.23.133.11.1.3)');
    expect(iak).toContain('key       P-256, at 0x81020001');
    expect(out).toContain('TPM       tpmManufacturer=id:464C5459');
  });

  it('prints one of them as PEM, for other programs', async () => {
    const { out } = await fealty('certs', '--pem', '0x01c90200');
    expect(new X509Certificate(out).subject).toContain('serialNumber=VEH-0042');
    expect(out.match(/BEGIN/g)).toHaveLength(1);
    const none = await fealty('certs', '0x01c90201');
    expect(none).toMatchObject({ code: 1, out: '' });
    expect(none.err).toContain('no certificate at 0x01c90201');
  });

  it('shows each certificate of a chain in one index, and says what is no certificate', async () => {
    const index = await nvReadPublic(tpm, 0x01c90200);
    if (index === undefined) throw new Error('no index');
    const der = await nvRead(tpm, index);
    const attributes = {
      nt: 'ordinary',
      ownerread: true,
      ownerwrite: true,
      authread: true,
      noDa: true,
    } as const;
    const chain = await nvDefine(tpm, { handle: 0x01c00100, size: 2 * der.length + 4, attributes });
    await nvWrite(tpm, chain, new Uint8Array([...der, ...der, 0xff, 0xff, 0xff, 0xff]), { by: 'owner' });
    const junk = await nvDefine(tpm, { handle: 0x01c00101, size: 4, attributes });
    await nvWrite(tpm, junk, utf8('junk'), { by: 'owner' });
    const { certificates } = await data('certs', '0x01c00100', '0x01c00101');
    expect(certificates).toMatchObject([
      { index: '0x01c00100', serial: certificates[1].serial },
      { index: '0x01c00100', role: 'certificate chain of the EK' },
      { index: '0x01c00101', unreadable: expect.any(String) },
    ]);
    for (const handle of [0x01c00100, 0x01c00101]) await nvUndefine(tpm, handle);
  });
});

describe('fealty tpm nv', () => {
  it('says who may use an index, and the value of a counter', async () => {
    const counter = await counterDefine(tpm, { handle: 0x01800010 });
    await counterIncrement(tpm, await counterIncrement(tpm, counter));
    const { out } = await fealty('nv');
    expect(out).toMatch(
      /0x01800010 {2}the owner’s: counter, 2\n +read by the owner, its auth value; written by its auth value/,
    );
    expect(out).toMatch(/0x01400f02 {2}fealty: who owns the device: 40 bytes/);
    const { indices } = await data('nv');
    expect(indices).toContainEqual(
      expect.objectContaining({ handle: '0x01800010', type: 'counter', value: '2', size: 8 }),
    );
    await nvUndefine(tpm, 0x01800010);
  });

  it('tries no auth value where a wrong one would count', async () => {
    const attributes = { nt: 'counter', authread: true, authwrite: true } as const;
    const made = await nvDefine(tpm, { handle: 0x01800011, size: 8, attributes, auth, saltedTo: srk });
    await counterIncrement(tpm, made);
    const { indices } = await data('nv');
    const found = indices.find((one: { handle: string }) => one.handle === '0x01800011');
    expect(found).toMatchObject({ type: 'counter' });
    expect(found.value).toBeUndefined();
    expect(await data('clear-lockout')).toMatchObject({ failures: 0 });
    await nvUndefine(tpm, 0x01800011);
  });
});

describe('fealty tpm pcr', () => {
  it('shows the PCRs asked for, in the bank asked for', async () => {
    await pcrExtend(tpm, 16, { sha256: new Uint8Array(32).fill(1), sha384: new Uint8Array(48) });
    const { pcrs, bank } = await data('pcr', '16', '17');
    expect(bank).toBe('sha256');
    expect(pcrs).toMatchObject({ 17: 'ff'.repeat(32) });
    expect(pcrs['16']).toMatch(/^[0-9a-f]{64}$/);
    expect(pcrs['16']).not.toBe('00'.repeat(32));
    const { out } = await fealty('pcr', '7', '--bank', 'sha384');
    expect(out).toBe(`sha384  7  ${'00'.repeat(48)}  secure boot: its state and keys`);
    expect((await fealty('pcr')).out.split('\n')).toHaveLength(24);
  });

  it('is misused with a PCR or a bank that there is not', async () => {
    expect(await fealty('pcr', '24')).toMatchObject({ code: 2 });
    expect(await fealty('pcr', '0', '--bank', 'md5')).toMatchObject({ code: 2 });
  });
});

describe('fealty tpm quote', () => {
  const nonce = '00112233445566778899aabbccddeeff';

  it('is by the IAK, verifies, and is over the values that are shown', async () => {
    const { code, out } = await fealty('quote', '--nonce', nonce, '--pcrs', '12,0,12');
    expect(code).toBe(0);
    expect(out).toContain('Quoted by 0x81020001 (IAK: P-256, ecdsa sha256)');
    expect(out).toContain(`nonce      ${nonce}`);
    expect(out).toContain('PCRs       sha256: 0, 12');
    expect(out).toContain('verified   the signature, the nonce, the values and the kind of key');
    expect(await data('quote')).toMatchObject({ safe: true, role: 'IAK' });
  });

  it('writes what another verifier needs', async () => {
    const folder = join(directory, 'proof');
    await fealty('quote', '--nonce', nonce, '--pcrs', '0', '--out', folder);
    const [attest, signature] = await Promise.all(
      ['quote.attest', 'quote.signature'].map(
        async (name) => new Uint8Array(await readFile(join(folder, name))),
      ),
    );
    const { readPublic } = await import('../../src/tpm/index.ts');
    const key = readPublic(new Uint8Array(await readFile(join(folder, 'key.public'))));
    if (attest === undefined || signature === undefined) throw new Error('nothing written');
    const said = verifyAttestation({
      key,
      attest,
      signature,
      type: 'attestQuote',
      qualifyingData: fromHex(nonce),
    });
    expect(said.attested.pcrSelect).toEqual([{ hash: 'sha256', pcrSelect: [0] }]);
    expect(await readFile(join(folder, 'key.pem'), 'utf8')).toContain('BEGIN PUBLIC KEY');
  });

  it('is by a key with an auth value when a file has it', async () => {
    const file = join(directory, 'auth');
    await writeFile(file, 'of the owner\n');
    const { role } = await data('quote', '--key', '0x81000101', '--auth-file', file);
    expect(role).toBe('LAK');
    const without = await fealty('quote', '--key', '81000101');
    expect(without).toMatchObject({ code: 1 });
    expect(without.err).toContain('the key at 0x81000101 has an auth value: give it with --auth-file');
    await writeFile(file, 'guess');
    const wrong = await fealty('quote', '--key', '0x81000101', '--auth-file', file);
    expect(wrong.err).toContain('has another auth value');
  });

  it('says that there is no IAK, or that a key is none that attests', async () => {
    const bare = await SoftwareTpm.create({ clock, random });
    await using other = await serveTpm(bare, { path: join(directory, 'bare') });
    const none = await runHere('tpm quote', '--tpm', other.tcti);
    expect(none).toMatchObject({ code: 1, out: '' });
    expect(none.err).toContain('no IAK at 0x81020001');
    const wrong = await fealty('quote', '--key', '0x81020000');
    expect(wrong).toMatchObject({ code: 1, out: '' });
    expect(wrong.err).toContain('no attestation key (IDevID)');
    for (const args of [
      ['--nonce', 'xyz'],
      ['--pcrs', '0,'],
      ['--key', '12'],
    ])
      expect(await fealty('quote', ...args)).toMatchObject({ code: 2 });
  });
});

describe('fealty tpm clear-lockout', () => {
  const lockoutAuth = utf8('of lockout');
  let key: TpmObject;

  beforeEach(async () => {
    // guarded: without noDA
    const objectAttributes = { ...ldevidTemplate.objectAttributes, noDA: false };
    const template = { ...ldevidTemplate, objectAttributes };
    key = await createPrimary(tpm, { hierarchy: 'owner', template, auth, saltedTo: srk });
  });

  /** One wrong try, which the TPM counts. */
  const guess = () =>
    expect(
      sign(tpm, { ...key, auth: utf8('guess') }, utf8('x'), { scheme: 'ecdsa', hashAlg: 'sha256' }),
    ).rejects.toMatchObject({ code: 'tpm.refused' });

  it('shows how it stands and changes nothing; with --yes it forgives', async () => {
    for (let tries = 0; tries < 3; tries++) await guess();
    const { code, out } = await fealty('clear-lockout');
    expect(code).toBe(0);
    expect(out).toContain('Locked: 3 wrong auth values of 3');
    expect(out).toContain('--yes` forgives them now');
    expect((await fealty('info')).out).toContain('Locked against guessing');
    expect(await data('clear-lockout')).toMatchObject({ locked: true, failures: 3, cleared: false });
    const cleared = await fealty('clear-lockout', '--yes');
    expect(cleared.out).toMatch(/^Forgiven: 3 wrong auth values\.\nNot locked: 0/);
    await flush(tpm, key);
  });

  it('does not try an empty auth value where one is set, and says what a wrong one did', async () => {
    const set = { authHandle: TPM_RH.lockout, newAuth: lockoutAuth };
    await run(tpm, TPM2_HierarchyChangeAuth, set);
    await guess();
    const without = await fealty('clear-lockout', '--yes');
    expect(without).toMatchObject({ code: 1 });
    expect(without.err).toContain('give it with --auth-file');
    const file = join(directory, 'lockout-auth');
    await writeFile(file, lockoutAuth);
    // it would be closed, had the empty one been tried
    expect(await data('clear-lockout', '--yes', '--auth-file', file)).toMatchObject({
      failures: 0,
      failuresBefore: 1,
    });
    await writeFile(file, 'guess');
    const wrong = await fealty('clear-lockout', '--yes', '--auth-file', file);
    expect(wrong.err).toContain('not the lockout auth value; it is closed for 17 min');
    await writeFile(file, 'x'.repeat(65));
    expect((await fealty('clear-lockout', '--auth-file', file)).err).toContain('longer than an auth value');
    await flush(tpm, key);
  });
});

describe('a command that only reads', () => {
  it.each(['info', 'keys', 'certs', 'nv', 'pcr', 'quote', 'clear-lockout'])(
    'leaves the TPM as it was: %s',
    async (command) => {
      const before = await state();
      expect((await fealty(command)).code).toBe(0);
      expect(await state()).toEqual(before);
    },
  );
});

describe('a TPM that is not there', () => {
  it.each([
    ['device:/nowhere/tpmrm0', /there is no TPM at `device:\/nowhere\/tpmrm0`/],
    ['swtpm:path=/nowhere/sock', /there is no TPM at/],
    ['swtpm:host=127.0.0.1,port=1', /nobody listens at/],
  ])('is said in plain words: %s', async (spec, says) => {
    const { code, out, err } = await runHere('tpm info', '--tpm', spec);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(says);
    expect(err).toContain('[cli.no-tpm]');
  });

  it('or that is not for this user, or not free', () => {
    const failing = (code: string) =>
      openingError(
        'device:/dev/tpm0',
        new TpmSilent('silent', { cause: Object.assign(new Error(), { code }) }),
      );
    expect(failing('EACCES')).toMatchObject({
      code: 'cli.no-tpm',
      message: expect.stringContaining('group tss'),
    });
    expect(failing('EBUSY')).toMatchObject({
      message: expect.stringContaining('another program holds the TPM'),
    });
    const other = new TpmSilent('silent');
    expect(openingError('device:/dev/tpm0', other)).toBe(other);
  });

  it('has a name that means something', async () => {
    expect(await runHere('tpm info', '--tpm', 'tis:0')).toMatchObject({ code: 2 });
  });
});
