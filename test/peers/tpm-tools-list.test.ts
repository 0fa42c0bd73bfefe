import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { present } from './present.ts';
import { filesOf, neverNamed } from './programs.ts';
import { installedTools } from './tpm-tools/prelude.ts';

describe.skipIf(!present('tpm2_getrandom'))('the scripts for tpm2-tools', () => {
  it('run every program there is', () => {
    const tools = installedTools();
    expect(neverNamed(tools, filesOf(join(import.meta.dirname, 'tpm-tools')))).toEqual([]);
    expect(tools.length).toBeGreaterThan(95);
  });
});
