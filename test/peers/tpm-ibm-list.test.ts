import { describe, expect, it } from 'vitest';
import { present } from './present.ts';
import { filesOf, neverNamed, programsBeside } from './programs.ts';

describe.skipIf(!present('tssgetrandom'))("the scenes for IBM's TSS", () => {
  it('run every program there is', () => {
    // `tss2` and what begins with it are the programs of another package
    const tools = programsBeside('tssgetrandom', /^tss(?!2)/);
    expect(neverNamed(tools, filesOf(import.meta.dirname, /^tpm-ibm(?!-list)/))).toEqual([]);
    expect(tools.length).toBeGreaterThan(100);
  });
});
