import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './sources.ts';

/** Every page a reader may come to: those at the top, in `docs/` and in the source folders. */
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...['docs', 'src', 'devices', 'simulator', 'test', 'bench'].flatMap((folder) =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
          .filter((name) => name.endsWith('.md'))
          .map((name) => `${folder}/${name}`)
      : [],
  ),
].sort();

const read = (page: string) => readFileSync(join(root, page), 'utf8');

/** A page's text without its code, in which brackets mean something else. */
const proseOf = (page: string) => read(page).replace(/^```[\s\S]*?^```/gm, '');

/** The anchor of a heading, as the usual renderers make it: lower case, spaces to dashes, punctuation gone. */
const anchorOf = (heading: string) =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');

const anchorsOf = (page: string) =>
  new Set([...proseOf(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => anchorOf(heading)));

/** Relative links of a page, as paths from the repository with their anchors. */
const linksOf = (page: string) =>
  [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    return [
      { page, target, path: path === '' ? page : relative(root, resolve(root, dirname(page), path)), anchor },
    ];
  });

describe('the links of the documentation', () => {
  const links = pages.flatMap(linksOf);

  it('lead to what exists', () => {
    expect(links.length).toBeGreaterThan(40);
    const dead = links.filter(({ path }) => !existsSync(join(root, path)));
    expect(dead.map(({ page, target }) => `${page}: ${target}`)).toEqual([]);
  });

  it('lead to headings that exist', () => {
    const dead = links.filter(
      ({ path, anchor }) =>
        anchor !== undefined &&
        path.endsWith('.md') &&
        existsSync(join(root, path)) &&
        !anchorsOf(path).has(anchor),
    );
    expect(dead.map(({ page, target }) => `${page}: ${target}`)).toEqual([]);
  });
});

describe('an index', () => {
  it('of decisions names each of them, and their numbers have no gap', () => {
    const files = readdirSync(join(root, 'docs/decisions'))
      .filter((name) => name !== 'README.md')
      .sort();
    expect(files.map((name) => Number(name.slice(0, 4)))).toEqual(files.map((_, index) => index + 1));
    const listed = linksOf('docs/decisions/README.md').map(({ target }) => target);
    expect(listed).toEqual(files);
  });

  it('of the documentation names every page of it', () => {
    const listed = new Set(linksOf('docs/README.md').map(({ path }) => path));
    const missing = pages.filter(
      (page) =>
        page.startsWith('docs/') &&
        page !== 'docs/README.md' &&
        !page.startsWith('docs/decisions/') &&
        !listed.has(page),
    );
    expect(missing).toEqual([]);
  });
});
