import { concat, u32, u32At, utf8 } from '../../src/core/bytes.ts';
import type { SoftwareTpm } from './chip.ts';
import { tpmInfo } from './info.ts';

/** Control commands of swtpm (tpm_ioctl.h); every other one is answered "not implemented". Numbers are big endian. */
export const CONTROL = {
  getCapability: 1,
  init: 2,
  shutdown: 3,
  getTpmEstablished: 4,
  setLocality: 5,
  hashStart: 6,
  hashData: 7,
  hashEnd: 8,
  cancelTpmCmd: 9,
  storeVolatile: 0xa,
  resetTpmEstablished: 0xb,
  getStateBlob: 0xc,
  setStateBlob: 0xd,
  stop: 0xe,
  getConfig: 0xf,
  setDataFd: 0x10,
  setBufferSize: 0x11,
  getInfo: 0x12,
  lockStorage: 0x13,
} as const;

/** Bytes that follow the code of a control command, without data whose length is among them. */
const bodies: Readonly<Record<number, number>> = {
  [CONTROL.init]: 4,
  [CONTROL.setLocality]: 1,
  [CONTROL.hashData]: 4,
  [CONTROL.resetTpmEstablished]: 1,
  [CONTROL.getStateBlob]: 12,
  [CONTROL.setStateBlob]: 12,
  [CONTROL.setBufferSize]: 4,
  [CONTROL.getInfo]: 16,
  [CONTROL.lockStorage]: 4,
};

/** Data and state come in one piece of at most a mebibyte. */
export const largestControl = 2 ** 20 + 16;

/** PTM_CAP_*: all that {@link CONTROL} has but SET_DATAFD, which hands over a file that Node cannot receive. */
const capabilities = 0x1ffff & ~0x1000;
const RESULT = {
  success: 0,
  badParameter: 3,
  badOrdinal: 0xa,
  ioError: 0x1f,
  badLocality: 0x3d,
  retry: 0x800,
};
const INIT_DELETE_VOLATILE = 1;
const BLOBS: Readonly<Record<number, 'permanent' | 'volatile'>> = { 1: 'permanent', 2: 'volatile' };
/** Sizes of the TPM's buffer: a command and its answer have to fit. */
const buffer = { least: 0xaf8, most: 4096 };

/** Length of the control command at the head. */
export function controlLength(buffered: Uint8Array): number | undefined {
  if (buffered.length < 4) return undefined;
  const code = u32At(buffered, 0);
  const length = 4 + (bodies[code] ?? 0);
  if (code !== CONTROL.hashData && code !== CONTROL.setStateBlob) return length;
  // The length of the data stands last, just before it.
  return buffered.length < length ? undefined : length + u32At(buffered, length - 4);
}

/** Does what control commands ask for. */
export class Controller {
  readonly #chip: SoftwareTpm;
  #bufferSize = buffer.most;

  constructor(chip: SoftwareTpm) {
    this.#chip = chip;
  }

  /** The reply to one control command: its result, and what belongs to it. */
  async obey(request: Uint8Array): Promise<Uint8Array> {
    const chip = this.#chip;
    const code = u32At(request, 0);
    if (!chip.powered && needsPower.has(code)) return u32(RESULT.badOrdinal);
    switch (code) {
      case CONTROL.getCapability:
        return concat(u32(RESULT.success), u32(capabilities));
      case CONTROL.init:
        return await done(chip.powerCycle((u32At(request, 4) & INIT_DELETE_VOLATILE) === 0));
      case CONTROL.stop:
        return await done(chip.powerOff());
      case CONTROL.shutdown: // the server closes once this is written
      case CONTROL.lockStorage: // nobody else has our storage
        return u32(RESULT.success);
      case CONTROL.getTpmEstablished:
        return concat(u32(RESULT.success), Uint8Array.of(chip.established ? 1 : 0, 0, 0, 0));
      case CONTROL.resetTpmEstablished:
        return this.#resetEstablished(request[4] ?? 0);
      case CONTROL.setLocality:
        return this.#setLocality(request[4] ?? 255);
      case CONTROL.hashStart:
        return await done(chip.hashStart());
      case CONTROL.hashData:
        return await done(chip.hashData(request.subarray(8)));
      case CONTROL.hashEnd:
        return await done(chip.hashEnd());
      case CONTROL.cancelTpmCmd:
        chip.cancel();
        return u32(RESULT.success);
      case CONTROL.storeVolatile:
        return await done(chip.storeVolatile());
      case CONTROL.getStateBlob:
        return await this.#getState(u32At(request, 8), u32At(request, 12));
      case CONTROL.setStateBlob:
        return await this.#setState(u32At(request, 8), request.subarray(16));
      case CONTROL.getConfig:
        return concat(u32(RESULT.success), u32(0)); // no keys: state is in the clear
      case CONTROL.setDataFd:
        return u32(RESULT.ioError);
      case CONTROL.setBufferSize:
        return this.#setBufferSize(u32At(request, 4));
      case CONTROL.getInfo:
        return info(u32At(request, 8), u32At(request, 12));
      default:
        return u32(RESULT.badOrdinal);
    }
  }

  #resetEstablished(locality: number): Uint8Array {
    if (locality !== 3 && locality !== 4) return u32(RESULT.badLocality);
    this.#chip.resetEstablished();
    return u32(RESULT.success);
  }

  #setLocality(locality: number): Uint8Array {
    if (locality > 4) return u32(RESULT.badLocality);
    this.#chip.setLocality(locality);
    return u32(RESULT.success);
  }

  async #getState(type: number, offset: number): Promise<Uint8Array> {
    const of = BLOBS[type];
    const result = (code: number, total: number, part: Uint8Array) =>
      concat(u32(code), u32(0), u32(total), u32(part.length), part);
    if (of === undefined) return result(RESULT.retry, 0, new Uint8Array());
    const state = await this.#chip.snapshot(of);
    if (offset > state.length) return result(RESULT.success, 0, new Uint8Array());
    return result(RESULT.success, state.length, state.subarray(offset));
  }

  async #setState(type: number, state: Uint8Array): Promise<Uint8Array> {
    if (this.#chip.powered) return u32(RESULT.badOrdinal);
    const of = BLOBS[type];
    return of === undefined ? u32(RESULT.badParameter) : await done(this.#chip.load(of, state));
  }

  #setBufferSize(wanted: number): Uint8Array {
    if (wanted !== 0) {
      if (this.#chip.powered) return u32(RESULT.badOrdinal);
      this.#bufferSize = Math.min(Math.max(wanted, buffer.least), buffer.most);
    }
    return concat(u32(RESULT.success), u32(this.#bufferSize), u32(buffer.least), u32(buffer.most));
  }
}

/** Commands that a TPM which was stopped does not obey. */
const needsPower: ReadonlySet<number> = new Set([
  CONTROL.getTpmEstablished,
  CONTROL.resetTpmEstablished,
  CONTROL.hashStart,
  CONTROL.hashData,
  CONTROL.hashEnd,
  CONTROL.cancelTpmCmd,
  CONTROL.storeVolatile,
  CONTROL.getStateBlob,
]);

async function done(work: Promise<void>): Promise<Uint8Array> {
  try {
    await work;
    return u32(RESULT.success);
  } catch {
    return u32(RESULT.badParameter);
  }
}

/** `flags` are the lower half of the request's; text ends with a zero. */
function info(flags: number, offset: number): Uint8Array {
  const text = utf8(`${JSON.stringify(tpmInfo(flags))}\0`);
  if (offset > text.length) return u32(RESULT.badParameter);
  const part = text.subarray(offset);
  return concat(u32(RESULT.success), u32(text.length), u32(part.length), part);
}
