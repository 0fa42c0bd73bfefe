import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeOf, importsOf, root, sourcesOf } from './sources.ts';

const all = sourcesOf('src', 'simulator', 'devices');

/** Time, chance and timers of the process: only the platform files may touch them. */
const platformFiles = /^src\/core\/node(-[a-z]+)?\.ts$/;
const nondeterminism =
  /\bDate\.now\b|\bnew Date\(\s*\)|\bsetTimeout\b|\bsetInterval\b|\bMath\.random\b|\brandomBytes\s*\(|\bgetRandomValues\b|\brandomUUID\b|\brandomInt\b|\bgenerateKeyPair|\bperformance\.now\b|\bprocess\.hrtime\b|\bAbortSignal\.timeout\b|\bgenerateKeySync\b/;

/** Methods that WebCrypto's interface asks for: declared, which is no use of chance. */
const offered = /^ {2}(?:getRandomValues<T .*>\(array|randomUUID\(\):)/gm;

describe('the house', () => {
  it('takes time, chance and timers from the platform alone', () => {
    const wrong = all
      .filter((file) => !platformFiles.test(file))
      .flatMap((file) => {
        const match = nondeterminism.exec(codeOf(file).replace(offered, ''));
        return match ? [`${file}: ${match[0]}`] : [];
      });
    expect(wrong).toEqual([]);
  });

  it('imports each package in one file', () => {
    const users = new Map<string, Set<string>>();
    for (const file of all)
      for (const { specifier, path } of importsOf(file)) {
        if (path !== undefined || specifier.startsWith('node:') || specifier.startsWith('.')) continue;
        const name = specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/');
        users.set(name, (users.get(name) ?? new Set()).add(file));
      }
    const shared = [...users]
      .filter(([, files]) => files.size > 1)
      .map(([name, files]) => `${name}: ${[...files].join(', ')}`);
    expect(shared).toEqual([]);
    expect(users.size).toBeGreaterThan(5);
  });

  it('gives a reason for each dependency, and depends on nothing without one', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    const page = readFileSync(join(root, 'docs/dependencies.md'), 'utf8');
    const listed = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name);
    const named = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)];
    expect(listed.sort()).toEqual(named.sort());
  });

  it('keeps to files that can be read in one sitting', () => {
    const long = sourcesOf('src', 'simulator', 'devices', 'bench')
      .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length }))
      .filter(({ lines }) => lines > 400);
    expect(long).toEqual([]);
  });

  it('has a doc comment on everything it exports', () => {
    const bare = sourcesOf('src', 'simulator').flatMap((file) => {
      const lines = readFileSync(join(root, file), 'utf8').split('\n');
      return lines.flatMap((line, index) => {
        const name = /^export (?:abstract |async )?(?:function\*?|class|interface|type|const) (\w+)/.exec(
          line,
        )?.[1];
        if (name === undefined) return [];
        const above = lines[index - 1]?.trim() ?? '';
        // Overloads, and a type of the same name as the value above it, share one comment.
        const twin = lines
          .slice(0, index)
          .some((earlier) => new RegExp(`^export .*\\b${name}\\b`).test(earlier));
        return above.endsWith('*/') || twin ? [] : [`${file}:${index + 1} ${name}`];
      });
    });
    expect(bare).toEqual([]);
  });
});
