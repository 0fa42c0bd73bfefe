import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sqliteDialect } from '../../src/authority/sqlite.ts';
import type { AuthorityStore } from '../../src/authority/store.ts';
import { openStore } from '../../src/authority/store.ts';
import type { DeviceRecord } from '../../src/provisioning/registrar-store.ts';
import type { RegistryRecord } from '../../src/registry/registry-store.ts';
import type { NewToken } from '../../src/tokens/issuer-store.ts';
import { STATUS_LIST_SIZE } from '../../src/tokens/issuer-store.ts';
import { DOG, MOVE, VEHICLE } from '../tokens/house.ts';

const memory = () => openStore(sqliteDialect(':memory:'));
const NOW = Date.UTC(2026, 10, 24);
const SECONDS = NOW / 1000;

const token = (jti: string, over: Partial<NewToken> = {}): NewToken => ({
  jti,
  kind: 'access',
  client: DOG,
  subject: DOG,
  task: undefined,
  jkt: 'k',
  exp: SECONDS + 300,
  families: ['g1'],
  tags: [`client:${DOG}`, 'family:g1'],
  ...over,
});

async function granted(): Promise<AuthorityStore> {
  const store = await memory();
  await store.issuer.addGrant({ id: 'g1', client: DOG, details: MOVE, createdAt: NOW, revoked: false });
  return store;
}

describe("the issuer's store", () => {
  it('issues under open tags with their generations, and under closed ones nothing', async () => {
    const { issuer } = await granted();
    expect(await issuer.issue(token('a'), NOW)).toEqual({
      issued: true,
      generations: { [`client:${DOG}`]: 0, 'family:g1': 0 },
      list: 0,
      index: 0,
    });
    const revoked = await issuer.revoke({
      tags: [`client:${DOG}`],
      close: false,
      now: NOW,
      until: SECONDS + 1,
    });
    expect(revoked).toMatchObject({
      sequence: 1,
      tokens: 1,
      raised: [{ tag: `client:${DOG}`, generation: 1 }],
    });
    expect(await issuer.issue(token('b'), NOW)).toMatchObject({
      generations: { [`client:${DOG}`]: 1 },
      index: 1,
    });
    await issuer.revoke({ tags: [`client:${DOG}`], close: true, now: NOW, until: SECONDS + 1 });
    expect(await issuer.issue(token('c'), NOW)).toEqual({ issued: false, closed: `client:${DOG}` });
    expect(await issuer.reopen(`client:${DOG}`)).toBe(true);
    expect(await issuer.issue(token('d'), NOW)).toMatchObject({ generations: { [`client:${DOG}`]: 2 } });
  });

  it('issues nothing from a grant that is gone, and ends a grant with its family', async () => {
    const { issuer } = await granted();
    expect(await issuer.issue(token('a', { families: ['g2'] }), NOW)).toEqual({
      issued: false,
      closed: 'family:g2',
    });
    await issuer.revoke({ tags: ['family:g1'], close: true, now: NOW, until: SECONDS });
    expect((await issuer.grants(DOG)).map(({ revoked }) => revoked)).toEqual([true]);
    expect(await issuer.issue(token('b'), NOW)).toEqual({ issued: false, closed: 'family:g1' });
  });

  it('never gives one identifier or one place twice', async () => {
    const { issuer } = await granted();
    await issuer.issue(token('a'), NOW);
    await expect(issuer.issue(token('a'), NOW)).rejects.toThrow();
    const places = await Promise.all(Array.from({ length: 50 }, (_, i) => issuer.issue(token(`t${i}`), NOW)));
    expect(new Set(places.map((place) => place.issued && place.index)).size).toBe(50);
    expect(
      await issuer.addGrant({ id: 'g1', client: VEHICLE, details: MOVE, createdAt: NOW, revoked: false }),
    ).toBe(false);
  });

  it('says which lists there are and what in them is no longer valid', async () => {
    const { issuer } = await granted();
    expect(await issuer.statusList(0)).toBeUndefined();
    for (const jti of ['a', 'b', 'c']) await issuer.issue(token(jti), NOW);
    await issuer.revoke({ tags: ['token:b'], close: true, now: NOW, until: SECONDS });
    expect(await issuer.statusList(0)).toEqual({ size: 3, marked: [{ index: 1, status: 1 }] });
    expect(await issuer.statusList(1)).toBeUndefined();
    expect(STATUS_LIST_SIZE).toBe(65_536);
  });

  it('keeps replay memory by time, and sweeps what is over', async () => {
    const { issuer } = await granted();
    expect(await issuer.consume('p', NOW + 1_000, NOW)).toBe('fresh');
    expect(await issuer.consume('p', NOW + 1_000, NOW + 999)).toBe('replayed');
    expect(await issuer.consume('p', NOW + 5_000, NOW + 1_001)).toBe('fresh');
    await issuer.issue(token('a'), NOW);
    await issuer.sweep(NOW + 2 * 86_400_000);
    expect(await issuer.token('a')).toBeUndefined();
    expect(await issuer.issue(token('b', { exp: SECONDS + 1e6 }), NOW)).toMatchObject({ index: 1 });
  });

  it('gives a task to the first coordinator alone', async () => {
    const { issuer } = await memory();
    expect(await Promise.all([issuer.claimTask('t', DOG), issuer.claimTask('t', VEHICLE)])).toEqual([
      true,
      false,
    ]);
    expect(await issuer.claimTask('t', DOG)).toBe(true);
    expect(await issuer.coordinatorOf('t')).toBe(DOG);
    expect(await issuer.coordinatorOf('u')).toBeUndefined();
  });
});

const device = (over: Partial<DeviceRecord> = {}): DeviceRecord => ({
  agentId: DOG,
  slug: 'slug-dog',
  maker: 'acme',
  model: 'dog',
  serial: '1',
  ek: 'e1',
  idevid: 'd1',
  iak: 'a1',
  hwSerialNum: 'h1',
  simulated: true,
  lak: '00',
  ldevid: '00',
  ldevidJwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' },
  capabilities: ['lidar'],
  owner: 'owner',
  aibom: '00',
  aibomBytes: '',
  endorsement: '',
  status: 'active',
  enrolledAt: NOW,
  renewedAt: NOW,
  ...over,
});

describe("the registrar's store", () => {
  const fresh = {
    agentId: VEHICLE,
    slug: 's2',
    serial: '2',
    ek: 'e2',
    idevid: 'd2',
    iak: 'a2',
    hwSerialNum: 'h2',
  };
  it.each([
    ['ek', { ek: 'e1' }, 'unique-ek'],
    ['IDevID', { idevid: 'd1' }, 'unique-idevid'],
    ['IAK', { iak: 'a1' }, 'unique-iak'],
    ['maker and serial', { serial: '1' }, 'unique-serial'],
    ['hardware serial', { hwSerialNum: 'h1' }, 'unique-hardware-module'],
    ['slug', { slug: 'slug-dog' }, 'unique-slug'],
  ])('lets no second device have the same %s', async (_name, same, check) => {
    const { registrar } = await memory();
    expect(await registrar.claimDevice(device())).toBeUndefined();
    expect(await registrar.claimDevice(device({ ...fresh, ...same }))).toBe(check);
    expect(await registrar.device(VEHICLE)).toBeUndefined();
    expect(await registrar.claimDevice(device(fresh))).toBeUndefined();
  });

  it('lets the same device enrol again, and no other under its name', async () => {
    const { registrar } = await memory();
    await registrar.claimDevice(device());
    expect(await registrar.claimDevice(device({ lak: '01' }))).toBeUndefined();
    expect((await registrar.device(DOG))?.lak).toBe('01');
    expect(await registrar.claimDevice(device({ ...fresh, agentId: DOG }))).toBe('unique-ek');
    expect(await registrar.claimDevice(device({ serial: '9' }))).toBe('unique-serial');
    expect(await registrar.claimDevice(device({ maker: 'other' }))).toBe('unique-serial');
  });

  it('never lets a renewal or an enrolment undo a revocation', async () => {
    const { registrar } = await memory();
    await registrar.claimDevice(device());
    expect(await registrar.updateDevice(device({ renewedAt: NOW + 1 }))).toBe(true);
    expect(await registrar.revokeDevice(DOG)).toBe(true);
    expect(await registrar.updateDevice(device())).toBe(false);
    expect(await registrar.claimDevice(device())).toBe('revoked');
    expect((await registrar.device(DOG))?.status).toBe('revoked');
    expect(await registrar.removeDevice(DOG)).toBe(true);
    expect(await registrar.claimDevice(device())).toBeUndefined();
    expect(await registrar.revokeDevice(VEHICLE)).toBe(false);
  });

  it('hands a challenge out once, also when two ask at the same moment', async () => {
    const { registrar } = await memory();
    await registrar.putChallenge({ id: 'c', expiresAt: NOW, state: '{}' });
    const taken = await Promise.all([registrar.takeChallenge('c'), registrar.takeChallenge('c')]);
    expect(taken.filter((one) => one !== undefined)).toHaveLength(1);
    await registrar.putChallenge({ id: 'd', expiresAt: NOW, state: '{}' });
    expect(await registrar.sweepChallenges(NOW)).toBe(1);
    expect(await registrar.sweepChallenges(NOW + 1)).toBe(0);
  });
});

describe("the registry's store", () => {
  const record = (
    agentId: string,
    capabilities: readonly string[],
    expiresAt = NOW + 1_000,
  ): RegistryRecord => ({
    agentId,
    slug: 's',
    trustDomain: 'fleet.example',
    capabilities,
    wit: 'w',
    lobbyCertificate: 'l',
    expiresAt,
  });

  it('finds who offers all that is asked for, and forgets who is over', async () => {
    const { registry } = await memory();
    await registry.put(record(DOG, ['lidar', 'walk']));
    await registry.put(record(VEHICLE, ['arm.lift', 'lidar']));
    const found = async (...names: string[]) =>
      (await registry.find(names, NOW)).map(({ agentId }) => agentId);
    expect(await found('lidar')).toEqual([DOG, VEHICLE]);
    expect(await found('lidar', 'walk')).toEqual([DOG]);
    expect(await found("lidar' or 1=1 --")).toEqual([]);
    await registry.put(record(DOG, ['walk']));
    expect(await found('lidar')).toEqual([VEHICLE]);
    expect(await registry.find(['walk'], NOW + 1_001)).toEqual([]);
    await registry.sweep(NOW + 1_001);
    expect(await registry.remove(DOG)).toBe(false);
  });

  it('counts a request once', async () => {
    const { registry } = await memory();
    expect(await registry.useOnce(DOG, 'j', NOW)).toBe(true);
    expect(await registry.useOnce(DOG, 'j', NOW)).toBe(false);
    expect(await registry.useOnce(VEHICLE, 'j', NOW)).toBe(true);
  });
});

describe('the database file', () => {
  it('holds after kill -9 exactly what was acknowledged, and opens again (PV, RV-08)', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fealty-store-'));
    try {
      const file = join(folder, 'authority.db');
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', join(import.meta.dirname, 'store-child.ts'), file],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const acknowledged: string[] = [];
      let text = '';
      child.stdout.setEncoding('utf8');
      for await (const part of child.stdout as AsyncIterable<string>) {
        text += part;
        const lines = text.split('\n');
        text = lines.pop() ?? '';
        acknowledged.push(...lines);
        if (acknowledged.length >= 60) break;
      }
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      const store = await openStore(sqliteDialect(file));
      for (const line of acknowledged) {
        const [what, jti = ''] = line.split(' ');
        expect(await store.issuer.token(jti), line).toMatchObject({
          status: what === 'revoked' ? 1 : expect.any(Number),
        });
      }
      // Whole transactions only: every token that is there has all its tags.
      const last = await store.issuer.issue(token('after'), NOW);
      expect(last).toMatchObject({ issued: true });
      const place = last.issued ? last.index : 0;
      for (let i = 0; i < place; i++) {
        const found = await store.issuer.token(`t${i}`);
        expect(found?.tags.length).toBe(2);
      }
      await store.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
