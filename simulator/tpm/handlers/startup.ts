import {
  TPM2_GetCapability,
  TPM2_GetRandom,
  TPM2_GetTestResult,
  TPM2_IncrementalSelfTest,
  TPM2_SelfTest,
  TPM2_Shutdown,
  TPM2_Startup,
  TPM2_StirRandom,
  TPM2_TestParms,
} from '../../../src/tpm/commands.ts';
import { capability, hasAlgorithm } from '../capabilities.ts';
import { handler } from '../handler.ts';
import type { Machine } from '../machine.ts';
import { parameterRefused, RC, Refusal } from '../refusal.ts';
import { parametersFault } from '../template.ts';

/** Part 3 §9, §10, §16, §30: start, tests, chance, capabilities. */
export const startupHandlers = [
  handler(TPM2_Startup, (chip, { startupType }) => {
    chip.startup(startupType);
    return {};
  }),
  handler(TPM2_Shutdown, (chip, { shutdownType }) => {
    chip.shutDown(shutdownType);
    return {};
  }),
  handler(TPM2_SelfTest, (chip) => {
    selfTest(chip);
    return {};
  }),
  handler(TPM2_IncrementalSelfTest, (chip, { toTest }) => {
    if (toTest.some((algorithm) => !hasAlgorithm(algorithm))) throw parameterRefused(RC.VALUE, 1);
    selfTest(chip);
    return { toDoList: [] };
  }),
  handler(TPM2_GetTestResult, (chip) => ({
    outData: new Uint8Array(),
    testResult: chip.failed ? RC.FAILURE : 0,
  })),
  handler(TPM2_GetRandom, (chip, { bytesRequested }) => ({
    randomBytes: chip.random.bytes(Math.min(bytesRequested, 64)),
  })),
  // The source of chance is the platform's; nothing a caller says can make it worse or better.
  handler(TPM2_StirRandom, () => ({})),
  handler(TPM2_GetCapability, (chip, { capability: wanted, property, propertyCount }) =>
    capability(chip, wanted, property, propertyCount),
  ),
  handler(TPM2_TestParms, (_chip, { parameters }) => {
    const fault = parametersFault(parameters);
    if (fault !== undefined) throw parameterRefused(fault, 1);
    return {};
  }),
];

/** Everything works, unless a fault was asked for: then the TPM is in failure mode from here on (Part 1 §12.3). */
function selfTest(chip: Machine): void {
  if (!chip.selfTestFails) return;
  chip.failed = true;
  throw new Refusal(RC.FAILURE);
}
