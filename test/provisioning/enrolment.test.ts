import { describe, expect, it } from 'vitest';
import { verifyEar } from '../../src/attestation/results.ts';
import { base64 } from '../../src/core/bytes.ts';
import { peekPayload, signJws } from '../../src/core/jws.ts';
import { generateKey, thumbprint } from '../../src/core/signer.ts';
import { issueServerCertificate, issueWic } from '../../src/identity/issue.ts';
import { verifyWit } from '../../src/identity/wit.ts';
import { readOwnership } from '../../src/provisioning/device-nv.ts';
import { createMakerLine, makeVoucher } from '../../src/provisioning/maker.ts';
import { signVoucher } from '../../src/provisioning/voucher.ts';
import { TPM2_Clear } from '../../src/tpm/commands.ts';
import { run, TPM_RH } from '../../src/tpm/index.ts';
import { AUTHORITY, DOMAIN, reboot, startAgent, World } from './world.ts';

const DAY = 86_400_000;

describe('a device fresh from the maker (PV-01)', () => {
  it('enrols in one go and holds credentials for its own keys', async () => {
    const world = await World.create('enrol');
    const device = await world.device('DOG-0001');
    const pledge = await device.pledge();
    expect(pledge.state).toBe('shipped');
    const { credentials, keys } = await pledge.obtain();
    expect(pledge.state).toBe('enrolled');
    expect(world.asked).toEqual(['/enrol/v1/voucher', '/enrol/v1/begin', '/enrol/v1/activate']);
    expect(credentials.agentId).toBe('spiffe://home.test/agent/dog-0001');
    expect(credentials.endpoints.authority).toBe(AUTHORITY);
    expect(peekPayload(credentials.wit)['fealty/capabilities']).toEqual(['lidar', 'walk']);
    const wit = verifyWit(credentials.wit, [world.bundle()], world.clock.now());
    expect(thumbprint(wit.key)).toBe(keys.credential.kid);
    const ear = verifyEar(credentials.ear, {
      bundles: credentials.bundles,
      trustDomain: DOMAIN,
      agentId: credentials.agentId,
      ldevid: keys.ldevid.kid,
      at: world.clock.now(),
    });
    expect(ear.status).toBe('affirming');
    expect(new Set([keys.credential, keys.tls, keys.lobby, keys.ldevid].map(({ kid }) => kid)).size).toBe(4);
    expect(await readOwnership(device.tpm)).toMatchObject({ sequence: 1 });
  });

  it('gets only the capabilities its owner grants it', async () => {
    const world = await World.create('capabilities');
    const device = await world.device('DOG-0001');
    await world.bind('DOG-0001', 'dog', { capabilities: ['lidar'] });
    const { credentials } = await (await device.pledge()).obtain();
    expect(peekPayload(credentials.wit)['fealty/capabilities']).toEqual(['lidar']);
  });

  it('is refused a capability that the provider does not endorse', async () => {
    const world = await World.create('capabilities');
    const device = await world.device('DOG-0001');
    await world.bind('DOG-0001', 'dog', { capabilities: ['arm.lift', 'lidar'] });
    await expect((await device.pledge()).obtain()).rejects.toMatchObject({ check: 'binding' });
  });

  it('tells a server that nobody has vouched for its serial number and a nonce, and nothing else', async () => {
    const world = await World.create('first contact');
    const device = await world.device('DOG-0001');
    let seen: unknown;
    world.tamper = (_, body) => {
      seen ??= structuredClone(body);
    };
    await (await device.pledge()).obtain();
    expect(Object.keys(seen as object)).toEqual(['ietf-voucher-request:voucher']);
    expect(
      Object.keys((seen as { 'ietf-voucher-request:voucher': object })['ietf-voucher-request:voucher']),
    ).toEqual(['serial-number', 'idevid-issuer', 'nonce']);
  });

  it('stays shipped when its papers are not in order, and enrols when they are', async () => {
    const world = await World.create('papers');
    const device = await world.device('DOG-0001', { bind: false });
    const pledge = await device.pledge();
    await expect(pledge.obtain()).rejects.toMatchObject({ check: 'binding' });
    expect(pledge.state).toBe('shipped');
    await world.bind('DOG-0001', 'dog');
    await pledge.obtain();
    expect(pledge.agentId).toBe('spiffe://home.test/agent/dog');
  });
});

describe('the server that a device speaks to', () => {
  it('must be the one the voucher pins', async () => {
    const world = await World.create('pinned');
    const other = await World.create('somebody else');
    const device = await world.device('DOG-0001');
    world.shown = other.shown; // in the middle, with a certificate of its own, passing the voucher on
    await expect((await device.pledge()).obtain()).rejects.toMatchObject({
      code: 'provisioning.voucher-refused',
      check: 'pinned-server',
    });
    expect(world.asked).toEqual(['/enrol/v1/voucher']);
  });

  it('must stay the same after the voucher', async () => {
    const world = await World.create('pinned later');
    const other = await World.create('somebody else');
    const device = await world.device('DOG-0001');
    const pledge = await device.pledge();
    world.tamper = (path) => {
      if (path.endsWith('/begin')) world.shown = other.shown;
    };
    await expect(pledge.obtain()).rejects.toMatchObject({ code: 'provisioning.wrong-authority' });
    expect(world.asked).not.toContain('/enrol/v1/activate');
  });

  it('must show a certificate at all', async () => {
    const world = await World.create('bare server');
    const device = await world.device('DOG-0001');
    world.shown = [];
    await expect((await device.pledge()).obtain()).rejects.toMatchObject({ check: 'pinned-server' });
  });

  it('is not another agent of the same owner, whose certificate is good for TLS servers too', async () => {
    const world = await World.create('agent as server');
    const device = await world.device('DOG-0001');
    const key = generateKey(world.platform.random);
    const now = world.clock.now();
    const wic = await issueWic({
      issuer: world.ca,
      random: world.platform.random,
      notBefore: now - 1000,
      notAfter: now + 3_600_000,
      agentId: 'spiffe://home.test/agent/mallory',
      publicKey: key.publicJwk,
    });
    world.shown = [wic];
    await expect((await device.pledge()).obtain()).rejects.toMatchObject({ check: 'pinned-server' });
  });

  it('is not another server of the same owner', async () => {
    const world = await World.create('other server');
    const device = await world.device('DOG-0001');
    const now = world.clock.now();
    world.shown = [
      await issueServerCertificate({
        issuer: world.ca,
        random: world.platform.random,
        notBefore: now - 1000,
        notAfter: now + 3_600_000,
        hosts: ['camera.test'],
        publicKey: generateKey(world.platform.random).publicJwk,
      }),
    ];
    await expect((await device.pledge()).obtain()).rejects.toMatchObject({ check: 'pinned-server' });
  });
});

describe('what the registrar sends', () => {
  it('is refused when it is for other keys than the device asked for', async () => {
    const world = await World.create('other keys');
    const device = await world.device('DOG-0001');
    const other = await world.device('DOG-0002');
    const theirs = await (await other.pledge()).obtain();
    const honest = world.registrar;
    world.registrar = {
      ...honest,
      handle: async (request) => {
        if (!request.url.endsWith('/activate')) return await honest.handle(request);
        const answer = (await (await honest.handle(request)).json()) as Record<string, unknown>;
        return Response.json({ ...answer, wit: theirs.credentials.wit });
      },
    };
    const pledge = await device.pledge();
    await expect(pledge.obtain()).rejects.toMatchObject({ code: 'provisioning.credentials-refused' });
    expect(pledge.state).toBe('proving');
    world.registrar = honest;
    await expect(pledge.obtain()).resolves.toMatchObject({
      credentials: { agentId: 'spiffe://home.test/agent/dog-0001' },
    });
  });
});

describe('a voucher', () => {
  const enrolWith = async (
    seed: string,
    voucherFor: (world: World, asked: { nonce: string; serial: string }) => ReturnType<World['voucherFor']>,
  ) => {
    const world = await World.create(seed);
    const device = await world.device('DOG-0001');
    world.voucherFor = (asked) => voucherFor(world, asked);
    return { world, device, enrolling: (await device.pledge()).obtain() };
  };
  const at = (world: World) => ({ owner: world.ca.certificate, at: world.clock.now() });

  it('with the nonce of the request is accepted, whatever was before', async () => {
    const { enrolling } = await enrolWith('nonce', (world, { nonce, serial }) =>
      makeVoucher(world.line, { ...at(world), serial, nonce }),
    );
    await expect(enrolling).resolves.toBeDefined();
  });

  it.each([
    ['for another device', 'serial', (world: World) => ({ ...at(world), serial: 'DOG-0002', ownership: 1 })],
    [
      'with the nonce of another request',
      'nonce',
      (world: World) => ({ ...at(world), serial: 'DOG-0001', nonce: 'A'.repeat(43) }),
    ],
    [
      'that has expired',
      'expired',
      (world: World) => ({
        ...at(world),
        serial: 'DOG-0001',
        ownership: 1,
        expiresOn: world.clock.now() - 1,
      }),
    ],
  ] as const)('%s is refused at `%s`', async (_, check, order) => {
    const { enrolling } = await enrolWith(check, (world) => makeVoucher(world.line, order(world)));
    await expect(enrolling).rejects.toMatchObject({ code: 'provisioning.voucher-refused', check });
  });

  it('for another line of the same maker is refused at `idevid-issuer`', async () => {
    const { enrolling } = await enrolWith('line', (world, { serial }) =>
      signVoucher(world.line.voucherKey, {
        serial,
        idevidIssuer: 'ab'.repeat(20),
        pinnedDomainCert: world.ca.certificate,
        createdOn: world.clock.now(),
        ownership: 1,
      }),
    );
    await expect(enrolling).rejects.toMatchObject({ check: 'idevid-issuer' });
  });

  it('that could be replayed for ever is refused, even from the maker', async () => {
    const { enrolling } = await enrolWith('for ever', async (world, { serial }) => {
      const compact = await signJws(world.line.voucherKey, 'voucher-jws+json', {
        'ietf-voucher:voucher': {
          'created-on': '2026-11-24T10:00:00Z',
          assertion: 'verified',
          'serial-number': serial,
          'pinned-domain-cert': base64(world.ca.certificate),
        },
      });
      const [header = '', payload = '', signature = ''] = compact.split('.');
      return { payload, signatures: [{ protected: header, signature }] };
    });
    await expect(enrolling).rejects.toMatchObject({ check: 'nonce' });
  });

  it('of another maker is refused at `signature`', async () => {
    const { enrolling } = await enrolWith('other maker', async (world, { serial }) =>
      makeVoucher(await createMakerLine(world.platform, 'Other'), { ...at(world), serial, ownership: 1 }),
    );
    await expect(enrolling).rejects.toMatchObject({ check: 'signature' });
  });

  it('signed by nobody is refused', async () => {
    const { enrolling } = await enrolWith('unsigned', async (world, { serial }) => {
      const voucher = await makeVoucher(world.line, { ...at(world), serial, ownership: 1 });
      const [{ protected: header }] = voucher.signatures;
      return { ...voucher, signatures: [{ protected: header, signature: 'A'.repeat(86) }] };
    });
    await expect(enrolling).rejects.toMatchObject({ check: 'signature' });
  });

  it('of an earlier owner is refused after a sale, and the present owner may use its own again', async () => {
    const seller = await World.create('seller');
    const device = await seller.device('DOG-0001');
    seller.ownership = 2;
    const pledge = await device.pledge();
    await pledge.obtain();
    await pledge.release();
    await expect(pledge.obtain()).resolves.toBeDefined(); // same owner, same number
    await pledge.release();
    seller.ownership = 1;
    await expect(pledge.obtain()).rejects.toMatchObject({ check: 'ownership' });
    seller.ownership = 2;
    // A second owner with the same number is not the next owner.
    seller.voucherFor = async ({ serial }) =>
      makeVoucher(seller.line, {
        serial,
        owner: (await World.create('thief')).ca.certificate,
        ownership: 2,
        at: seller.clock.now(),
      });
    await expect(pledge.obtain()).rejects.toMatchObject({ check: 'ownership' });
  });

  it('is asked for again after the maker had none', async () => {
    const { device, world, enrolling } = await enrolWith('none', async () => undefined);
    await expect(enrolling).rejects.toMatchObject({ code: 'provisioning.refused', check: 'voucher' });
    world.voucherFor = ({ serial }) => makeVoucher(world.line, { ...at(world), serial, ownership: 1 });
    await expect((await device.pledge()).obtain()).resolves.toBeDefined();
  });
});

describe('a renewal (PV-12, PV-13, PV-14)', () => {
  it('brings fresh keys and keeps identifier and LDevID', async () => {
    const world = await World.create('renew');
    const device = await world.device('DOG-0001');
    const pledge = await device.pledge();
    const first = await pledge.obtain();
    await world.clock.advance(40 * 60_000);
    const second = await pledge.renew();
    expect(second.credentials.agentId).toBe(first.credentials.agentId);
    expect(second.keys.ldevid.kid).toBe(first.keys.ldevid.kid);
    for (const use of ['credential', 'tls', 'lobby'] as const)
      expect(second.keys[use].kid).not.toBe(first.keys[use].kid);
    expect(second.credentials.notAfter).toBe(first.credentials.notAfter + 40 * 60_000);
  });

  it('works after thirty days away: an expired credential bricks nobody', async () => {
    const world = await World.create('away');
    const device = await world.device('DOG-0001');
    await (await device.pledge()).obtain();
    world.reachable = false;
    await world.clock.advance(30 * DAY);
    const restarted = await device.pledge();
    await expect(restarted.obtain()).rejects.toMatchObject({ code: 'core.unreachable', remedy: 'retry' });
    world.reachable = true;
    const { credentials } = await restarted.obtain();
    expect(credentials.notAfter).toBeGreaterThan(world.clock.now());
  });

  it('is refused when what the agent runs has changed, and granted when its owner approves it', async () => {
    const world = await World.create('posture');
    const device = await world.device('DOG-0001');
    const pledge = await device.pledge();
    await pledge.obtain();
    await reboot(device);
    const attester = await startAgent(device.platform, device.tpm, 'bundle of the night');
    const restarted = await device.pledge({ attester });
    await expect(restarted.obtain()).rejects.toMatchObject({ check: 'reference-values' });
    expect(restarted.state).toBe('enrolled');
    world.policy = { ...world.policy, unknown: 'warn' };
    await expect(restarted.obtain()).rejects.toMatchObject({ check: 'reference-values' }); // known name, other digest
    await reboot(device);
    const approved = await device.pledge({
      attester: await startAgent(device.platform, device.tpm, 'bundle 2'),
    });
    await expect(approved.obtain()).resolves.toBeDefined();
  });

  it('of a revoked device is refused, and the device waits for a person', async () => {
    const world = await World.create('revoked');
    const device = await world.device('DOG-0001');
    const pledge = await device.pledge();
    await pledge.obtain();
    await world.registrar.revoke('spiffe://home.test/agent/dog-0001', 'stolen');
    await expect(pledge.renew()).rejects.toMatchObject({ check: 'revoked' });
    expect(pledge.state).toBe('lapsed');
    expect(pledge.held).toBeUndefined();
    const asked = world.asked.length;
    await expect((await device.pledge()).obtain()).rejects.toMatchObject({ check: 'revoked' });
    expect(world.asked).toHaveLength(asked);
    await pledge.release();
    await expect(pledge.obtain()).rejects.toMatchObject({ check: 'revoked' }); // until its owner forgets it
    await world.store.removeDevice('spiffe://home.test/agent/dog-0001');
    await expect(pledge.obtain()).resolves.toBeDefined();
  });

  it('is a new enrolment after TPM2_Clear, with keys made again from the templates of the maker', async () => {
    const world = await World.create('clear');
    const device = await world.device('DOG-0001');
    const pledge = await device.pledge();
    const before = await pledge.obtain();
    await run(device.tpm, TPM2_Clear, { authHandle: TPM_RH.lockout });
    const after = await pledge.renew();
    expect(after.credentials.agentId).toBe(before.credentials.agentId);
    expect(after.keys.ldevid.kid).not.toBe(before.keys.ldevid.kid);
    expect(await readOwnership(device.tpm)).toMatchObject({ sequence: 1 }); // survived
  });

  it('of somebody who copied the stored state, but has another TPM, is refused', async () => {
    const world = await World.create('copied');
    const device = await world.device('DOG-0001');
    await (await device.pledge()).obtain();
    const thief = await world.device('CAT-0001');
    const state = await device.platform.store.read('provisioning/pledge.json');
    await thief.platform.store.write('provisioning/pledge.json', state ?? new Uint8Array());
    const pledge = await thief.pledge();
    const { credentials } = await pledge.obtain();
    // Its TPM does not have the keys: it enrols as what it is.
    expect(credentials.agentId).toBe('spiffe://home.test/agent/cat-0001');
  });
});
