/** The software TPM, how other programs reach it, and what can go wrong with it. */
export { SoftwareTpm } from './chip.ts';
export type { SoftwareTpmOptions } from './chip-options.ts';
export type { Fault, FaultKind } from './faults.ts';
export { Faults, PowerLost, parseFault } from './faults.ts';
export type { HardwareProfile } from './hardware.ts';
export { hardwareProfiles } from './hardware.ts';
export { serveTpm } from './serve.ts';
export { serveMssim } from './serve-mssim.ts';
export type { ServeOptions, TpmServer } from './serve-sockets.ts';
