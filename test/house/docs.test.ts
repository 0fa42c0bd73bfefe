import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { codeOf, root, sourcesOf } from './sources.ts';

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

/** Every error class with a code: its code, and the source of its body. */
const classes = sourcesOf('src').flatMap((file) => {
  const code = codeOf(file);
  return [...code.matchAll(/export class (\w+) extends FealtyError \{([\s\S]*?)\n\}/g)].flatMap(
    ([, name = '', body = '']) => {
      const [, errorCode] = /override readonly code = '([^']+)'/.exec(body) ?? [];
      return errorCode === undefined ? [] : [{ name, errorCode, body, code }];
    },
  );
});

/** The string literals that a type stands for, where it is a union of literals or the members of a list. */
function literalsOf(type: string, code: string): string[] {
  const union =
    new RegExp(`export type ${type} =([^;]*);`).exec(code)?.[1] ?? (type.includes("'") ? type : '');
  const list = /typeof (\w+)/.exec(union)?.[1];
  const text =
    list === undefined ? union : new RegExp(`export const ${list} = \\[([^\\]]*)\\]`).exec(code)?.[1];
  return [...(text ?? '').matchAll(/'([^']+)'/g)].map(([, literal = '']) => literal);
}

/** The part of the page under the heading of a code. */
const sectionOf = (code: string) =>
  read('docs/reference/errors.md')
    .split(/^### /m)
    .find((part) => part.startsWith(`\`${code}\`\n`)) ?? '';

/** What a section lists: the first code of each line of a list. */
const namesIn = (code: string) =>
  [...sectionOf(code).matchAll(/^- `([^`]+)`:/gm)].map(([, name = '']) => name);

describe('the checks in docs/reference/errors.md', () => {
  const sources = new Map(
    classes.map(({ errorCode, body, code }) => [
      errorCode,
      // Checks are declared beside the error, but for the registrar's, which have a file of their own.
      literalsOf(
        /readonly check: ([^;]+);/.exec(body)?.[1]?.trim() ?? '',
        `${code}\n${codeOf('src/provisioning/checks.ts')}`,
      ),
    ]),
  );
  sources.set('permissions.denied', literalsOf('Reason', codeOf('src/permissions/decision.ts')));
  const listed = [...sources].filter(([, names]) => names.length > 0);

  it('are found in the source', () => {
    expect(listed.length).toBeGreaterThan(11);
    expect(sources.get('provisioning.refused')).toContain('credential-activation');
    expect(sources.get('tokens.refused')).toContain('presenter');
  });

  it.each(listed)('of %s are those of the source, in its order', (code, names) => {
    expect(namesIn(code)).toEqual(names);
  });

  it.each([
    ['tpm.untrusted', /new TpmUntrusted\(\s*'([^']+)'/g],
    ['tpm.attestation-refused', /new AttestationRefused\(\s*'([^']+)'/g],
    ['tokens.request-refused', /new OAuthRefusal\(\s*'[^']+',\s*'([^']+)'/g],
    ['tokens.request-refused', /refuse\('((?:assertion|subject|may)[^']+)'/g],
    ['messaging.broker-refused', /new BrokerRefused\(\s*'([^']+)'/g],
    ['domains.ask-failed', /new AskFailed\(\s*'([^']+)'/g],
  ])('of %s that are named where they are made are listed', (code, pattern) => {
    const named = sourcesOf('src').flatMap((file) =>
      [...codeOf(file).matchAll(pattern)].map(([, name = '']) => name),
    );
    expect(named.length).toBeGreaterThan(1);
    const section = sectionOf(code);
    expect(named.filter((name) => !section.includes(`\`${name}\``))).toEqual([]);
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

describe('docs/reference/wire.md', () => {
  /** First cells of the table below a heading. */
  const tableOf = (heading: string) => {
    const [, section = ''] = read('docs/reference/wire.md').split(`### ${heading}\n`);
    const [table = ''] = section.split(/^##/m);
    return [...table.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell = '']) => cell);
  };
  const found = (pattern: RegExp) => [
    ...new Set(
      sourcesOf('src').flatMap((file) => [...codeOf(file).matchAll(pattern)].map(([, name = '']) => name)),
    ),
  ];

  it('lists every label by which signatures are kept apart, and no other', () => {
    const uses = found(/domainSeparated\(\s*'([^']+)'/g);
    expect(uses.length).toBeGreaterThan(8);
    expect(tableOf('Domain separation').sort()).toEqual(uses.map((use) => `fealty/${use}/v1`).sort());
  });

  it('lists every type of token, and no other', () => {
    const types = found(/'([a-z-]+(?:\+jwt|-jws\+json))'/g);
    expect(types.length).toBeGreaterThan(10);
    expect(tableOf('Types of tokens').sort()).toEqual(types.sort());
  });
});
