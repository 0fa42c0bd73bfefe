import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { concat, u32 } from '../../src/core/bytes.ts';
import { readHeader, splitCommand } from '../../src/tpm/chip-framing.ts';
import { allCommands, commandByCode } from '../../src/tpm/command-table.ts';
import {
  createKey,
  createPrimary,
  ekTemplate,
  flush,
  getRandom,
  iakTemplate,
  ldevidTemplate,
  loadKey,
  nvDefine,
  nvRead,
  nvWrite,
  openTpm,
  pcrExtend,
  persist,
  quote,
  srkTemplate,
} from '../../src/tpm/index.ts';

const FAILURE = 0x101;

/** Tag, size and code of a response that has the form of Part 3 §5, whatever was asked. */
function wellFormed(response: Uint8Array): number {
  const view = new DataView(response.buffer, response.byteOffset, response.length);
  expect(response.length).toBeGreaterThanOrEqual(10);
  expect(view.getUint32(2)).toBe(response.length);
  expect([0x8001, 0x8002]).toContain(view.getUint16(0));
  const code = view.getUint32(6);
  if (code !== 0) expect(response.length).toBe(10);
  // A chip that met a mistake of its own says FAILURE; no bytes from outside may bring it there.
  expect(code).not.toBe(FAILURE);
  return code;
}

function chipOf(name: string): Promise<SoftwareTpm> {
  return SoftwareTpm.create({
    random: seededRandom('hostile', name),
    clock: virtualClock(),
    seed: 'hostile',
    slots: 8,
  });
}

/** Real commands, as the client sends them for keys, sessions, NV, PCRs and quotes. */
async function recorded(): Promise<{ readonly chip: SoftwareTpm; readonly commands: Uint8Array[] }> {
  const chip = await chipOf('recorded');
  const commands: Uint8Array[] = [];
  const transport = {
    exchange: (command: Uint8Array) => {
      commands.push(command);
      return chip.exchange(command);
    },
  };
  const tpm = await openTpm({ transport, random: seededRandom('hostile client'), clock: virtualClock() });
  const ek = await createPrimary(tpm, { hierarchy: 'endorsement', template: ekTemplate });
  await persist(tpm, ek, 0x8101000a);
  const srk = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
  const auth = tpm.random.bytes(16);
  const wrapped = await createKey(tpm, srk, { template: ldevidTemplate, auth, saltedTo: ek });
  await flush(tpm, await loadKey(tpm, srk, wrapped, auth));
  const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
  await quote(tpm, iak, {
    qualifyingData: tpm.random.bytes(32),
    pcrs: [{ hash: 'sha256', pcrSelect: [0, 1, 16] }],
  });
  const attributes = { nt: 'ordinary', authread: true, authwrite: true, noDa: true } as const;
  const index = await nvDefine(tpm, { handle: 0x01500001, size: 16, attributes });
  await nvRead(tpm, await nvWrite(tpm, index, tpm.random.bytes(16)));
  await pcrExtend(tpm, 16, { sha256: tpm.random.bytes(32) });
  await getRandom(tpm, 8);
  return { chip, commands };
}

/** The command with its size field made true. */
function sizedRight(command: Uint8Array): Uint8Array {
  const out = command.slice();
  if (out.length >= 6) out.set(u32(out.length), 2);
  return out;
}

describe('the software TPM under hostile bytes', { timeout: 120_000 }, () => {
  it('answers anything at all with a refusal or a response', async () => {
    const chip = await chipOf('bytes');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        wellFormed(await chip.exchange(bytes));
      }),
      { seed: 11, numRuns: 500 },
    );
  });

  it('answers every command code with every small parameter area', async () => {
    const chip = await chipOf('codes');
    const codes = allCommands().map((one) => one.code);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0x8001, 0x8002),
        fc.oneof(fc.constantFrom(...codes), fc.integer({ min: 0x11f, max: 0x1a0 })),
        fc.array(
          fc.oneof(
            fc.constantFrom(0x80000000, 0x81010001, 0x40000001, 0x40000007, 0x4000000b, 0x03000000, 0, 16),
            fc.nat(),
          ),
          { maxLength: 3 },
        ),
        fc.uint8Array({ maxLength: 80 }),
        async (tag, code, handles, rest) => {
          const password = [u32(9), u32(0x40000009), new Uint8Array(5)];
          const body = concat(...handles.map(u32), ...(tag === 0x8002 ? password : []), rest);
          const header = new Uint8Array(10);
          header[0] = 0x80;
          header[1] = tag & 0xff;
          header.set(u32(10 + body.length), 2);
          header.set(u32(code), 6);
          wellFormed(await chip.exchange(concat(header, body)));
        },
      ),
      { seed: 12, numRuns: 3000 },
    );
  });

  it('survives every recorded command with bytes changed, cut, doubled and spliced', async () => {
    const { chip, commands } = await recorded();
    expect(commands.length).toBeGreaterThan(15);
    const one = fc.constantFrom(...commands);
    const mutated = fc.oneof(
      fc
        .tuple(
          one,
          fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        )
        .map(([command, changes]) => {
          const out = command.slice();
          for (const [at, value] of changes) out[at % out.length] = value;
          return out;
        }),
      fc.tuple(one, fc.nat()).map(([command, at]) => sizedRight(command.slice(0, at % command.length))),
      fc
        .tuple(one, fc.uint8Array({ minLength: 1, maxLength: 40 }))
        .map(([command, more]) => sizedRight(concat(command, more))),
      fc
        .tuple(one, one, fc.nat())
        .map(([a, b, at]) =>
          sizedRight(
            concat(a.slice(0, 10 + (at % (a.length - 9))), b.slice(Math.min(b.length, 10 + (at % 40)))),
          ),
        ),
    );
    await fc.assert(
      fc.asyncProperty(mutated, async (command) => {
        wellFormed(await chip.exchange(command));
      }),
      { seed: 13, numRuns: 4000 },
    );
  });

  it('does not count a replayed session command twice', async () => {
    const { chip, commands } = await recorded();
    const withSession = commands.filter((bytes) => {
      const command = commandByCode(readHeader(bytes).code);
      return command && splitCommand(command, bytes).sessions.some(({ nonce }) => nonce.length > 0);
    });
    expect(withSession.length).toBeGreaterThan(0);
    for (const command of withSession) expect(wellFormed(await chip.exchange(command))).not.toBe(0);
  });
});
