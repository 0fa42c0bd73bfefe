/** All commands of Part 3 that fealty knows, by their names there. */
export * from './commands/cipher.ts';
export * from './commands/duplication.ts';
export * from './commands/ecc.ts';
export * from './commands/hierarchy.ts';
export * from './commands/nv.ts';
export * from './commands/object.ts';
export * from './commands/pcr.ts';
export * from './commands/policy.ts';
export * from './commands/sequence.ts';
export * from './commands/session.ts';
export * from './commands/signing.ts';
export * from './commands/startup.ts';
