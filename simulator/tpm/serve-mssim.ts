import { concat, u32, u32At } from '../../src/core/bytes.ts';
import type { SoftwareTpm } from './chip.ts';
import { answerPrefixed, framedResponse, prefixedLength, SEND_COMMAND } from './serve-command.ts';
import type { Dialect } from './serve-connection.ts';
import type { ServeOptions, TpmServer } from './serve-sockets.ts';
import { servePair } from './serve-sockets.ts';

/** Codes of Microsoft's simulator (TpmTcpProtocol.h), on either port. Numbers are big endian. */
const CODE = {
  powerOn: 1,
  powerOff: 2,
  physicalPresenceOn: 3,
  physicalPresenceOff: 4,
  hashStart: 5,
  hashData: 6,
  hashEnd: 7,
  cancelOn: 9,
  cancelOff: 10,
  nvOn: 11,
  nvOff: 12,
  keyCacheOn: 13,
  keyCacheOff: 14,
  handshake: 15,
  reset: 17,
  restart: 18,
  sessionEnd: 20,
  stop: 21,
  testFailureMode: 30,
  actGetSignaled: 32,
} as const;

const largest = 2 ** 20 + 16;
const ACK = u32(0);
const serverVersion = 1;
/** tpmPlatformAvailable, tpmInRawMode (no resource manager between), tpmSupportsPP. */
const features = 0x1 | 0x4 | 0x8;

/**
 * Offers `chip` over the protocol of Microsoft's simulator, which IBM's TSS, tpm2-tools (TCTI `mssim`) and TSS.MSR
 * speak: commands on one port, and on the next one what a mainboard does: power, physical presence, NV.
 */
export function serveMssim(chip: SoftwareTpm, options: ServeOptions): Promise<TpmServer> {
  const dialect = (answer: Dialect['answer']): Dialect => ({
    largest,
    lengthOf: requestLength,
    answer,
    isLast: (request) => u32At(request, 0) === CODE.stop,
  });
  const commands = dialect(async (request) => {
    switch (u32At(request, 0)) {
      case SEND_COMMAND:
        // Without power the simulator sends nothing, in its frame.
        return chip.powered ? await answerPrefixed(chip, request) : framedResponse(new Uint8Array());
      case CODE.handshake:
        return concat(u32(serverVersion), u32(features), ACK);
      default:
        return await signal(chip, request);
    }
  });
  return servePair(
    options,
    (where) => `mssim:${where}`,
    commands,
    dialect((request) => signal(chip, request)),
  );
}

function requestLength(buffered: Uint8Array): number | undefined {
  if (buffered.length < 4) return undefined;
  switch (u32At(buffered, 0)) {
    case SEND_COMMAND:
      return prefixedLength(buffered);
    case CODE.hashData:
      return buffered.length < 8 ? undefined : 8 + u32At(buffered, 4);
    case CODE.handshake:
    case CODE.actGetSignaled:
      return 8;
    default:
      return 4;
  }
}

/** What a mainboard does to its TPM; `undefined` when the client is done, or asks for what we do not have. */
async function signal(chip: SoftwareTpm, request: Uint8Array): Promise<Uint8Array | undefined> {
  switch (u32At(request, 0)) {
    case CODE.powerOn: // every tool asks for it; only the first time it means something
      if (!chip.powered) await chip.powerCycle();
      return ACK;
    case CODE.powerOff:
      if (chip.powered) await chip.powerOff();
      return ACK;
    case CODE.reset:
    case CODE.restart:
      if (chip.powered) await chip.powerCycle();
      return ACK;
    case CODE.physicalPresenceOn:
    case CODE.physicalPresenceOff:
      chip.setPhysicalPresence(u32At(request, 0) === CODE.physicalPresenceOn);
      return ACK;
    case CODE.hashStart:
      await chip.hashStart();
      return ACK;
    case CODE.hashData:
      await chip.hashData(request.subarray(8));
      return ACK;
    case CODE.hashEnd:
      await chip.hashEnd();
      return ACK;
    case CODE.cancelOn:
    case CODE.cancelOff:
      chip.cancel(u32At(request, 0) === CODE.cancelOn);
      return ACK;
    case CODE.nvOn:
    case CODE.nvOff:
      chip.setNvAvailable(u32At(request, 0) === CODE.nvOn);
      return ACK;
    case CODE.keyCacheOn: // keys are made when asked for: there is no cache to switch
    case CODE.keyCacheOff:
      return ACK;
    case CODE.testFailureMode:
      chip.failSelfTest();
      return ACK;
    case CODE.actGetSignaled: // no authenticated countdown timers
      return concat(u32(0), ACK);
    default:
      return undefined;
  }
}
