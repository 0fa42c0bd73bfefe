import { beforeEach, describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { memoryStore } from '../../simulator/store.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { execute } from '../../simulator/tpm/dispatch.ts';
import { Machine } from '../../simulator/tpm/machine.ts';
import { RC } from '../../simulator/tpm/refusal.ts';
import { takeObjectContext, takeSessionContext } from '../../simulator/tpm/slots.ts';
import {
  TPM2_Clear,
  TPM2_ContextLoad,
  TPM2_ContextSave,
  TPM2_Create,
  TPM2_CreatePrimary,
  TPM2_FlushContext,
  TPM2_GetCapability,
  TPM2_Load,
  TPM2_PolicyCommandCode,
  TPM2_PolicyGetDigest,
  TPM2_Shutdown,
  TPM2_StartAuthSession,
  TPM2_Startup,
} from '../../src/tpm/commands.ts';
import { TPM_RH } from '../../src/tpm/index.ts';
import type { TPMS_CONTEXT as Context } from '../../src/tpm/structures.ts';
import type { Answering } from '../tpm/raw.ts';
import { ask, codeFor, filled, none } from '../tpm/raw.ts';
import { keyless } from '../tpm/raw-sessions.ts';
import { creation, fixedStorage, keyedHashTemplate, sealing } from '../tpm/raw-templates.ts';

let tpm: SoftwareTpm;
let chip: Answering;

beforeEach(async () => {
  tpm = await SoftwareTpm.create({ random: seededRandom('context'), clock: virtualClock() });
  chip = tpm;
});

/** The inside of a TPM, whose counters a test can set. */
const newMachine = () =>
  new Machine({
    random: seededRandom('machine'),
    clock: virtualClock(),
    seed: undefined,
    slots: 3,
    implemented: new Set(),
  });

const primary = async (hierarchy: number = TPM_RH.owner, inPublic = fixedStorage) =>
  (await ask(chip, TPM2_CreatePrimary, { primaryHandle: hierarchy, ...creation, inPublic })).objectHandle;
const start = async (type: 'hmac' | 'policy' | 'trial' = 'policy') =>
  (await ask(chip, TPM2_StartAuthSession, keyless(type))).sessionHandle;
const startCode = () => codeFor(chip, TPM2_StartAuthSession, keyless('policy'));
const save = async (saveHandle: number) => (await ask(chip, TPM2_ContextSave, { saveHandle })).context;
const load = async (context: Context) => (await ask(chip, TPM2_ContextLoad, { context })).loadedHandle;
const loadCode = (context: Context) => codeFor(chip, TPM2_ContextLoad, { context });
const flush = (flushHandle: number) => codeFor(chip, TPM2_FlushContext, { flushHandle });
const handles = async (property: number, propertyCount = 254) => {
  const { capabilityData } = await ask(chip, TPM2_GetCapability, {
    capability: 'handles',
    property,
    propertyCount,
  });
  return capabilityData.capability === 'handles' ? capabilityData.data : [];
};
const LOADED = 0x02000000;
const SAVED = 0x03000000;

describe('the context of an object', () => {
  it('is a copy that can be loaded as often as there is room', async () => {
    const context = await save(await primary());
    expect(context).toMatchObject({ savedHandle: 0x80000000, hierarchy: TPM_RH.owner, sequence: 1n });
    expect(await load(context)).toBe(0x80000001);
    expect(await load(context)).toBe(0x80000002);
    expect(await loadCode(context)).toBe(0x902);
    expect(await handles(0x80000000)).toEqual([0x80000000, 0x80000001, 0x80000002]);
  });

  it('is of no use when anything in it was changed: INTEGRITY, SIZE, VALUE', async () => {
    const context = await save(await primary());
    const { contextBlob } = context;
    const broken = contextBlob.slice();
    broken[100] = (broken[100] ?? 0) ^ 1;
    expect(await loadCode({ ...context, contextBlob: broken })).toBe(0x1df);
    expect(await loadCode({ ...context, sequence: 2n })).toBe(0x1df);
    expect(await loadCode({ ...context, hierarchy: TPM_RH.null })).toBe(0x1df);
    expect(await loadCode({ ...context, savedHandle: 0x80000002 })).toBe(0x1df);
    expect(await loadCode({ ...context, savedHandle: 0x80000003 })).toBe(0x1c4);
    expect(await loadCode({ ...context, savedHandle: 0x81000000 })).toBe(0x1c4);
    expect(await loadCode({ ...context, savedHandle: LOADED + 64 })).toBe(0x1c4);
    expect(await loadCode({ ...context, hierarchy: TPM_RH.lockout })).toBe(0x1c4);
    expect(await loadCode({ ...context, contextBlob: filled(10) })).toBe(0x1d5);
    expect(await loadCode({ ...context, contextBlob: none })).toBe(0x09a);
    expect(await load(context)).toBe(0x80000001);
  });

  it('ends with TPM2_Clear where that ends the hierarchy', async () => {
    const ofOwner = await save(await primary());
    const ofPlatform = await save(await primary(TPM_RH.platform));
    await ask(chip, TPM2_Clear, { authHandle: TPM_RH.lockout });
    expect(await loadCode(ofOwner)).toBe(0x1df);
    expect(await loadCode(ofPlatform)).toBe(0);
  });
});

describe('the context of a session', () => {
  it('takes the session out of the TPM, and brings it back once with all it had collected', async () => {
    const session = await start();
    await ask(chip, TPM2_PolicyCommandCode, { policySession: session, code: 0x14b });
    const { policyDigest } = await ask(chip, TPM2_PolicyGetDigest, { policySession: session });
    const context = await save(session);
    expect(context).toMatchObject({ savedHandle: session, hierarchy: TPM_RH.null });
    expect(await codeFor(chip, TPM2_PolicyGetDigest, { policySession: session })).toBe(0x910);
    expect(await load(context)).toBe(session);
    const back = await ask(chip, TPM2_PolicyGetDigest, { policySession: session });
    expect(back.policyDigest).toEqual(policyDigest);
    expect(await loadCode(context)).toBe(0x1cb);
  });

  it('is void when the session was saved again, or flushed', async () => {
    const session = await start();
    const first = await save(session);
    await load(first);
    const second = await save(session);
    expect(await loadCode(first)).toBe(0x1cb);
    expect(await flush(session)).toBe(0);
    expect(await loadCode(second)).toBe(0x1cb);
  });

  it('is told among the saved ones with the first type, by which it can be flushed', async () => {
    const sessions = [await start('hmac'), await start('policy'), await start('trial')];
    expect(sessions).toEqual([0x02000000, 0x03000001, 0x03000002]);
    for (const session of sessions) await save(session);
    expect(await handles(LOADED)).toEqual([]);
    expect(await handles(SAVED)).toEqual([0x02000000, 0x02000001, 0x02000002]);
    expect(await handles(SAVED + 1)).toEqual([0x02000001, 0x02000002]);
    expect(await flush(0x02000001)).toBe(0);
    expect(await handles(SAVED)).toEqual([0x02000000, 0x02000002]);
    expect(await start()).toBe(0x03000001);
    expect(await handles(LOADED)).toEqual([0x03000001]);
    expect(await flush(LOADED + 64)).toBe(0x1c4);
  });

  it('makes room: 3 loaded, 64 in all: SESSION_MEMORY, SESSION_HANDLES', async () => {
    const contexts: Context[] = [];
    for (let i = 0; i < 61; i++) contexts.push(await save(await start()));
    for (let i = 0; i < 3; i++) expect(await start()).toBe(0x03000000 + 61 + i);
    expect(await startCode()).toBe(0x903);
    const [first] = contexts;
    if (first === undefined) throw new Error('nothing saved');
    expect(await loadCode(first)).toBe(0x903);
    await save(0x03000000 + 61);
    expect(await startCode()).toBe(0x905);
    expect(await flush(LOADED + 7)).toBe(0);
    expect(await start()).toBe(0x03000007);
  });

  it('keeps others from being saved when it is too old, until it is loaded: CONTEXT_GAP', async () => {
    const machine = newMachine();
    chip = { exchange: async (command) => execute(machine, command) };
    await ask(chip, TPM2_Startup, { startupType: 'clear' });
    const oldest = await save(await start());
    // Numbers as low as those of the slots (3, and none) stand for loaded sessions.
    expect(oldest.sequence).toBe(4n);
    const busy = await start();
    machine.contextCounter = 0xfffen;
    const last = await save(busy);
    expect(last.sequence).toBe(0xffffn);
    expect(await load(last)).toBe(busy);
    expect(await codeFor(chip, TPM2_ContextSave, { saveHandle: busy })).toBe(0x901);
    expect(await startCode()).toBe(0);
    // The last slot waits for the oldest.
    expect(await startCode()).toBe(0x901);
    expect(await load(oldest)).toBe(oldest.savedHandle);
    expect((await save(busy)).sequence).toBe(0x10004n);
  });
});

describe('the numbers of contexts', () => {
  it('end before they repeat: TOO_MANY_CONTEXTS', () => {
    const machine = newMachine();
    const last = 0xffff_ffff_ffff_ffffn;
    machine.objectContextCounter = last - 1n;
    expect(takeObjectContext(machine)).toBe(last);
    expect(() => takeObjectContext(machine)).toThrow(expect.objectContaining({ code: RC.TOO_MANY_CONTEXTS }));
    machine.contextCounter = last;
    expect(() => takeSessionContext(machine)).toThrow(
      expect.objectContaining({ code: RC.TOO_MANY_CONTEXTS }),
    );
  });
});

describe('contexts over a restart', () => {
  const volatile = { ...fixedStorage, objectAttributes: { ...fixedStorage.objectAttributes, stClear: true } };

  /** An object, one that is stClear, a child of that, one of the NULL hierarchy, and a session, all saved. */
  const saved = async () => {
    const lasting = await primary();
    const parentHandle = await primary(TPM_RH.owner, volatile);
    const made = await ask(chip, TPM2_Create, {
      parentHandle,
      ...creation,
      inPublic: keyedHashTemplate({ userWithAuth: true, fixedTPM: true, fixedParent: true }),
      ...sealing(filled(4)),
    });
    const { outPrivate: inPrivate, outPublic: inPublic } = made;
    const child = await ask(chip, TPM2_Load, { parentHandle, inPrivate, inPublic });
    const contexts = {
      lasting: await save(lasting),
      stClear: await save(parentHandle),
      'child of stClear': await save(child.objectHandle),
    };
    await flush(lasting);
    return {
      ...contexts,
      'of the NULL hierarchy': await save(await primary(TPM_RH.null)),
      session: await save(await start()),
    };
  };
  const codes = async (contexts: Readonly<Record<string, Context>>) => {
    const found: Record<string, number> = {};
    for (const [name, context] of Object.entries(contexts)) {
      found[name] = await loadCode(context);
      await flush(0x80000000);
    }
    return found;
  };
  const all = (code: number, changed: Readonly<Record<string, number>> = {}) => ({
    lasting: code,
    stClear: code,
    'child of stClear': code,
    'of the NULL hierarchy': code,
    session: code,
    ...changed,
  });

  it('after TPM2_Shutdown(STATE): a resume ends none of them', async () => {
    const contexts = await saved();
    await ask(chip, TPM2_Shutdown, { shutdownType: 'state' });
    await tpm.powerCycle();
    await ask(chip, TPM2_Startup, { startupType: 'state' });
    expect(await handles(0x80000000)).toEqual([]);
    expect(await handles(SAVED)).toEqual([0x02000000]);
    expect(await codes(contexts)).toEqual(all(0));
  });

  it('after TPM2_Shutdown(STATE): a restart ends those of stClear objects and what hangs below', async () => {
    const contexts = await saved();
    await ask(chip, TPM2_Shutdown, { shutdownType: 'state' });
    await tpm.powerCycle();
    await ask(chip, TPM2_Startup, { startupType: 'clear' });
    expect(await codes(contexts)).toEqual(all(0, { stClear: 0x1df, 'child of stClear': 0x1df }));
  });

  it('without TPM2_Shutdown(STATE): a reset ends all of them', async () => {
    const contexts = await saved();
    await ask(chip, TPM2_Shutdown, { shutdownType: 'clear' });
    await tpm.powerCycle();
    await ask(chip, TPM2_Startup, { startupType: 'clear' });
    expect(await codes(contexts)).toEqual(all(0x1df));
    expect(await handles(SAVED)).toEqual([]);
    expect((await save(await start())).sequence).toBe(4n);
  });

  it('are loaded by another process that wakes the same TPM', async () => {
    const store = memoryStore();
    const clock = virtualClock();
    const make = (name: string, startup: 'clear' | 'none') =>
      SoftwareTpm.create({ random: seededRandom(name), clock, store, startup });
    chip = await make('first', 'clear');
    const contexts = await saved();
    await ask(chip, TPM2_Shutdown, { shutdownType: 'state' });
    chip = await make('second', 'none');
    await ask(chip, TPM2_Startup, { startupType: 'state' });
    expect(await codes(contexts)).toEqual(all(0));
  });
});
