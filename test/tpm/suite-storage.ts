import { describe, expect, it } from 'vitest';
import { concat } from '../../src/core/bytes.ts';
import { TPM2_NV_ReadLock, TPM2_NV_WriteLock } from '../../src/tpm/commands.ts';
import type { TPMA_NV } from '../../src/tpm/index.ts';
import {
  certificateIndices,
  counterDefine,
  counterIncrement,
  counterRead,
  createKey,
  createPrimary,
  evict,
  flush,
  iakTemplate,
  ldevidTemplate,
  listHandles,
  loadKey,
  loadPersistent,
  lockoutState,
  nvCertify,
  nvDefine,
  nvRead,
  nvReadCertificate,
  nvReadPublic,
  nvUndefine,
  nvWrite,
  pcrExtend,
  pcrRead,
  pcrReset,
  persist,
  persistentHandles,
  run,
  srkTemplate,
  TpmRefused,
  tpmSigner,
  verifyAttestation,
} from '../../src/tpm/index.ts';
import { digest } from '../../src/tpm/kdf.ts';
import type { Stage } from './stage.ts';
import { contains, makeEk } from './stage.ts';

/** As makers write certificates: readable by everybody, written by the platform. */
const certificate: TPMA_NV = {
  nt: 'ordinary',
  ppwrite: true,
  ppread: true,
  ownerread: true,
  authread: true,
  noDa: true,
  platformcreate: true,
};

/** Persistent objects, NV, counters, PCRs. */
export function storageStories(stage: () => Stage): void {
  describe('persistent objects', () => {
    it('are found again, replaced and evicted', async () => {
      const { tpm } = stage();
      expect(await loadPersistent(tpm, persistentHandles.srk)).toBeUndefined();
      const srk = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
      const kept = await persist(tpm, srk, persistentHandles.srk);
      expect(kept.name).toEqual(srk.name);
      await persist(tpm, srk, persistentHandles.srk);
      expect(await listHandles(tpm, 'persistent')).toEqual([persistentHandles.srk]);
      await flush(tpm, srk);
      expect(await listHandles(tpm, 'transient')).toEqual([]);
      expect(await evict(tpm, persistentHandles.srk)).toBe(true);
      expect(await evict(tpm, persistentHandles.srk)).toBe(false);
    });

    it('are parents of wrapped keys, which only their auth value uses', async () => {
      const { tpm, wire } = stage();
      const made = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
      const srk = await persist(tpm, made, persistentHandles.srk);
      await flush(tpm, made);
      const auth = tpm.random.bytes(32);
      const wrapped = await createKey(tpm, srk, { template: ldevidTemplate, auth, saltedTo: srk });
      const key = await loadKey(tpm, srk, wrapped, auth);
      expect(await tpmSigner(tpm, key).sign(auth)).toHaveLength(64);
      expect(wire.commands.some((command) => contains(command, auth))).toBe(false);
      const damaged = { ...wrapped, private: wrapped.private.map((byte, i) => (i === 40 ? byte ^ 1 : byte)) };
      await expect(loadKey(tpm, srk, damaged)).rejects.toMatchObject({ reason: 'INTEGRITY' });
    });
  });

  describe('NV', () => {
    it('holds certificates, read in pieces, padding cut off', async () => {
      const { tpm } = stage();
      const body = tpm.random.bytes(1500);
      const der = concat(Uint8Array.of(0x30, 0x82, 1500 >> 8, 1500 & 0xff), body);
      const index = await nvDefine(tpm, {
        handle: certificateIndices.idevid,
        size: 1600,
        attributes: certificate,
        by: 'platform',
      });
      expect(await nvReadCertificate(tpm, certificateIndices.idevid)).toBeUndefined();
      await nvWrite(tpm, index, concat(der, new Uint8Array(96).fill(0xff)), { by: 'platform' });
      expect(await nvReadCertificate(tpm, certificateIndices.idevid)).toEqual(der);
      expect(await nvReadCertificate(tpm, certificateIndices.iak)).toBeUndefined();
    });

    it('says so when what it holds is no certificate', async () => {
      const { tpm } = stage();
      const index = await nvDefine(tpm, {
        handle: certificateIndices.iak,
        size: 64,
        attributes: certificate,
        by: 'platform',
      });
      await nvWrite(tpm, index, new Uint8Array(64).fill(0x31), { by: 'platform' });
      await expect(nvReadCertificate(tpm, certificateIndices.iak)).rejects.toMatchObject({
        code: 'core.malformed',
      });
      await nvWrite(tpm, index, Uint8Array.of(0x30, 0x82, 0xff, 0xff), { by: 'platform' });
      await expect(nvReadCertificate(tpm, certificateIndices.iak)).rejects.toMatchObject({
        code: 'core.malformed',
      });
    });

    it('is asked for a certificate only by ways in which a wrong auth value is not counted', async () => {
      const { tpm } = stage();
      const auth = tpm.random.bytes(20);
      const attributes: TPMA_NV = { nt: 'ordinary', authwrite: true, authread: true };
      const handle = certificateIndices.iak;
      const saltedTo = await makeEk(tpm);
      const defined = await nvDefine(tpm, { handle, size: 4, attributes, auth, saltedTo });
      const locking = await nvWrite(tpm, defined, Uint8Array.of(0x30, 2, 5, 0));
      const before = await lockoutState(tpm);
      for (let i = 0; i < 4; i++) await expect(nvReadCertificate(tpm, handle)).rejects.toThrow(TpmRefused);
      expect(await lockoutState(tpm)).toMatchObject({ failures: before.failures });
      expect(await nvRead(tpm, locking)).toEqual(Uint8Array.of(0x30, 2, 5, 0));
    });

    it('changes its Name with the first write, which we compute as the TPM does', async () => {
      const { tpm } = stage();
      const auth = tpm.random.bytes(20);
      const ek = await makeEk(tpm);
      const attributes: TPMA_NV = { nt: 'ordinary', authwrite: true, authread: true, noDa: true };
      const defined = await nvDefine(tpm, { handle: 0x01800020, size: 4, attributes, auth, saltedTo: ek });
      const writtenTo = await nvWrite(tpm, defined, Uint8Array.of(1, 2, 3, 4));
      expect(writtenTo.name).not.toEqual(defined.name);
      expect((await nvReadPublic(tpm, 0x01800020))?.name).toEqual(writtenTo.name);
      expect(await nvRead(tpm, writtenTo)).toEqual(Uint8Array.of(1, 2, 3, 4));
      // by HMAC the Name is proven too: whoever believes the old one is refused
      await expect(nvRead(tpm, defined)).rejects.toMatchObject({ code: 'tpm.refused', remedy: 'give-up' });
      await expect(nvRead(tpm, { ...writtenTo, auth: tpm.random.bytes(20) })).rejects.toMatchObject({
        reason: 'BAD_AUTH',
      });
      expect(await nvUndefine(tpm, 0x01800020)).toBe(true);
      expect(await nvUndefine(tpm, 0x01800020)).toBe(false);
    });

    it('can be locked against writing and reading', async () => {
      const { tpm } = stage();
      const attributes: TPMA_NV = {
        nt: 'ordinary',
        ownerwrite: true,
        ownerread: true,
        authwrite: true,
        authread: true,
        writeStclear: true,
        readStclear: true,
      };
      const index = await nvWrite(
        tpm,
        await nvDefine(tpm, { handle: 0x01800021, size: 1, attributes }),
        Uint8Array.of(9),
        { by: 'owner' },
      );
      await run(tpm, TPM2_NV_WriteLock, { authHandle: index, nvIndex: index });
      await expect(nvWrite(tpm, index, Uint8Array.of(8))).rejects.toMatchObject({ reason: 'NV_LOCKED' });
      expect(await nvRead(tpm, index)).toEqual(Uint8Array.of(9));
      await run(tpm, TPM2_NV_ReadLock, { authHandle: index, nvIndex: index });
      await expect(nvRead(tpm, index)).rejects.toMatchObject({ reason: 'NV_LOCKED' });
    });

    it('is not defined with an auth value that would be readable on the way', async () => {
      const attributes: TPMA_NV = { nt: 'ordinary', authwrite: true, authread: true };
      const asked = nvDefine(stage().tpm, {
        handle: 0x01800023,
        size: 1,
        attributes,
        auth: new Uint8Array(8),
      });
      await expect(asked).rejects.toThrow(/saltedTo/);
    });

    it('is defined once: NV_DEFINED', async () => {
      const { tpm } = stage();
      const index = {
        handle: 0x01800022,
        size: 1,
        attributes: { nt: 'ordinary', ownerwrite: true, ownerread: true },
      } as const;
      await nvDefine(tpm, index);
      await expect(nvDefine(tpm, index)).rejects.toMatchObject({ reason: 'NV_DEFINED', operand: undefined });
    });
  });

  describe('a monotonic counter', () => {
    it('only rises, by its auth value, and is certified by an attestation key', async () => {
      const { tpm, wire } = stage();
      const ek = await makeEk(tpm);
      const auth = tpm.random.bytes(32);
      const defined = await counterDefine(tpm, { handle: 0x01800010, auth, saltedTo: ek });
      await expect(counterRead(tpm, defined)).rejects.toMatchObject({ reason: 'NV_UNINITIALIZED' });
      const counter = await counterIncrement(tpm, defined);
      const first = await counterRead(tpm, counter);
      await counterIncrement(tpm, counter);
      expect(await counterRead(tpm, counter)).toBe(first + 1n);

      const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const qualifyingData = tpm.random.bytes(32);
      const certified = await nvCertify(tpm, { index: counter, signer: iak, qualifyingData });
      const { attested } = verifyAttestation({
        key: iak.public,
        ...certified,
        type: 'attestNv',
        qualifyingData,
      });
      expect(attested.indexName).toEqual(counter.name);
      expect(Buffer.from(attested.nvContents).readBigUInt64BE()).toBe(first + 1n);
      await expect(counterIncrement(tpm, { ...counter, auth: new Uint8Array(32) })).rejects.toMatchObject({
        code: 'tpm.refused',
      });
      expect(wire.commands.some((command) => contains(command, auth))).toBe(false);

      // undefined and defined again it does not start over
      await nvUndefine(tpm, counter.handle);
      const again = await counterIncrement(
        tpm,
        await counterDefine(tpm, { handle: 0x01800010, auth, saltedTo: ek }),
      );
      expect(await counterRead(tpm, again)).toBeGreaterThan(first + 1n);
    });
  });

  describe('PCRs', () => {
    it('are hash chains in each bank', async () => {
      const { tpm } = stage();
      const event = tpm.random.bytes(32);
      const event1 = tpm.random.bytes(20);
      const [before] = await pcrRead(tpm, [12]);
      const [before1] = await pcrRead(tpm, [12], 'sha1');
      await pcrExtend(tpm, 12, { sha256: event, sha1: event1 });
      const [after] = await pcrRead(tpm, [12]);
      const [after1] = await pcrRead(tpm, [12], 'sha1');
      expect(after).toEqual(digest('sha256', before ?? event, event));
      expect(after1).toEqual(digest('sha1', before1 ?? event1, event1));
    });

    it('are read in the order asked for, more than eight in several commands', async () => {
      const { tpm } = stage();
      await pcrExtend(tpm, 3, { sha256: tpm.random.bytes(32) });
      const all = await pcrRead(tpm, [23, 3, 0, 1, 2, 4, 5, 6, 7, 8, 9, 10]);
      expect(all).toHaveLength(12);
      expect(all[1]).toEqual((await pcrRead(tpm, [3]))[0]);
      expect(all[1]).not.toEqual(all[2]);
    });

    it('16 may be reset, 12 may not (LOCALITY)', async () => {
      const { tpm } = stage();
      await pcrExtend(tpm, 16, { sha256: tpm.random.bytes(32) });
      await pcrReset(tpm, 16);
      expect(await pcrRead(tpm, [16])).toEqual([new Uint8Array(32)]);
      await expect(pcrReset(tpm, 12)).rejects.toMatchObject({ reason: 'LOCALITY' });
    });
  });
}
