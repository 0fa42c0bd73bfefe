import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './sources.ts';

/** The first pages a newcomer copies from, and every other page of the documentation. */
const pages = [
  'README.md',
  'docs/start.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && name !== 'start.md')
    .map((name) => `docs/${name}`)
    .sort(),
];

describe('the code in the documentation', () => {
  it("compiles under the package's own name", () => {
    const folder = mkdtempSync(join(root, 'test/house/.pages-'));
    try {
      let count = 0;
      for (const page of pages)
        for (const [, code = ''] of readFileSync(join(root, page), 'utf8').matchAll(
          /^```ts\n([\s\S]*?)^```/gm,
        ))
          writeFileSync(join(folder, `block-${++count}.ts`), `${code}\nexport {};\n`);
      expect(count).toBeGreaterThan(6);
      writeFileSync(
        join(folder, 'tsconfig.json'),
        JSON.stringify({
          extends: '../../../tsconfig.json',
          compilerOptions: { rootDir: '../../..', noUnusedLocals: false },
          include: ['*.ts'],
        }),
      );
      const { stdout, status } = spawnSync('npx', ['tsc', '-p', folder], { cwd: root, encoding: 'utf8' });
      expect(stdout).toBe('');
      expect(status).toBe(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('names only npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const named = pages.flatMap((page) =>
      [...readFileSync(join(root, page), 'utf8').matchAll(/npm run (?:-s )?([a-z:-]+)/g)].map(
        ([, name = '']) => name,
      ),
    );
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
