import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { hardwareProfiles } from '../../simulator/tpm/hardware.ts';
import type { TpmServer } from '../../simulator/tpm/serve.ts';
import { serveMssim } from '../../simulator/tpm/serve-mssim.ts';
import { concat, fromHex, hex, u32 } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import type { Transport } from '../../src/tpm/index.ts';
import {
  counterDefine,
  counterIncrement,
  counterRead,
  createPrimary,
  ekTemplate,
  openTpm,
  srkTemplate,
} from '../../src/tpm/index.ts';

const { clock, random } = nodePlatform({ directory: '.' });
const getRandom = fromHex('80010000000c0000017b0008');
const startup = fromHex('80010000000c000001440000');
const selfTest = fromHex('80010000000b0000014301');

/** One end of a connection: what is written, and what comes back. */
class Line {
  readonly #socket: Socket;
  #got: Uint8Array = new Uint8Array();
  #heard = () => {};

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk) => {
      this.#got = concat(this.#got, chunk);
      this.#heard();
    });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => this.#heard());
  }

  /** The next `count` bytes, as hexadecimal; what came before the end when it ends. */
  async next(count: number): Promise<string> {
    while (this.#got.length < count && !this.#socket.closed)
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    const bytes = this.#got.slice(0, count);
    this.#got = this.#got.slice(count);
    return hex(bytes);
  }

  send(...parts: readonly Uint8Array[]): void {
    this.#socket.write(concat(...parts));
  }

  async command(command: Uint8Array, locality = 0): Promise<string> {
    this.send(u32(8), Uint8Array.of(locality), u32(command.length), command);
    const size = Number.parseInt(await this.next(4), 16);
    const response = await this.next(size);
    expect(await this.next(4)).toBe('00000000');
    return response;
  }

  close(): void {
    this.#socket.destroy();
  }
}

describe("the protocol of Microsoft's simulator", () => {
  let chip: SoftwareTpm;
  let server: TpmServer;
  let commands: Line;
  let platform: Line;

  const serve = async (made: Promise<SoftwareTpm>) => {
    chip = await made;
    server = await serveMssim(chip, { port: 0 });
    commands = new Line(server.port);
    platform = new Line(server.port + 1);
  };
  const signal = async (code: number, ...rest: readonly Uint8Array[]) => {
    platform.send(u32(code), ...rest);
    return await platform.next(4);
  };

  beforeEach(() => serve(SoftwareTpm.create({ clock, random })));
  afterEach(async () => {
    commands.close();
    platform.close();
    await server.close();
  });

  it('shakes hands (15), and frames commands and answers (8)', async () => {
    commands.send(u32(15), u32(1));
    expect(await commands.next(12)).toBe('000000010000000d00000000');
    expect(await commands.command(getRandom)).toMatch(/^80010000001400000000/);
    expect(await commands.command(getRandom.slice(0, 11))).toBe('80010000000a00000142');
  });

  it('has a locality for each command', async () => {
    const resetPcr20 = fromHex('80020000001b0000013d0000001400000009400000090000010000');
    expect(await commands.command(resetPcr20, 2)).toMatch(/00000000/);
    expect(await commands.command(resetPcr20, 0)).toBe('80010000000a00000907');
    expect(await commands.command(getRandom, 7)).toBe('80010000000a00000907');
  });

  it('switches the power (1, 2): each on after an off needs a start, and off answers nothing', async () => {
    expect(await signal(1)).toBe('00000000');
    expect(await commands.command(getRandom)).toMatch(/^80010000001400000000/);
    expect(await signal(2)).toBe('00000000');
    expect(await commands.command(getRandom)).toBe('');
    expect(await signal(1)).toBe('00000000');
    expect(await commands.command(getRandom)).toBe('80010000000a00000100');
    expect(await commands.command(startup)).toBe('80010000000a00000000');
    expect(await signal(17)).toBe('00000000');
    expect(await commands.command(startup)).toBe('80010000000a00000000');
  });

  it('switches NV (11, 12): without it nothing that is stored changes, and sessions go on', async () => {
    const transport: Transport = {
      exchange: async (command) => fromHex(await commands.command(command)),
    };
    const tpm = await openTpm({ transport, random, clock });
    const auth = Uint8Array.of(1, 2, 3);
    const saltedTo = await createPrimary(tpm, { hierarchy: 'endorsement', template: ekTemplate });
    let counter = await counterDefine(tpm, { handle: 0x01500001, auth, saltedTo });
    counter = await counterIncrement(tpm, counter);
    const before = await counterRead(tpm, counter);
    expect(await signal(12)).toBe('00000000');
    await expect(counterIncrement(tpm, counter)).rejects.toMatchObject({ reason: 'NV_UNAVAILABLE' });
    expect(await counterRead(tpm, counter)).toBe(before);
    expect(await signal(11)).toBe('00000000');
    counter = await counterIncrement(tpm, counter);
    expect(await counterRead(tpm, counter)).toBe(before + 1n);
  });

  it('cancels a slow command (9) that runs, and those that follow until it is off again (10)', async () => {
    await server.close();
    // Nothing waits for real here: the command ends because it is cancelled, or not before a key is made.
    const profile = { ...hardwareProfiles.slb9670, eccKey: 3_600_000 };
    await serve(SoftwareTpm.create({ clock, random, profile }));
    const create: Uint8Array[] = [];
    const recorder: Transport = {
      exchange: async (command) => {
        if (command[9] === 0x31) create.push(command);
        return await recorded.exchange(command);
      },
    };
    const recorded = await SoftwareTpm.create({ clock, random });
    const tpm = await openTpm({ transport: recorder, random, clock });
    await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
    const [command = new Uint8Array()] = create;
    const running = commands.command(command);
    expect(await signal(9)).toBe('00000000');
    expect(await running).toBe('80010000000a00000909');
    expect(await commands.command(command)).toBe('80010000000a00000909');
    expect(await commands.command(getRandom)).toMatch(/^80010000001400000000/);
    expect(await signal(10)).toBe('00000000');
    expect(await commands.command(selfTest)).toBe('80010000000a00000000');
  });

  it('measures a dynamic root of trust (5, 6, 7)', async () => {
    expect(await signal(5)).toBe('00000000');
    expect(await signal(6, u32(3), fromHex('616263'))).toBe('00000000');
    expect(await signal(7)).toBe('00000000');
    const read = await commands.command(fromHex('8001000000140000017e00000001000b03000002'));
    expect(read).toMatch(/589f9ffed4c477966bfb8d41f37895b08c69047df8f911d6f3b57fbe08faee8d$/);
  });

  it('fails the next self test on demand (30): only results and properties are answered then', async () => {
    expect(await signal(30)).toBe('00000000');
    expect(await commands.command(getRandom)).toMatch(/^80010000001400000000/);
    expect(await commands.command(selfTest)).toBe('80010000000a00000101');
    expect(await commands.command(getRandom)).toBe('80010000000a00000101');
    expect(await commands.command(fromHex('80010000000a0000017c'))).toBe('80010000001000000000000000000101');
    const properties = fromHex('800100000016000001 7a000000060000010000000040'.replace(' ', ''));
    expect(await commands.command(properties)).toContain('00000105464c5459');
    const algorithms = fromHex('8001000000160000017a000000000000000000000040');
    expect(await commands.command(algorithms)).toBe('80010000000a00000101');
    expect(await signal(17)).toBe('00000000');
    expect(await commands.command(startup)).toBe('80010000000a00000000');
    expect(await commands.command(getRandom)).toMatch(/^80010000001400000000/);
  });

  it('ends a connection that says so (20) or asks for what is not there, and the server on 21', async () => {
    const other = new Line(server.port + 1);
    other.send(u32(20));
    expect(await other.next(1)).toBe('');
    const strange = new Line(server.port);
    strange.send(u32(99));
    expect(await strange.next(1)).toBe('');
    for (const code of [3, 4, 13, 14]) expect(await signal(code)).toBe('00000000');
    platform.send(u32(32), u32(0)); // whether a countdown timer has run down: there is none
    expect(await platform.next(8)).toBe('0000000000000000');
    const late = new Line(server.port + 1);
    late.send(u32(20), u32(2)); // what comes after the end, here "power off", is not done
    expect(await late.next(1)).toBe('');
    expect(chip.powered).toBe(true);
    platform.send(u32(21));
    await server.closed;
  });
});
