import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { hex, u32 } from '../../src/core/bytes.ts';
import {
  TPM2_Create,
  TPM2_CreatePrimary,
  TPM2_FlushContext,
  TPM2_GetCapability,
  TPM2_Load,
  TPM2_PolicyCommandCode,
  TPM2_PolicyGetDigest,
  TPM2_ReadPublic,
  TPM2_Unseal,
} from '../../src/tpm/commands.ts';
import {
  createPrimary,
  getRandom,
  ldevidTemplate,
  listHandles,
  openSharedTpm,
  openTpm,
  TPM_RH,
} from '../../src/tpm/index.ts';
import { digest } from '../../src/tpm/kdf.ts';
import type { Answering } from '../tpm/raw.ts';
import { ask, codeFor, filled } from '../tpm/raw.ts';
import { startKeyless } from '../tpm/raw-sessions.ts';
import { attributes, creation, fixedStorage, keyedHashTemplate, sealing } from '../tpm/raw-templates.ts';
import { ResourceManager } from './resource-manager.ts';

const boot = (name: string, slots?: number) =>
  SoftwareTpm.create({ random: seededRandom('manager', name), clock: virtualClock(), slots });

const sealed = keyedHashTemplate(attributes('userWithAuth', 'fixedTPM', 'fixedParent'));

const handlesOf = async (tpm: Answering, property: number) => {
  const asked = { capability: 'handles', property, propertyCount: 254 } as const;
  const { capabilityData } = await ask(tpm, TPM2_GetCapability, asked);
  return capabilityData.capability === 'handles' ? capabilityData.data : [];
};

/** What a program does with a TPM of which it sees only its own objects and sessions. */
class Program {
  readonly tpm: Answering;
  readonly parents: { readonly handle: number; readonly name: string }[] = [];
  readonly secrets: { readonly handle: number; readonly data: Uint8Array }[] = [];
  readonly sessions: { readonly handle: number; policy: Uint8Array }[] = [];

  constructor(tpm: Answering) {
    this.tpm = tpm;
  }

  async primary(): Promise<void> {
    const asked = { primaryHandle: TPM_RH.owner, ...creation, inPublic: fixedStorage };
    const { objectHandle, name } = await ask(this.tpm, TPM2_CreatePrimary, asked);
    this.parents.push({ handle: objectHandle, name: hex(name) });
  }

  async seal(byte: number): Promise<void> {
    const parent = this.parents[byte % this.parents.length];
    if (parent === undefined) return;
    const data = filled(1 + (byte % 40), byte);
    const parentHandle = parent.handle;
    const asked = { parentHandle, ...creation, inPublic: sealed, ...sealing(data) };
    const { outPrivate: inPrivate, outPublic: inPublic } = await ask(this.tpm, TPM2_Create, asked);
    const { objectHandle } = await ask(this.tpm, TPM2_Load, { parentHandle, inPrivate, inPublic });
    this.secrets.push({ handle: objectHandle, data });
  }

  async session(): Promise<void> {
    const { handle } = await startKeyless(this.tpm, 'policy');
    this.sessions.push({ handle, policy: filled(32) });
  }

  async assert(index: number): Promise<void> {
    const session = this.sessions[index % this.sessions.length];
    if (session === undefined) return;
    const code = TPM2_Unseal.code;
    await ask(this.tpm, TPM2_PolicyCommandCode, { policySession: session.handle, code });
    session.policy = digest('sha256', session.policy, u32(TPM2_PolicyCommandCode.code), u32(code));
  }

  flush(index: number): Promise<void> {
    return this.flushOne([this.parents, this.secrets, this.sessions][index % 3] ?? [], index);
  }

  async flushOne(held: { readonly handle: number }[], index: number): Promise<void> {
    const [gone] = held.splice(index % Math.max(1, held.length), 1);
    if (gone === undefined) return;
    await ask(this.tpm, TPM2_FlushContext, { flushHandle: gone.handle });
    expect(await codeFor(this.tpm, TPM2_FlushContext, { flushHandle: gone.handle })).not.toBe(0);
  }

  /** Everything it holds is still what it was. */
  async check(): Promise<void> {
    for (const { handle, name } of this.parents)
      expect(hex((await ask(this.tpm, TPM2_ReadPublic, { objectHandle: handle })).name)).toBe(name);
    for (const { handle, data } of this.secrets)
      expect((await ask(this.tpm, TPM2_Unseal, { itemHandle: handle })).outData).toEqual(data);
    for (const { handle, policy } of this.sessions) {
      const { policyDigest } = await ask(this.tpm, TPM2_PolicyGetDigest, { policySession: handle });
      expect(policyDigest).toEqual(policy);
    }
  }
}

describe('a resource manager as that of Linux', () => {
  it('shares the TPM among programs, whatever they do, and leaves nothing loaded', async () => {
    const step = fc.record({
      who: fc.nat({ max: 2 }),
      what: fc.constantFrom('primary', 'seal', 'session', 'assert', 'flush', 'check'),
      index: fc.nat({ max: 255 }),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        const chip = await boot(`property ${run++}`);
        const programs = [0, 1, 2].map(() => new Program(new ResourceManager(chip)));
        for (const { who, what, index } of steps) {
          const program = programs[who];
          if (program === undefined) continue;
          const { parents, secrets, sessions } = program;
          // What one program holds at a time must fit: then the TPM holds it all while its command runs.
          if (parents.length + secrets.length >= 2)
            await program.flushOne(secrets.length > 0 ? secrets : parents, index);
          if (sessions.length >= 2) await program.flushOne(sessions, index);
          await program[what](index);
        }
        for (const program of programs) await program.check();
        for (const range of [0x80000000, 0x02000000]) expect(await handlesOf(chip, range)).toEqual([]);
        const held = programs.flatMap(({ sessions }) => sessions.map(({ handle }) => handle & 0xffffff));
        const saved = (await handlesOf(chip, 0x03000000)).map((handle) => handle & 0xffffff);
        expect(saved).toEqual(held.sort((a, b) => a - b));
      }),
      { seed: 4, numRuns: 40 },
    );
  }, 60_000);

  it('works for thousands of commands of one program', async () => {
    const chip = await boot('thousands');
    const program = new Program(new ResourceManager(chip));
    await program.primary();
    await program.seal(7);
    await program.session();
    for (let i = 0; i < 300; i++) {
      if (i % 50 === 0) await program.assert(0);
      await program.check();
    }
    const [session] = program.sessions;
    expect(session && (await codeFor(program.tpm, TPM2_FlushContext, { flushHandle: session.handle }))).toBe(
      0,
    );
    expect(await handlesOf(chip, 0x03000000)).toEqual([]);
  }, 60_000);

  it('carries the client with its sessions and keys', async () => {
    const clock = virtualClock();
    const chip = await boot('client');
    const manager = new ResourceManager(chip);
    const tpm = await openTpm({
      transport: { exchange: (command) => manager.exchange(command) },
      random: seededRandom('manager', 'caller'),
      clock,
    });
    for (let i = 0; i < 20; i++) {
      const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      expect((await getRandom(tpm, 8)).length).toBe(8);
      await ask(manager, TPM2_FlushContext, { flushHandle: key.handle });
    }
    expect(manager.held.objects).toEqual([]);
    expect(await handlesOf(chip, 0x80000000)).toEqual([]);
  });

  it('has the handles of a program listed, though a later object has a lower one', async () => {
    const manager = new ResourceManager(await boot('listed'));
    const transport = { exchange: (command: Uint8Array) => manager.exchange(command) };
    const random = seededRandom('manager', 'lister');
    const clock = virtualClock();
    const tpm = await openTpm({ transport, random, clock });
    const first = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
    const second = await createPrimary(tpm, { hierarchy: 'endorsement', template: ldevidTemplate });
    expect([first.handle, second.handle]).toEqual([0x80ffffff, 0x80fffffe]);
    expect(await handlesOf(manager, 0x80000000)).toEqual([0x80ffffff, 0x80fffffe]);
    expect(await listHandles(tpm, 'transient')).toEqual([0x80fffffe, 0x80ffffff]);
    const shared = await openSharedTpm({ transport, random, clock });
    expect(await listHandles(shared, 'transient')).toEqual([]);
    expect(
      (await createPrimary(shared, { hierarchy: 'owner', template: ldevidTemplate })).handle >>> 24,
    ).toBe(0x80);
    await shared.close();
    expect(await listHandles(tpm, 'transient')).toEqual([0x80fffffe, 0x80ffffff]);
  });
});
