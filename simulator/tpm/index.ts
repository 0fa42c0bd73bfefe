/** The software TPM, and how other programs reach it. */
export type { SoftwareTpmOptions } from './chip.ts';
export { SoftwareTpm } from './chip.ts';
export type { ServeOptions, TpmServer } from './serve.ts';
export { serveTpm } from './serve.ts';
