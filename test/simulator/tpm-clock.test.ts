import { describe, expect, it } from 'vitest';
import { TPM2_ClockRateAdjust, TPM2_ClockSet, TPM2_GetTime, TPM2_ReadClock } from '../../src/tpm/commands.ts';
import { readAttest } from '../../src/tpm/index.ts';
import { Bench } from './tpm-bench.ts';

const OWNER = 0x40000001;

const now = (bench: Bench) => {
  const { time, clockInfo } = bench.ask(TPM2_ReadClock, {}).currentTime;
  return { time: Number(time), clock: clockInfo.clock, safe: clockInfo.safe === 'yes' };
};
const set = (bench: Bench, newTime: bigint) => bench.code(TPM2_ClockSet, { auth: OWNER, newTime });
const adjust = (bench: Bench, rateAdjust: Parameters<typeof rate>[0]) =>
  bench.code(TPM2_ClockRateAdjust, rate(rateAdjust));
const rate = (
  rateAdjust:
    | 'coarseSlower'
    | 'mediumSlower'
    | 'fineSlower'
    | 'noChange'
    | 'fineFaster'
    | 'mediumFaster'
    | 'coarseFaster',
) => ({ auth: OWNER, rateAdjust });

describe('the clock of the software TPM', () => {
  it('tells TIME since power on, and CLOCK of all its life with power', async () => {
    const bench = new Bench();
    await bench.clock.advance(5000);
    expect(now(bench)).toEqual({ time: 5000, clock: 5000n, safe: true });
    bench.chip.shutDown('clear');
    bench.chip.powerOff();
    await bench.clock.advance(60_000);
    bench.chip.powerOn();
    await bench.clock.advance(10);
    bench.chip.startup('clear');
    expect(now(bench)).toEqual({ time: 10, clock: 5010n, safe: true });
  });

  it('goes on from what was stored, in another process', async () => {
    const bench = new Bench();
    set(bench, 1n << 62n);
    await bench.clock.advance(5000);
    bench.chip.shutDown('clear');
    bench.reboot();
    bench.chip.startup('clear');
    expect(now(bench)).toEqual({ time: 0, clock: (1n << 62n) + 5000n, safe: true });
  });

  it('is not safe after a power cut until it would have been stored anew, even over an orderly start', async () => {
    const bench = new Bench();
    await bench.clock.advance(5000);
    bench.cycle();
    expect(now(bench)).toEqual({ time: 0, clock: 5000n, safe: false });
    bench.cycle('clear');
    expect(now(bench).safe).toBe(false);
    bench.chip.shutDown('clear');
    bench.reboot();
    bench.chip.startup('clear');
    expect(now(bench).safe).toBe(false);
    await bench.clock.advance(8192 - 5000);
    expect(now(bench)).toMatchObject({ clock: 8192n, safe: true });
  });

  it('is put forward by TPM2_ClockSet, never back, and not to where it could overflow', async () => {
    const bench = new Bench();
    await bench.clock.advance(100);
    expect(set(bench, 99n)).toBe(0x1c4);
    expect(set(bench, 100n)).toBe(0);
    expect(set(bench, 10_000_000n)).toBe(0);
    expect(now(bench)).toMatchObject({ time: 100, clock: 10_000_000n });
    expect(set(bench, 9_999_999n)).toBe(0x1c4);
    expect(set(bench, 0xffff_0000_0000_0001n)).toBe(0x1c4);
    expect(set(bench, 0xffff_0000_0000_0000n)).toBe(0);
    await bench.clock.advance(1);
    expect(now(bench).clock).toBe(0xffff_0000_0000_0001n);
  });

  it('put forward after a power cut is safe', () => {
    const bench = new Bench();
    bench.cycle();
    expect(now(bench).safe).toBe(false);
    set(bench, 1_000_000n);
    expect(now(bench).safe).toBe(true);
  });

  it('advances at the rate that TPM2_ClockRateAdjust gives it: a percent, a thousandth, less', async () => {
    const elapsed = async (...steps: readonly Parameters<typeof rate>[0][]) => {
      const bench = new Bench();
      await bench.clock.advance(7000);
      for (const step of steps) expect(adjust(bench, step)).toBe(0);
      const before = now(bench);
      expect(before.time).toBe(7000);
      await bench.clock.advance(30_000_000);
      const after = now(bench);
      expect(after.clock - before.clock).toBe(BigInt(after.time - before.time));
      return after.time - before.time;
    };
    expect(await elapsed('noChange')).toBe(30_000_000);
    expect(await elapsed('coarseSlower')).toBe(Math.floor(30_000_000 / 1.01));
    expect(await elapsed('coarseFaster')).toBe(Math.floor(30_000_000 / 0.99));
    expect(await elapsed('mediumSlower')).toBe(Math.floor(30_000_000 / 1.001));
    expect(await elapsed('fineFaster')).toBe(Math.floor((30_000_000 * 30_000) / 29_999));
    // Relative to the rate in force, not to the nominal one.
    expect(await elapsed('coarseSlower', 'coarseSlower', 'coarseFaster')).toBe(Math.floor(30_000_000 / 1.01));
  });

  it('refuses a rate that is off by more than 15 percent, and forgets the rate without power', async () => {
    const bench = new Bench();
    for (let i = 0; i < 15; i++) expect(adjust(bench, 'coarseSlower')).toBe(0);
    expect(adjust(bench, 'fineSlower')).toBe(0x1c4);
    bench.cycle('clear');
    await bench.clock.advance(1000);
    expect(now(bench).time).toBe(1000);
  });

  it('is what TPM2_GetTime attests', async () => {
    const bench = new Bench();
    set(bench, 1_000_000n);
    await bench.clock.advance(50);
    const { timeInfo } = bench.ask(TPM2_GetTime, {
      privacyAdminHandle: 0x4000000b,
      signHandle: 0x40000007,
      qualifyingData: new Uint8Array(),
      inScheme: { scheme: 'null' },
    });
    expect(readAttest(timeInfo)).toMatchObject({
      type: 'attestTime',
      attested: { time: { time: 50n, clockInfo: { clock: 1_000_050n, safe: 'yes' } } },
    });
  });
});
