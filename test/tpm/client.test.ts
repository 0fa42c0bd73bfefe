import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { concat, u32 } from '../../src/core/bytes.ts';
import { encodeRefusal, encodeResponse, encodeResponseParameters } from '../../src/tpm/chip-framing.ts';
import { Slots } from '../../src/tpm/client/slots.ts';
import { TPM2_GetRandom, TPM2_SelfTest, TPM2_Startup } from '../../src/tpm/commands.ts';
import type { Tpm, Transport } from '../../src/tpm/index.ts';
import { getRandom, openTpm, run } from '../../src/tpm/index.ts';
import { describeResponseCode } from '../../src/tpm/response-codes.ts';

const random = seededRandom(1);

/** What a command gets when nothing is to be refused. */
function agreeable(command: Uint8Array): Uint8Array {
  const code = new DataView(command.buffer, command.byteOffset).getUint32(6);
  if (code === 0x17a) {
    const data = [{ property: 0x105, value: 0x46454c54 }];
    const capabilityData = { capability: 'tpmProperties', data };
    return answer(TPM2_GetCapabilityLike(capabilityData));
  }
  if (code === TPM2_GetRandom.code) return answer(concat(Uint8Array.of(0, 8), new Uint8Array(8)));
  return answer(new Uint8Array(0));
}

function TPM2_GetCapabilityLike(value: {
  readonly data: readonly { readonly property: number; readonly value: number }[];
}): Uint8Array {
  const properties = value.data.map((one) => concat(u32(one.property), u32(one.value)));
  return concat(Uint8Array.of(0), u32(6), u32(properties.length), ...properties);
}

function answer(parameters: Uint8Array): Uint8Array {
  return encodeResponse([], parameters, undefined);
}

/** A TPM behind a script: each call gets the next answer, then the agreeable one. */
function scripted(script: ((command: Uint8Array) => Uint8Array | Promise<Uint8Array>)[] = []) {
  const sent: Uint8Array[] = [];
  let closed = 0;
  const transport: Transport = {
    async exchange(command) {
      sent.push(command);
      return await (script.shift() ?? agreeable)(command);
    },
    close() {
      closed += 1;
    },
  };
  return { transport, sent, script, closed: () => closed };
}

const refuse = (code: number) => () => encodeRefusal(code);
const never = () => new Promise<Uint8Array>(() => {});

describe('opening a TPM', () => {
  it('starts it up when nobody has (INITIALIZE), and reads who made it', async () => {
    const { transport, sent } = scripted([refuse(0x100)]);
    const tpm = await openTpm({ transport, random, clock: virtualClock() });
    expect(sent.map((command) => new DataView(command.buffer).getUint32(6))).toEqual([
      0x17a,
      TPM2_Startup.code,
      0x17a,
    ]);
    expect(tpm.manufacturer).toBe('FELT');
  });

  it('lets go of the transport when it fails', async () => {
    const { transport, closed } = scripted([refuse(0x101)]);
    await expect(openTpm({ transport, random, clock: virtualClock() })).rejects.toMatchObject({
      reason: 'FAILURE',
    });
    expect(closed()).toBe(1);
  });
});

describe('a command', () => {
  it.each([
    ['RETRY', 0x922],
    ['YIELDED', 0x908],
    ['TESTING', 0x90a],
  ])('is sent again, the same bytes, after %s', async (_, code) => {
    const clock = virtualClock();
    const { transport, sent, script } = scripted();
    const tpm = await openTpm({ transport, random, clock });
    script.push(refuse(code), refuse(code), refuse(code));
    const done = getRandom(tpm, 8);
    await clock.advance(5000);
    expect(await done).toHaveLength(8);
    expect(sent).toHaveLength(5);
    expect(new Set(sent.slice(1).map((command) => Buffer.from(command).toString('hex'))).size).toBe(1);
  });

  it('is not sent again for ever', async () => {
    const clock = virtualClock();
    const { transport, sent, script } = scripted();
    const tpm = await openTpm({ transport, random, clock });
    for (let i = 0; i < 100; i++) script.push(refuse(0x922));
    const done = getRandom(tpm, 8);
    const outcome = expect(done).rejects.toMatchObject({ reason: 'RETRY', remedy: 'retry' });
    await clock.advance(60_000);
    await outcome;
    expect(sent).toHaveLength(14);
  });

  it('is given up after its deadline: TpmSilent; the next one still works', async () => {
    const clock = virtualClock();
    const { transport, script } = scripted();
    const tpm = await openTpm({ transport, random, clock, timeoutMs: 1000 });
    script.push(never);
    const done = expect(getRandom(tpm, 8)).rejects.toMatchObject({ code: 'tpm.silent' });
    const next = getRandom(tpm, 8);
    await clock.advance(1001);
    await done;
    expect(await next).toHaveLength(8);
  });

  it('waits for those before it; too many are refused: TpmBusy', async () => {
    const clock = virtualClock();
    const { transport, sent, script } = scripted();
    const tpm = await openTpm({ transport, random, clock, waitingMax: 3 });
    let release: (value: Uint8Array) => void = () => {};
    script.push(() => new Promise((resolve) => (release = resolve)));
    const first = run(tpm, TPM2_SelfTest, { fullTest: 'yes' });
    const abort = new AbortController();
    const second = run(tpm, TPM2_GetRandom, { bytesRequested: 8 }, { signal: abort.signal });
    const third = getRandom(tpm, 8);
    await expect(getRandom(tpm, 8)).rejects.toMatchObject({ code: 'tpm.busy', remedy: 'retry' });
    abort.abort(new Error('changed my mind'));
    release(answer(new Uint8Array(0)));
    await first;
    await expect(second).rejects.toThrow('changed my mind');
    expect(await third).toHaveLength(8);
    expect(sent).toHaveLength(3); // the aborted one was never sent
  });

  it('is not taken any more once the TPM is closed, which can be done twice', async () => {
    const { transport, closed } = scripted();
    const tpm = await openTpm({ transport, random, clock: virtualClock() });
    await tpm.close();
    await tpm.close();
    expect(closed()).toBe(1);
    await expect(getRandom(tpm, 8)).rejects.toMatchObject({ code: 'tpm.silent' });
  });

  it('whose transport breaks is TpmSilent, with the cause', async () => {
    const { transport, script } = scripted();
    const tpm = await openTpm({ transport, random, clock: virtualClock() });
    script.push(() => {
      throw new Error('cable cut');
    });
    await expect(getRandom(tpm, 8)).rejects.toMatchObject({
      code: 'tpm.silent',
      cause: { message: 'cable cut' },
    });
  });

  it('of a misspelt constant or an unknown member does not compile', () => {
    const misspelt = (tpm: Tpm) => [
      // @ts-expect-error no such startup type
      () => run(tpm, TPM2_Startup, { startupType: 'cleer' }),
      // @ts-expect-error no such parameter
      () => run(tpm, TPM2_GetRandom, { bytesRequested: 8, colour: 'red' }),
      // @ts-expect-error missing parameter
      () => run(tpm, TPM2_GetRandom, {}),
    ];
    expect(misspelt).toBeTypeOf('function');
    expect(encodeResponseParameters(TPM2_GetRandom, { randomBytes: Uint8Array.of(7) })).toEqual(
      Uint8Array.of(0, 1, 7),
    );
  });
});

describe('session places', () => {
  it('are taken all at once, first come, first served', async () => {
    const slots = new Slots(3);
    const order: string[] = [];
    const gates = new Map<string, () => void>();
    const hold = (name: string, count: number) =>
      slots.hold(count, async () => {
        order.push(name);
        await new Promise<void>((resolve) => gates.set(name, resolve));
      });
    const work = [hold('a', 2), hold('b', 3), hold('c', 1)];
    await Promise.resolve();
    expect(order).toEqual(['a']); // c would fit, but b was first
    gates.get('a')?.();
    await work[0];
    await Promise.resolve();
    expect(order).toEqual(['a', 'b']);
    gates.get('b')?.();
    await work[1];
    await Promise.resolve();
    expect(order).toEqual(['a', 'b', 'c']);
    gates.get('c')?.();
    await Promise.all(work);
    await expect(slots.hold(4, async () => {})).rejects.toThrow(TypeError);
  });
});

describe('response codes', () => {
  it.each([
    [0x18b, 'HANDLE', { kind: 'handle', number: 1 }, false],
    [0x28b, 'HANDLE', { kind: 'handle', number: 2 }, false],
    [0x98e, 'AUTH_FAIL', { kind: 'session', number: 1 }, false],
    [0x9a2, 'BAD_AUTH', { kind: 'session', number: 1 }, false],
    [0x99d, 'POLICY_FAIL', { kind: 'session', number: 1 }, false],
    [0x1df, 'INTEGRITY', { kind: 'parameter', number: 1 }, false],
    [0x2d6, 'SYMMETRIC', { kind: 'parameter', number: 2 }, false],
    [0x084, 'VALUE', { kind: 'handle', number: 0 }, false],
    [0x12f, 'AUTH_UNAVAILABLE', undefined, false],
    [0x148, 'NV_LOCKED', undefined, false],
    [0x922, 'RETRY', undefined, true],
    [0x921, 'LOCKOUT', undefined, true],
    [0x01e, 'BAD_TAG', undefined, false],
    // said by the resource manager of Linux in place of the TPM
    [0xb_008b, 'HANDLE', { kind: 'handle', number: 0 }, false],
    [0xb_0143, 'COMMAND_CODE', undefined, false],
    [0xc_0143, '0xc0143', undefined, false],
    [0x1ff_ffff, '0x1ffffff', { kind: 'parameter', number: 15 }, false],
  ] as const)('0x%s is %s', (code, name, operand, warning) => {
    expect(describeResponseCode(code)).toEqual({ name, operand, warning });
  });
});
