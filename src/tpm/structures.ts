/** All structures of Part 2 that fealty uses, by their names there. */
export * from './structures/algorithms.ts';
export * from './structures/attest.ts';
export * from './structures/attributes.ts';
export * from './structures/buffers.ts';
export * from './structures/capabilities.ts';
export * from './structures/derive.ts';
export * from './structures/handles.ts';
export * from './structures/keys.ts';
export * from './structures/nv.ts';
export * from './structures/pcr.ts';
export * from './structures/sessions.ts';
export * from './structures/signatures.ts';
