import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { serveTpm } from '../../simulator/tpm/serve.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { root } from '../house/sources.ts';
import type { Outcome } from './guide-run.ts';

const guide = readFileSync(join(root, 'docs/guides/tpm.md'), 'utf8');

/** The guide's examples, with the heading above each. */
const blocks = guide.split(/^## /m).flatMap((section) => {
  const [heading = ''] = section.split('\n');
  const found = [...section.matchAll(/^```ts\n([\s\S]*?)^```/gm)];
  return found.map(([, code = ''], at) => ({ name: `${heading}, example ${at + 1}`, code }));
});

const fileOf = (at: number) => `block-${String(at).padStart(2, '0')}.ts`;

/** What each `console.log` must print, in order; `undefined` where the guide does not say. */
const expectedOf = (code: string) =>
  [...code.matchAll(/console\.log\(.*?(?:\/\/ → (.*))?$/gm)].map(([, text]) => text);

describe('the guide of the TPM library', () => {
  let folder: string;
  const outcomes = new Map<string, Outcome>();

  beforeAll(async () => {
    folder = mkdtempSync(join(root, 'test/tpm/.guide-'));
    mkdirSync(join(folder, 'blocks'));
    const { random, clock } = nodePlatform({ directory: '.' });
    const chip = await SoftwareTpm.create({ random, clock });
    await using server = await serveTpm(chip, { path: join(folder, 'sock') });
    for (const [at, { code }] of blocks.entries()) {
      // where a reader has a TPM, the test has this one; all else is run as it stands
      const here = code.replace(/'(?:device|swtpm|mssim):[^']*'/g, `'${server.tcti}'`);
      writeFileSync(join(folder, 'blocks', fileOf(at)), here);
    }
    const child = spawn(
      process.execPath,
      [
        '--import',
        import.meta.resolve('tsx'),
        '--conditions=source',
        join(root, 'test/tpm/guide-run.ts'),
        join(folder, 'blocks'),
      ],
      { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const closed = once(child, 'close');
    for await (const line of createInterface({ input: child.stdout })) {
      const outcome = JSON.parse(line) as Outcome;
      outcomes.set(outcome.file, outcome);
    }
    await closed;
  }, 120_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('has examples, most of which say what they print', () => {
    expect(blocks.length).toBeGreaterThan(15);
    expect(blocks.flatMap(({ code }) => expectedOf(code)).filter(Boolean).length).toBeGreaterThan(20);
  });

  it.each(blocks.map(({ name, code }, at) => [name, code, fileOf(at)] as const))(
    'does what it says: %s',
    (_name, code, file) => {
      const outcome = outcomes.get(file);
      expect(outcome?.failed).toBeUndefined();
      const expected = expectedOf(code);
      expect(outcome?.printed).toHaveLength(expected.length);
      expect(outcome?.printed.map((text, at) => (expected[at] === undefined ? undefined : text))).toEqual(
        expected,
      );
      expect(outcome?.left, 'objects left in the TPM').toBe(0);
    },
  );
});
