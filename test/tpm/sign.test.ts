import { describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import {
  createPrimary,
  flush,
  iakTemplate,
  idevidRsaTemplate,
  ldevidTemplate,
  rawSignature,
  sign,
  verifyTpmSignature,
} from '../../src/tpm/index.ts';
import { setStage } from './stage.ts';

const { clock, random } = nodePlatform({ directory: '.' });
const data = utf8('a message that is longer than any digest, because it is hashed here'.repeat(50));
const p384 = {
  ...ldevidTemplate,
  parameters: { ...ldevidTemplate.parameters, curveID: 'P-384', scheme: { scheme: 'null' } },
} as const;

describe('a signature of the TPM', () => {
  it.each([
    ['P-256', ldevidTemplate, { scheme: 'ecdsa', hashAlg: 'sha256' }, 64],
    ['P-384', p384, { scheme: 'ecdsa', hashAlg: 'sha384' }, 96],
    ['RSA, PKCS #1', idevidRsaTemplate, { scheme: 'rsassa', hashAlg: 'sha256' }, 256],
    ['RSA, PSS', idevidRsaTemplate, { scheme: 'rsapss', hashAlg: 'sha512' }, 256],
  ] as const)(
    'by %s verifies, and has the size that others expect',
    async (_name, template, scheme, size) => {
      const { tpm } = await setStage(await SoftwareTpm.create({ clock, random }));
      const key = await createPrimary(tpm, { hierarchy: 'owner', template });
      const signature = await sign(tpm, key, data, scheme);
      expect(signature).toMatchObject({ sigAlg: scheme.scheme, hash: scheme.hashAlg });
      expect(verifyTpmSignature(key.public, data, signature)).toBe(true);
      expect(verifyTpmSignature(key.public, data.subarray(1), signature)).toBe(false);
      expect(rawSignature(key.public, signature)).toHaveLength(size);
      await flush(tpm, key);
    },
  );

  it('is not given out when it does not verify', async () => {
    const stage = await setStage(await SoftwareTpm.create({ clock, random }));
    const key = await createPrimary(stage.tpm, { hierarchy: 'owner', template: ldevidTemplate });
    stage.tamper = (answer) => answer.map((byte, at) => (at === answer.length - 10 ? byte ^ 1 : byte));
    const scheme = { scheme: 'ecdsa', hashAlg: 'sha256' } as const;
    await expect(sign(stage.tpm, key, data, scheme)).rejects.toMatchObject({
      code: 'tpm.untrusted',
      check: 'signature',
    });
  });

  it('is not asked for of a restricted key, nor of what looks like an attestation', async () => {
    const { tpm, wire } = await setStage(await SoftwareTpm.create({ clock, random }));
    const scheme = { scheme: 'ecdsa', hashAlg: 'sha256' } as const;
    const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
    const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
    const asked = wire.commands.length;
    await expect(sign(tpm, iak, data, scheme)).rejects.toThrow('unrestricted');
    const forged = Uint8Array.of(0xff, 0x54, 0x43, 0x47, 1);
    await expect(sign(tpm, key, forged, scheme)).rejects.toThrow('attestation');
    expect(wire.commands).toHaveLength(asked);
  });

  it('has no raw form when it is of another kind than the key', () => {
    expect(() => rawSignature(ldevidTemplate, { sigAlg: 'null' })).toThrow('not of a kind');
  });
});
