import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encode } from '../../src/tpm/codec.ts';
import {
  TPM2_Clear,
  TPM2_ContextLoad,
  TPM2_ContextSave,
  TPM2_Create,
  TPM2_CreatePrimary,
  TPM2_EvictControl,
  TPM2_FlushContext,
  TPM2_GetCapability,
  TPM2_Load,
  TPM2_ReadPublic,
  TPM2_StartAuthSession,
} from '../../src/tpm/commands.ts';
import { TPM_RH } from '../../src/tpm/index.ts';
import type { TPMS_CONTEXT as Context, TPMT_PUBLIC as Public } from '../../src/tpm/structures.ts';
import { TPML_HANDLE } from '../../src/tpm/structures.ts';
import { ask, bytesOf, filled } from '../tpm/raw.ts';
import { keyless } from '../tpm/raw-sessions.ts';
import { attributes, creation, fixedStorage, keyedHashTemplate, sealing } from '../tpm/raw-templates.ts';
import type { Pair } from './pair.ts';
import { startPair } from './pair.ts';
import { needs } from './present.ts';

const { owner, platform } = TPM_RH;
type Both = { readonly ours: Context; readonly its: Context };

describe.skipIf(!needs('swtpm'))('handles of the software TPM and of swtpm', { timeout: 60_000 }, () => {
  let pair: Pair;

  beforeEach(async () => {
    pair = await startPair();
  });
  afterEach(() => pair.close());

  const primary = (what: string, hierarchy: number = owner, inPublic: Public = fixedStorage) =>
    pair.compare(what, TPM2_CreatePrimary, { primaryHandle: hierarchy, ...creation, inPublic });
  const flush = (flushHandle: number) =>
    pair.compare(`flush ${flushHandle.toString(16)}`, TPM2_FlushContext, { flushHandle });
  const start = (sessionType: 'hmac' | 'policy' | 'trial') =>
    pair.compare(`start ${sessionType}`, TPM2_StartAuthSession, keyless(sessionType));
  const save = async (saveHandle: number): Promise<Both> => {
    const ours = await ask(pair.ours, TPM2_ContextSave, { saveHandle });
    const its = await ask(pair.its, TPM2_ContextSave, { saveHandle });
    for (const member of ['sequence', 'savedHandle', 'hierarchy'] as const)
      expect(ours.context[member]).toBe(its.context[member]);
    return { ours: ours.context, its: its.context };
  };
  const load = (what: string, context: Both, change: (context: Context) => Context = (same) => same) =>
    pair.compareEach(what, (which) => bytesOf(TPM2_ContextLoad, { context: change(context[which]) }));
  /** Handles that both tell from `property` on, which are the same. */
  const handles = async (property: number, propertyCount = 254) => {
    const asked = { capability: 'handles', property, propertyCount } as const;
    const [ours, its] = [
      await ask(pair.ours, TPM2_GetCapability, asked),
      await ask(pair.its, TPM2_GetCapability, asked),
    ];
    expect(ours).toEqual(its);
    return ours.capabilityData.capability === 'handles' ? ours.capabilityData.data : [];
  };
  const everyHandle = async () => {
    for (const range of [0x80000000, 0x02000000, 0x03000000, 0x81000000])
      for (const from of [0, 1, 2, 3, 63])
        for (const count of [0, 1, 2, 254]) await handles(range + from, count);
  };

  it('are given out in the same order, for objects and sessions that come and go', async () => {
    for (let i = 0; i < 4; i++) await primary(`primary ${i}`);
    await everyHandle();
    await flush(0x80000001);
    await primary('in the gap');
    for (const type of ['policy', 'hmac', 'trial', 'policy'] as const) await start(type);
    await everyHandle();
    const kept = [await save(0x03000000), await save(0x02000001)];
    await everyHandle();
    for (const handle of [0x02000000, 0x02000001, 0x03000005, 0x02000040, 0x80000007, 0x81000000, owner, 0])
      await flush(handle);
    for (const context of kept) await load('after a flush', context);
    for (let i = 0; i < 3; i++) await start('policy');
    await everyHandle();
    expect(pair.differences()).toEqual([]);
  });

  it('run out at the same numbers: 3 loaded, 64 sessions in all', async () => {
    const saved: Both[] = [];
    for (let i = 0; i < 61; i++) {
      expect(await start('policy')).toEqual([0, 0]);
      saved.push(await save(0x03000000 + i));
    }
    for (let i = 0; i < 4; i++) await start('policy');
    await everyHandle();
    const [first] = saved;
    if (first !== undefined) await load('without a slot', first);
    await save(0x03000000 + 62);
    expect(await start('policy')).toEqual([0x905, 0x905]);
    if (first !== undefined) expect(await load('with a slot', first)).toEqual([0, 0]);
    await everyHandle();
    expect(pair.differences()).toEqual([]);
  });

  it('come back from contexts, and not from changed ones', async () => {
    await primary('an object');
    const context = await save(0x80000000);
    expect(await load('a copy', context)).toEqual([0, 0]);
    await flush(0x80000001);
    await load('another number', context, (one) => ({ ...one, sequence: one.sequence + 1n }));
    for (const savedHandle of [0x80000001, 0x80000002, 0x80000003, 0x81000000, 0x02000000, 0x02000040, owner])
      await load(`as ${savedHandle.toString(16)}`, context, (one) => ({ ...one, savedHandle }));
    for (const hierarchy of [TPM_RH.endorsement, platform, TPM_RH.lockout, TPM_RH.null, 0x80000000])
      await load(`in ${hierarchy.toString(16)}`, context, (one) => ({ ...one, hierarchy }));
    for (const size of [0, 1, 2, 10])
      await load(`cut to ${size}`, context, (one) => ({ ...one, contextBlob: filled(size) }));
    await load('cut', context, (one) => ({ ...one, contextBlob: one.contextBlob.subarray(0, -1) }));
    await load('a bit flipped', context, (one) => {
      const contextBlob = one.contextBlob.slice();
      contextBlob[99] = (contextBlob[99] ?? 0) ^ 1;
      return { ...one, contextBlob };
    });
    await start('policy');
    const session = await save(0x03000000);
    await load('of another type', session, (one) => ({ ...one, savedHandle: 0x02000000 }));
    expect(await load('the session', session)).toEqual([0, 0]);
    await load('the session again', session);
    const again = await save(0x03000000);
    await load('an old context', session);
    await flush(0x02000000);
    await load('of a flushed session', again);
    await pair.compare('clear', TPM2_Clear, { authHandle: TPM_RH.lockout });
    await load('after TPM2_Clear', context);
    expect(pair.differences()).toEqual([]);
  });

  it('become persistent, and cease to be, under the same rules', async () => {
    const evict = (auth: number, objectHandle: number, persistentHandle: number) =>
      pair.compare(
        `${auth.toString(16)}: ${objectHandle.toString(16)} as ${persistentHandle.toString(16)}`,
        TPM2_EvictControl,
        { auth, objectHandle, persistentHandle },
      );
    const targets = [0x81000000, 0x817fffff, 0x81800000, 0x81ffffff, 0x80000000, owner, 0x01000000];
    const stClear = {
      ...fixedStorage,
      objectAttributes: { ...fixedStorage.objectAttributes, stClear: true },
    };
    const objects = [
      [owner, fixedStorage],
      [platform, fixedStorage],
      [TPM_RH.endorsement, fixedStorage],
      [TPM_RH.null, fixedStorage],
      [owner, stClear],
    ] as const;
    for (const [hierarchy, template] of objects) {
      await primary('to be kept', hierarchy, template);
      for (const auth of [owner, platform, TPM_RH.endorsement, TPM_RH.lockout])
        for (const target of targets) await evict(auth, 0x80000000, target);
      await everyHandle();
      for (const auth of [owner, platform])
        for (const target of targets.slice(0, 4)) await evict(auth, target, target + 1);
      for (const auth of [owner, platform])
        for (const target of targets.slice(0, 4)) await evict(auth, target, target);
      await flush(0x80000000);
    }
    await primary('a parent that is stClear', owner, stClear);
    const inPublic = keyedHashTemplate(attributes('userWithAuth', 'fixedTPM', 'fixedParent', 'noDA'));
    for (const tpm of [pair.ours, pair.its]) {
      const asked = { parentHandle: 0x80000000, ...creation, inPublic, ...sealing(filled(3)) };
      const { outPrivate: inPrivate, outPublic } = await ask(tpm, TPM2_Create, asked);
      await ask(tpm, TPM2_Load, { parentHandle: 0x80000000, inPrivate, inPublic: outPublic });
    }
    await evict(owner, 0x80000001, 0x81000000);
    expect((await save(0x80000001)).ours.savedHandle).toBe(0x80000002);
    await pair.compare('read', TPM2_ReadPublic, { objectHandle: 0x80000001 });
    expect(encode(TPML_HANDLE, await handles(0x80000000)).length).toBe(4 + 8);
    expect(pair.differences()).toEqual([]);
  });
});
