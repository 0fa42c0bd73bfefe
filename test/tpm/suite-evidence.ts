import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { u32 } from '../../src/core/bytes.ts';
import { TPM2_GetTime, TPM2_NV_Certify } from '../../src/tpm/commands.ts';
import type { DeviceKeyKind, TPMA_NV, TPMT_PUBLIC } from '../../src/tpm/index.ts';
import {
  activateCredential,
  certificateIndices,
  certifyChecked,
  counterDefine,
  counterIncrement,
  counterReadCertified,
  createPrimary,
  deviceKeyTemplate,
  deviceKeyTemplates,
  ekHighTemplate,
  flush,
  iakTemplate,
  idevidTemplate,
  keyObjectOfPublic,
  listHandles,
  loadDeviceKey,
  makeCredential,
  nvDefine,
  nvWrite,
  Policy,
  pcrExtend,
  pcrRead,
  persist,
  quotePcrs,
  readClock,
  srkLowTemplate,
  srkRsaTemplate,
  srkTemplate,
  TPM_RH,
  timeAttested,
  verifyCertified,
  verifyNvCertified,
  verifyQuote,
} from '../../src/tpm/index.ts';
import { digestSize } from '../../src/tpm/kdf.ts';
import { POLICY_EK_HIGH } from '../../src/tpm/storage-templates.ts';
import { present } from '../peers/present.ts';
import type { Stage } from './stage.ts';
import { lacks, makeEk } from './stage.ts';

/** Evidence with everything it must say checked; keys by template, and by certificate. */
export function evidenceStories(stage: () => Stage): void {
  describe('a quote that is checked', () => {
    const pcrs = [
      { hash: 'sha1', pcrSelect: [4] },
      { hash: 'sha256', pcrSelect: [16, 0, 7] },
    ] as const;

    it('names the PCRs asked for, and their values', async () => {
      const { tpm } = stage();
      const signer = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      await pcrExtend(tpm, 16, { sha256: tpm.random.bytes(32) });
      const qualifyingData = tpm.random.bytes(32);
      const { values, ...quoted } = await quotePcrs(tpm, signer, { qualifyingData, pcrs });
      expect(values).toHaveLength(4);
      const expected = { key: signer.public, ...quoted, qualifyingData, pcrs, values };
      expect(verifyQuote(expected).attested.pcrDigest).toHaveLength(32);
      const refused = (change: object) => {
        try {
          verifyQuote({ ...expected, ...change });
        } catch (error) {
          return (error as { readonly check?: string; readonly code: string }).check;
        }
        return 'accepted';
      };
      expect(refused({ pcrs: [pcrs[1]] })).toBe('pcr-selection');
      expect(refused({ pcrs: [pcrs[0], { hash: 'sha256', pcrSelect: [0, 7] }] })).toBe('pcr-selection');
      expect(refused({ values: [...values].reverse() })).toBe('pcr-digest');
      expect(refused({ values: values.slice(1) })).toBe('pcr-digest');
      expect(refused({ qualifyingData: tpm.random.bytes(32) })).toBe('qualifying-data');
    });

    it('is taken again when a PCR changes between reading and quoting', async () => {
      const { tpm } = stage();
      const signer = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const qualifyingData = tpm.random.bytes(32);
      const selection = [{ hash: 'sha256', pcrSelect: [16] }] as const;
      const reading = quotePcrs(tpm, signer, { qualifyingData, pcrs: selection });
      await pcrExtend(tpm, 16, { sha256: tpm.random.bytes(32) }); // in the queue between the two
      const { values, ...quoted } = await reading;
      expect(values).toEqual(await pcrRead(tpm, [16]));
      verifyQuote({ key: signer.public, ...quoted, qualifyingData, pcrs: selection, values });
    });
  });

  describe('a certification, a time, a counter', () => {
    it('are checked before they are handed out', async ({ skip }) => {
      const { tpm } = stage();
      skip(await lacks(tpm, TPM2_NV_Certify, TPM2_GetTime), 'no TPM2_GetTime');
      const signer = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const object = await createPrimary(tpm, { hierarchy: 'endorsement', template: idevidTemplate() });
      const qualifyingData = tpm.random.bytes(32);
      const key = signer.public;
      const certified = await certifyChecked(tpm, { object, signer, qualifyingData });
      expect(() => verifyCertified({ key, ...certified, qualifyingData, object: key })).toThrow(
        expect.objectContaining({ check: 'name' }),
      );
      const before = await readClock(tpm);
      const { time } = await timeAttested(tpm, signer, { qualifyingData });
      expect(time.clockInfo.clock).toBeGreaterThanOrEqual(before.clockInfo.clock);
      expect(time.clockInfo.resetCount).toBe(before.clockInfo.resetCount);

      const defined = await counterDefine(tpm, { handle: 0x01800050 });
      const counter = await counterIncrement(tpm, defined);
      const first = await counterReadCertified(tpm, counter, { signer, qualifyingData });
      await counterIncrement(tpm, counter);
      const second = await counterReadCertified(tpm, counter, { signer, qualifyingData });
      expect(second.value).toBe(first.value + 1n);
      const evidence = { key, ...second, qualifyingData };
      expect(() => verifyNvCertified({ ...evidence, index: defined.name })).toThrow(
        expect.objectContaining({ check: 'nv-index' }),
      );
      expect(() => verifyNvCertified({ ...evidence, index: counter.name, offset: 1 })).toThrow(
        expect.objectContaining({ check: 'nv-offset' }),
      );
    });
  });

  describe('the templates', () => {
    it('of device keys are H-1 to H-4, each ECC one in three variants', () => {
      for (const kind of ['idevid', 'iak'] as const) {
        const all = deviceKeyTemplates(kind);
        expect(all.map(({ name, variant }) => `${name} ${variant ?? '-'}`)).toEqual([
          ...['H-2', 'H-3', 'H-4'].flatMap((name) =>
            ['y-empty', 'y-equals-x', 'halves'].map((variant) => `${name} ${variant}`),
          ),
          'H-1 -',
        ]);
        expect(all[0]?.public).toEqual(kind === 'iak' ? iakTemplate() : idevidTemplate());
      }
    });

    it.for(['H-3', 'H-4'] as const)('%s of device keys give keys that certify', async (name, { skip }) => {
      const { tpm } = stage();
      const signer = await createPrimary(tpm, {
        hierarchy: 'endorsement',
        template: deviceKeyTemplate('iak', name),
      }).catch((error: unknown) => {
        expect(error).toMatchObject({ reason: 'CURVE' });
        return undefined;
      });
      if (signer === undefined) return skip('no such curve');
      const template = deviceKeyTemplate('idevid', name, 'halves');
      const object = await createPrimary(tpm, { hierarchy: 'endorsement', template });
      await certifyChecked(tpm, { object, signer, qualifyingData: tpm.random.bytes(32) });
    });

    it.for(['H-1', 'H-2', 'H-3', 'H-4'] as const)(
      '%s of endorsement keys activate credentials, the secret hidden',
      { timeout: 60_000 },
      async (name, { skip }) => {
        const { tpm } = stage();
        const ek = await createPrimary(tpm, {
          hierarchy: 'endorsement',
          template: ekHighTemplate(name),
        }).catch((error: unknown) => {
          expect(error).toMatchObject({ reason: expect.stringMatching(/^(CURVE|SYMMETRIC|VALUE)$/) });
          return undefined;
        });
        if (ek === undefined) return skip('no such curve');
        const ak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
        const secret = tpm.random.bytes(32);
        const challenge = makeCredential({ ek: ek.public, name: ak.name, secret, random: tpm.random });
        expect(await activateCredential(tpm, { ak, ek, challenge })).toEqual(secret);
        expect(stage().wire.answers.some((one) => Buffer.from(one).includes(Buffer.from(secret)))).toBe(
          false,
        );
      },
    );

    it('of endorsement keys have PolicyB, computed from first principles', () => {
      // 0x220F1008, written
      const written: TPMA_NV = {
        nt: 'ordinary',
        policywrite: true,
        writeall: true,
        ppread: true,
        ownerread: true,
        authread: true,
        policyread: true,
        noDa: true,
        written: true,
      };
      for (const [hash, nvIndex] of [
        ['sha256', 0x01c07f01],
        ['sha384', 0x01c07f02],
        ['sha512', 0x01c07f03],
      ] as const) {
        const a = Policy.start(hash).secret(u32(TPM_RH.endorsement)).digest;
        const index = {
          nvIndex,
          nameAlg: hash,
          attributes: written,
          authPolicy: a,
          dataSize: 2 + digestSize(hash),
        };
        const c = Policy.start(hash).authorizeNv(index).digest;
        expect(Buffer.from(Policy.start(hash).or([a, c]).digest).toString('hex')).toBe(POLICY_EK_HIGH[hash]);
      }
    });

    it('of storage keys give four that differ', { timeout: 60_000 }, async () => {
      const { tpm } = stage();
      const names = new Set<string>();
      for (const template of [srkTemplate, srkLowTemplate('ecc'), srkRsaTemplate(), srkLowTemplate('rsa')]) {
        const srk = await createPrimary(tpm, { hierarchy: 'owner', template });
        names.add(Buffer.from(srk.name).toString('hex'));
        await flush(tpm, srk);
      }
      expect(names.size).toBe(4);
    });
  });

  describe.skipIf(!present('openssl'))('a device key that is looked for', () => {
    const attributes: TPMA_NV = {
      nt: 'ordinary',
      ppwrite: true,
      ppread: true,
      ownerread: true,
      authread: true,
      platformcreate: true,
    };

    /** A certificate of this public key, by an authority of OpenSSL's. */
    function certificateOf(area: TPMT_PUBLIC): Uint8Array {
      const folder = mkdtempSync(join(tmpdir(), 'fealty-cert-'));
      const at = (name: string) => join(folder, name);
      try {
        const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
        writeFileSync(at('key.pem'), keyObjectOfPublic(area).export({ format: 'pem', type: 'spki' }));
        const ca = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=ca'];
        openssl('req', '-x509', ...ca, '-keyout', at('ca.key'), '-out', at('ca.pem'));
        openssl('req', '-new', '-key', at('ca.key'), '-subj', '/CN=device', '-out', at('csr.pem'));
        const by = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'];
        const forced = ['-force_pubkey', at('key.pem'), '-outform', 'DER'];
        openssl('x509', '-req', '-in', at('csr.pem'), ...by, ...forced, '-out', at('cert.der'));
        return new Uint8Array(readFileSync(at('cert.der')));
      } finally {
        rmSync(folder, { recursive: true });
      }
    }

    async function writeCertificate(kind: DeviceKeyKind, der: Uint8Array): Promise<void> {
      const { tpm } = stage();
      const handle = certificateIndices[kind];
      const index = await nvDefine(tpm, { handle, size: der.length + 40, attributes, by: 'platform' });
      await nvWrite(tpm, index, Uint8Array.of(...der, ...new Uint8Array(40).fill(0xff)), { by: 'platform' });
    }

    it('is not there without a certificate', async () => {
      expect(await loadDeviceKey(stage().tpm, 'idevid')).toBeUndefined();
    });

    it('is made again from the template and the variant that its certificate fits', async () => {
      const { tpm } = stage();
      for (const kind of ['iak', 'idevid'] as const) {
        const template = deviceKeyTemplate(kind, 'H-2', kind === 'iak' ? 'halves' : 'y-equals-x');
        const made = await createPrimary(tpm, { hierarchy: 'endorsement', template });
        await flush(tpm, made);
        await writeCertificate(kind, certificateOf(made.public));
        const found = await loadDeviceKey(tpm, kind);
        expect(found?.by).toBe('template');
        expect(found?.key.name).toEqual(made.name);
        if (found) await flush(tpm, found.key);
      }
      expect(await listHandles(tpm, 'transient')).toEqual([]);
    });

    it('is found at a handle nobody told of', async () => {
      const { tpm } = stage();
      await makeEk(tpm);
      const made = await createPrimary(tpm, { hierarchy: 'endorsement', template: idevidTemplate() });
      await persist(tpm, made, 0x8100abcd);
      await flush(tpm, made);
      await writeCertificate('idevid', certificateOf(made.public));
      expect(await loadDeviceKey(tpm, 'idevid')).toMatchObject({ by: 'handle', key: { handle: 0x8100abcd } });
    });

    it('is refused when no handle and no template gives it, and nothing stays behind', async () => {
      const { tpm } = stage();
      const template = { ...idevidTemplate(), unique: { x: Uint8Array.of(1), y: Uint8Array.of(2) } };
      const made = await createPrimary(tpm, { hierarchy: 'endorsement', template });
      await flush(tpm, made);
      await writeCertificate('idevid', certificateOf(made.public));
      await expect(loadDeviceKey(tpm, 'idevid')).rejects.toMatchObject({ code: 'core.malformed' });
      expect(await listHandles(tpm, 'transient')).toEqual([]);
    });
  });
}
