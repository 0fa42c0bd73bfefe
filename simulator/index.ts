/** The simulator: a software TPM, virtual time, seeded chance, a store with a power switch, and stories. */
export type { VirtualClock } from './clock.ts';
export { virtualClock } from './clock.ts';
export type { SimulatedPlatform } from './platform.ts';
export { noNetwork, simulatedPlatform } from './platform.ts';
export { pick, seededRandom } from './random.ts';
export type { MemoryStore } from './store.ts';
export { memoryStore } from './store.ts';
export type {
  Fault,
  FaultKind,
  HardwareProfile,
  ServeOptions,
  SoftwareTpmOptions,
  TpmServer,
} from './tpm/index.ts';
export { Faults, hardwareProfiles, PowerLost, SoftwareTpm, serveMssim, serveTpm } from './tpm/index.ts';
