import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { root, sourcesOf } from './sources.ts';

const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** First cells of a page's tables, where they are code. */
const listedIn = (path: string) =>
  [...read(path).matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell]) => cell ?? '');

describe('docs/reference/errors.md', () => {
  it('lists every error code of src and simulator, and no other', () => {
    const codes = sourcesOf('src', 'simulator').flatMap((file) =>
      [...read(file).matchAll(/override readonly code(?:: string)? = '([^']+)'/g)].map(
        ([, code]) => code ?? '',
      ),
    );
    expect(codes.length).toBeGreaterThan(20);
    expect(new Set(codes).size).toBe(codes.length);
    expect(listedIn('docs/reference/errors.md').sort()).toEqual([...codes].sort());
  });
});

describe('docs/reference/events.md', () => {
  it('lists every event that an emitter of ours declares, and no other', () => {
    const declared = sourcesOf('src').flatMap((file) =>
      [...read(file).matchAll(/export interface (\w+Events) \{([\s\S]*?)\n\}/g)].flatMap(
        ([, name = '', body = '']) =>
          [...body.matchAll(/^ {2}(?:'([a-z-]+)'|([a-z]+)): \[/gm)].map(
            ([, quoted, plain]) => `${name}.${quoted ?? plain}`,
          ),
      ),
    );
    expect(declared.length).toBeGreaterThan(5);
    expect(listedIn('docs/reference/events.md').sort()).toEqual(declared.sort());
  });
});

describe('docs/reference/cli.md', () => {
  it('lists every command, and no other', () => {
    expect(listedIn('docs/reference/cli.md').sort()).toEqual(Object.keys(commands).sort());
  });
});
