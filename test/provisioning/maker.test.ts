import { describe, expect, it } from 'vitest';
import { memoryStore } from '../../simulator/index.ts';
import { concat } from '../../src/core/bytes.ts';
import { generateKey } from '../../src/core/signer.ts';
import { parseCertificate } from '../../src/identity/certificate.ts';
import { createIntermediate, createRoot } from '../../src/identity/issue.ts';
import { validateChain } from '../../src/identity/validate.ts';
import { openDeviceIdentity } from '../../src/provisioning/device-identity.ts';
import { readOwnership, readVoucherKeys, writeOwnership } from '../../src/provisioning/device-nv.ts';
import { createMakerLine, loadMakerLine, manufacture, saveMakerLine } from '../../src/provisioning/maker.ts';
import { createRegistrar } from '../../src/provisioning/registrar.ts';
import { nvDefine, nvReadPublic, nvUndefine, nvWrite, TpmRefused } from '../../src/tpm/index.ts';
import { MODEL, World } from './world.ts';

describe("the maker's line", () => {
  it('is stored whole, or not at all', async () => {
    const world = await World.create('line');
    const store = memoryStore();
    await saveMakerLine(store, world.line);
    const loaded = await loadMakerLine(store);
    expect(loaded?.name).toBe(world.line.name);
    expect(loaded?.voucherKey.kid).toBe(world.line.voucherKey.kid);
    expect(loaded?.deviceCa.certificate).toEqual(world.line.deviceCa.certificate);
    const half = memoryStore();
    half.failWrite(4);
    await expect(saveMakerLine(half, world.line)).rejects.toMatchObject({ code: 'core.store-failed' });
    expect(await loadMakerLine(half)).toBeUndefined();
  });

  it('gives a TPM certificates of the TCG profile, one serial number and one model', async () => {
    const world = await World.create('profile');
    const { made, tpm } = await world.device('DOG-0001');
    const at = world.clock.now();
    const ek = validateChain({
      leaf: made.ekCertificate,
      anchors: [world.line.ekCa.certificate],
      at,
      purpose: 'ek',
    });
    expect(ek.leaf.subjectAltName?.directoryNames[0]?.attributes).toContainEqual([
      '2.23.133.2.1',
      'id:464C5459',
    ]);
    for (const leaf of [made.iakCertificate, made.idevidCertificate]) {
      const { subject, notAfter } = validateChain({
        leaf,
        anchors: [world.line.deviceCa.certificate],
        at,
        purpose: 'device',
      }).leaf;
      expect(subject).toMatchObject({ serialNumber: 'DOG-0001', commonName: MODEL });
      expect(new Date(notAfter).getUTCFullYear()).toBe(9999);
    }
    expect(await readVoucherKeys(tpm)).toEqual([world.line.voucherKey.publicJwk]);
  });

  it('keeps keys and the history of owners when a device comes back', async () => {
    const world = await World.create('again');
    const { made, tpm } = await world.device('DOG-0001');
    await writeOwnership(tpm, { sequence: 4, pinned: 'ab'.repeat(32) });
    const again = await manufacture(tpm, world.line, { serial: 'DOG-0001', model: 'dog-2' });
    expect(again.ekCertificate).toEqual(made.ekCertificate);
    expect(parseCertificate(again.idevidCertificate).spki).toEqual(
      parseCertificate(made.idevidCertificate).spki,
    );
    expect((await openDeviceIdentity(tpm)).model).toBe('dog-2');
    expect(await readOwnership(tpm)).toEqual({ sequence: 4, pinned: 'ab'.repeat(32) });
  });

  it('writes voucher keys that the device cannot change', async () => {
    const world = await World.create('voucher keys');
    const { tpm } = await world.device('DOG-0001');
    const index = await nvReadPublic(tpm, 0x01400f01);
    if (index === undefined) throw new Error('it is there');
    for (const by of ['index', 'owner'] as const)
      await expect(nvWrite(tpm, index, new Uint8Array(64), { by })).rejects.toBeInstanceOf(TpmRefused);
  });

  it('is refused a name that would not stand in a certificate', async () => {
    const { platform } = await World.create('name');
    await expect(createMakerLine(platform, 'Acme\n')).rejects.toThrow(TypeError);
  });
});

describe('an EK certificate below an intermediate authority', () => {
  it('is sent with the chain that the vendor put into NV', async () => {
    const world = await World.create('ek chain');
    const { random } = world.platform;
    const notBefore = world.clock.now() - 60_000;
    const root = await createRoot({
      signer: generateKey(random),
      random,
      commonName: 'TPM vendor',
      notBefore,
    });
    const middle = await createIntermediate({
      issuer: root,
      signer: generateKey(random),
      random,
      commonName: 'TPM family 7',
      notBefore,
    });
    const below = { ...world.line, ekCa: middle };
    const device = await world.device('DOG-0001', { line: below });
    const chain = concat(middle.certificate, root.certificate);
    const half = Math.floor(chain.length / 2);
    for (const [i, part] of [chain.slice(0, half), chain.slice(half)].entries()) {
      const handle = 0x01c00100 + i;
      const attributes = { nt: 'ordinary', ownerwrite: true, authread: true, noDa: true } as const;
      const index = await nvDefine(device.tpm, { handle, size: part.length, attributes });
      await nvWrite(device.tpm, index, part, { by: 'owner' });
    }
    const { ekIntermediates } = await openDeviceIdentity(device.tpm);
    expect(ekIntermediates).toEqual([middle.certificate]);
    const { anchors } = world.registrarOptions;
    const ekVendors = [{ certificate: root.certificate, simulated: true }];
    world.registrar = createRegistrar({ ...world.registrarOptions, anchors: { ...anchors, ekVendors } });
    await expect((await device.pledge()).obtain()).resolves.toBeDefined();
  });
});

describe('a TPM that did not leave the line', () => {
  it('is recognised', async () => {
    const world = await World.create('bare');
    const { tpm, chip } = await world.device('DOG-0001');
    expect(chip).toBeDefined();
    await nvUndefine(tpm, 0x01c90200, { by: 'platform' });
    await expect(openDeviceIdentity(tpm)).rejects.toMatchObject({ code: 'provisioning.not-manufactured' });
  });
});
