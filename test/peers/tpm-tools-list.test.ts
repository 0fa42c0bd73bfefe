import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { present } from './present.ts';
import { installedTools } from './tpm-tools/prelude.ts';

/** Programs of tpm2-tools that no script runs, and why. */
const untried: Readonly<Record<string, string>> = {};

describe.skipIf(!present('tpm2_getrandom'))('the scripts for tpm2-tools', () => {
  it('run every program there is', () => {
    const folder = join(import.meta.dirname, 'tpm-tools');
    const scripts = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
    const used = new Set(
      scripts.flatMap((script) => [...script.matchAll(/\btpm2_\w+/g)].map(([name]) => name)),
    );
    const missing = installedTools().filter((name) => !used.has(name) && untried[name] === undefined);
    expect(missing).toEqual([]);
    expect(Object.keys(untried).filter((name) => used.has(name))).toEqual([]);
    expect(installedTools().length).toBeGreaterThan(95);
  });
});
