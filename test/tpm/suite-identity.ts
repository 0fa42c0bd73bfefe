import { describe, expect, it } from 'vitest';
import { u32 } from '../../src/core/bytes.ts';
import { generateKey, verifySignature } from '../../src/core/signer.ts';
import {
  activateCredential,
  attestTime,
  certify,
  createPrimary,
  ekRsaTemplate,
  ekTemplate,
  flush,
  iakRsaTemplate,
  iakTemplate,
  idevidRsaTemplate,
  idevidTemplate,
  jwkOfPublic,
  lakTemplate,
  ldevidTemplate,
  makeCredential,
  nameOf,
  pcrDigest,
  pcrExtend,
  pcrRead,
  publicOfJwk,
  quote,
  TPM_RH,
  tpmSigner,
  verifyAttestation,
} from '../../src/tpm/index.ts';
import { qualifiedNameOf } from '../../src/tpm/names.ts';
import type { Stage } from './stage.ts';
import { contains, makeEk } from './stage.ts';

/** EK, IAK, IDevID, LAK, LDevID: what the twelve steps rest on. */
export function identityStories(stage: () => Stage): void {
  describe('device keys of the TCG templates', () => {
    it('are the same again from the same template, and others from another `unique`', async () => {
      const { tpm } = stage();
      const names: string[] = [];
      for (const template of [
        iakTemplate(),
        iakTemplate(),
        iakTemplate('y-equals-x'),
        iakTemplate('halves'),
        idevidTemplate(),
      ]) {
        const key = await createPrimary(tpm, { hierarchy: 'endorsement', template });
        expect(key.name).toEqual(nameOf(key.public));
        names.push(Buffer.from(key.name).toString('hex'));
        await flush(tpm, key);
      }
      expect(names[0]).toBe(names[1]);
      expect(new Set(names).size).toBe(4);
    });

    it('certify one another: the IDevID by the IAK (TCG §6.2.2 c)', async () => {
      const { tpm } = stage();
      const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const idevid = await createPrimary(tpm, { hierarchy: 'endorsement', template: idevidTemplate() });
      const qualifyingData = tpm.random.bytes(32);
      const { attest, signature } = await certify(tpm, { object: idevid, signer: iak, qualifyingData });
      const expected = { key: iak.public, attest, signature, type: 'attestCertify', qualifyingData } as const;
      const verified = verifyAttestation(expected);
      expect(verified.attested.name).toEqual(idevid.name);
      expect(verified.attested.qualifiedName).toEqual(
        qualifiedNameOf(u32(TPM_RH.endorsement), idevid.public),
      );
      expect(verified.qualifiedSigner).toEqual(qualifiedNameOf(u32(TPM_RH.endorsement), iak.public));

      const flipped = attest.slice();
      flipped[flipped.length - 1] = (flipped[flipped.length - 1] ?? 0) ^ 1;
      expect(() => verifyAttestation({ ...expected, attest: flipped })).toThrow(
        /signature of the attestation/,
      );
      const other = { ...expected, qualifyingData: tpm.random.bytes(32) };
      expect(() => verifyAttestation(other)).toThrow(expect.objectContaining({ check: 'qualifying-data' }));
      expect(() => verifyAttestation({ ...expected, key: idevid.public })).toThrow(
        expect.objectContaining({ check: 'key-attributes' }),
      );
      expect(() => verifyAttestation({ ...expected, type: 'attestQuote' })).toThrow(
        expect.objectContaining({ check: 'type' }),
      );
    });

    it('need their policy to be certified: an empty password is AUTH_TYPE', async () => {
      const { tpm } = stage();
      const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const { objectAttributes } = iak.public;
      const disguised = {
        ...iak,
        public: { ...iak.public, objectAttributes: { ...objectAttributes, adminWithPolicy: false } },
      };
      await expect(certify(tpm, { object: disguised, signer: iak })).rejects.toMatchObject({
        code: 'tpm.refused',
        reason: 'AUTH_TYPE',
        command: 'TPM2_Certify',
      });
    });
  });

  describe('a credential made in software', () => {
    it('is activated by the TPM whose EK (P-256) and IAK it was made for', async () => {
      const { tpm, wire } = stage();
      const ek = await makeEk(tpm);
      const ak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const secret = tpm.random.bytes(32);
      const challenge = makeCredential({ ek: ek.public, name: ak.name, secret, random: tpm.random });
      expect(await activateCredential(tpm, { ak, ek, challenge })).toEqual(secret);
      expect(wire.answers.some((answer) => contains(answer, secret))).toBe(false);
    });

    it('stays shut for a key with another Name: INTEGRITY', async () => {
      const { tpm } = stage();
      const ek = await makeEk(tpm);
      const ak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const other = nameOf(iakTemplate('y-equals-x'));
      const challenge = makeCredential({
        ek: ek.public,
        name: other,
        secret: new Uint8Array(32),
        random: tpm.random,
      });
      await expect(activateCredential(tpm, { ak, ek, challenge })).rejects.toMatchObject({
        reason: 'INTEGRITY',
      });
    });

    it('works with an RSA-2048 EK (template L-1) and RSA device keys (H-1)', {
      timeout: 60_000,
    }, async () => {
      const { tpm } = stage();
      const ek = await createPrimary(tpm, { hierarchy: 'endorsement', template: ekRsaTemplate });
      const ak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakRsaTemplate });
      const secret = tpm.random.bytes(32);
      const challenge = makeCredential({ ek: ek.public, name: ak.name, secret, random: tpm.random });
      expect(await activateCredential(tpm, { ak, ek, challenge })).toEqual(secret);
      await flush(tpm, ek);
      const idevid = await createPrimary(tpm, { hierarchy: 'endorsement', template: idevidRsaTemplate });
      const qualifyingData = tpm.random.bytes(32);
      const { attest, signature } = await certify(tpm, { object: idevid, signer: ak, qualifyingData });
      const verified = verifyAttestation({
        key: ak.public,
        attest,
        signature,
        type: 'attestCertify',
        qualifyingData,
      });
      expect(verified.attested.name).toEqual(idevid.name);
    });

    it('is refused for keys that are no EK', () => {
      const { random } = stage().tpm;
      const name = nameOf(iakTemplate());
      const { publicJwk } = generateKey(random);
      const unrestricted = {
        ...ekTemplate,
        objectAttributes: { ...ekTemplate.objectAttributes, restricted: false },
      };
      for (const ek of [
        iakTemplate(),
        ldevidTemplate,
        publicOfJwk(unrestricted, publicJwk),
        { ...ekTemplate, unique: { x: new Uint8Array(32), y: new Uint8Array(32) } },
      ])
        expect(() => makeCredential({ ek, name, secret: new Uint8Array(32), random })).toThrow(
          expect.objectContaining({ code: 'core.malformed' }),
        );
    });
  });

  describe('a quote', () => {
    it('carries the nonce and the digest of the selected PCRs, and changes with them', async () => {
      const { tpm } = stage();
      const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const pcrs = [{ hash: 'sha256', pcrSelect: [0, 7, 12] }] as const;
      const digests: Uint8Array[] = [];
      for (let i = 0; i < 2; i++) {
        const qualifyingData = tpm.random.bytes(32);
        const { attest, signature } = await quote(tpm, iak, { qualifyingData, pcrs });
        const verified = verifyAttestation({
          key: iak.public,
          attest,
          signature,
          type: 'attestQuote',
          qualifyingData,
        });
        expect(verified.attested.pcrSelect).toEqual(pcrs);
        expect(verified.attested.pcrDigest).toEqual(pcrDigest('sha256', await pcrRead(tpm, [0, 7, 12])));
        digests.push(verified.attested.pcrDigest);
        await pcrExtend(tpm, 12, { sha256: tpm.random.bytes(32) });
      }
      expect(digests[0]).not.toEqual(digests[1]);
    });

    it('is not taken with more than 32 bytes of qualifying data', async () => {
      const { tpm } = stage();
      const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      await expect(quote(tpm, iak, { qualifyingData: new Uint8Array(33), pcrs: [] })).rejects.toThrow(
        TypeError,
      );
    });
  });

  describe("the owner's keys (LAK, LDevID)", () => {
    it('work by their random auth values, which are never on the wire', async () => {
      const { tpm, wire } = stage();
      const ek = await makeEk(tpm);
      const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const auth = tpm.random.bytes(32);
      const unique = { x: tpm.random.bytes(32), y: tpm.random.bytes(32) };
      const lak = await createPrimary(tpm, {
        hierarchy: 'owner',
        template: { ...lakTemplate, unique },
        auth,
        saltedTo: ek,
      });
      const ldevid = await createPrimary(tpm, {
        hierarchy: 'owner',
        template: { ...ldevidTemplate, unique },
        auth,
        saltedTo: ek,
      });

      const data = tpm.random.bytes(100);
      const signer = tpmSigner(tpm, ldevid);
      expect(verifySignature(jwkOfPublic(ldevid.public), data, await signer.sign(data))).toBe(true);

      const qualifyingData = tpm.random.bytes(32);
      const quoted = await quote(tpm, lak, { qualifyingData, pcrs: [{ hash: 'sha256', pcrSelect: [12] }] });
      verifyAttestation({ key: lak.public, ...quoted, type: 'attestQuote', qualifyingData });
      for (const object of [lak, ldevid]) {
        const certified = await certify(tpm, { object, signer: iak, qualifyingData });
        const verified = verifyAttestation({
          key: iak.public,
          ...certified,
          type: 'attestCertify',
          qualifyingData,
        });
        expect(verified.attested.name).toEqual(object.name);
      }
      const timed = await attestTime(tpm, lak, { qualifyingData });
      verifyAttestation({ key: lak.public, ...timed, type: 'attestTime', qualifyingData });
      expect(wire.commands.length).toBeGreaterThan(10);
      expect(wire.commands.filter((command) => contains(command, auth))).toEqual([]);
    });

    it('do nothing for a wrong auth value: AUTH_FAIL or BAD_AUTH of session 1, not to be tried again', async () => {
      const { tpm } = stage();
      const ek = await makeEk(tpm);
      const auth = tpm.random.bytes(32);
      const ldevid = await createPrimary(tpm, {
        hierarchy: 'owner',
        template: ldevidTemplate,
        auth,
        saltedTo: ek,
      });
      for (const wrong of [new Uint8Array(0), tpm.random.bytes(32)]) {
        const refusal = tpmSigner(tpm, { ...ldevid, auth: wrong }).sign(auth);
        await expect(refusal).rejects.toMatchObject({
          code: 'tpm.refused',
          remedy: 'give-up',
          reason: 'BAD_AUTH',
          operand: { kind: 'session', number: 1 },
        });
      }
      expect(await tpmSigner(tpm, ldevid).sign(auth)).toHaveLength(64);
    });

    it('are not made with an auth value that would be readable on the way', async () => {
      const { tpm } = stage();
      const asked = createPrimary(tpm, {
        hierarchy: 'owner',
        template: ldevidTemplate,
        auth: new Uint8Array(32),
      });
      await expect(asked).rejects.toThrow(/saltedTo/);
    });

    it('sign nothing that looks like an attestation, and restricted keys are no signers', async () => {
      const { tpm } = stage();
      const ldevid = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      await expect(tpmSigner(tpm, ldevid).sign(Uint8Array.of(0xff, 0x54, 0x43, 0x47, 1))).rejects.toThrow(
        TypeError,
      );
      await expect(tpmSigner(tpm, ldevid).sign(Uint8Array.of(0xff, 0x54, 0x43))).resolves.toHaveLength(64);
      const lak = await createPrimary(tpm, { hierarchy: 'owner', template: lakTemplate });
      expect(() => tpmSigner(tpm, lak)).toThrow(TypeError);
    });

    it('sign one after the other however many ask at once', async () => {
      const { tpm } = stage();
      const ek = await makeEk(tpm);
      const auth = tpm.random.bytes(16);
      const ldevid = await createPrimary(tpm, {
        hierarchy: 'owner',
        template: ldevidTemplate,
        auth,
        saltedTo: ek,
      });
      const signer = tpmSigner(tpm, ldevid);
      const data = Array.from({ length: 12 }, () => tpm.random.bytes(20));
      const signatures = await Promise.all(data.map((one) => signer.sign(one)));
      for (const [i, one] of data.entries())
        expect(verifySignature(signer.publicJwk, one, signatures[i] ?? new Uint8Array(0))).toBe(true);
    });
  });
}
