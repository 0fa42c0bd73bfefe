import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folderOf, importsOf, root, sourcesOf } from './sources.ts';

/** The reading order of `src`, left to right; `src/README.md` shows the same list. */
const order = [
  'core',
  'tpm',
  'identity',
  'attestation',
  'provisioning',
  'registry',
  'grants',
  'tokens',
  'messaging',
  'domains',
  'permissions',
  'audit',
];
const programs = ['agent', 'authority', 'hub', 'cli'];

const may: Record<string, readonly string[]> = {
  core: [],
  tpm: ['core'],
  identity: ['core', 'tpm'],
  attestation: ['core', 'tpm', 'identity'],
  provisioning: ['core', 'tpm', 'identity', 'attestation'],
  registry: ['core', 'identity', 'attestation/results'],
  grants: ['core'],
  tokens: ['core', 'identity', 'attestation/results', 'grants'],
  messaging: ['core', 'identity'],
  domains: ['core', 'identity', 'attestation/results', 'registry', 'grants', 'tokens', 'messaging'],
  permissions: ['core', 'attestation/results', 'grants', 'tokens', 'domains'],
  audit: ['core', 'tpm', 'identity'],
  agent: order,
  authority: order,
  hub: [...order, 'agent', 'authority'],
  cli: [...order, ...programs],
  index: ['core', 'agent'],
};

describe('the layers of src', () => {
  const files = sourcesOf('src');

  it('are known: every folder has its place', () => {
    const folders = new Set(files.map(folderOf));
    expect([...folders].filter((folder) => !(folder in may))).toEqual([]);
    expect(files.length).toBeGreaterThan(20);
  });

  it('import only what stands to their left', () => {
    const wrong = files.flatMap((file) => {
      const folder = folderOf(file);
      return importsOf(file)
        .filter(({ path }) => path?.startsWith('src/'))
        .filter(({ path = '' }) => {
          const target = folderOf(path);
          if (target === folder) return false;
          const allowed = may[folder] ?? [];
          if (allowed.includes(target)) return false;
          // `attestation/results` opens one file of a folder, not the folder.
          return !allowed.some((one) => path === `src/${one}.ts`);
        })
        .map(({ path }) => `${file} → ${path}`);
    });
    expect(wrong).toEqual([]);
  });

  it('never reach the simulator or the devices, but for the commands that run them, by import()', () => {
    const wrong = files
      .flatMap((file) => importsOf(file))
      .filter(({ path }) => path?.startsWith('simulator/') || path?.startsWith('devices/'))
      .filter(({ from, dynamic }) => !(dynamic && from.startsWith('src/cli/')))
      .map(({ from, path }) => `${from} → ${path}`);
    expect(wrong).toEqual([]);
  });

  it('are the reading order that src/README.md gives', () => {
    const page = readFileSync(join(root, 'src/README.md'), 'utf8');
    const listed = [...page.matchAll(/^\d+\. \[`([a-z]+)\/`\]/gm)].map(([, name]) => name);
    expect(listed).toEqual([...order, ...programs]);
  });
});

describe('devices', () => {
  it('import only `fealty/device` and their own files, as a third party would', () => {
    const wrong = sourcesOf('devices')
      .flatMap((file) => importsOf(file))
      .filter(
        ({ from, specifier, path }) =>
          specifier !== 'fealty/device' &&
          !(
            path !== undefined &&
            path.split('/').slice(0, 2).join('/') === from.split('/').slice(0, 2).join('/')
          ) &&
          !specifier.startsWith('node:'),
      )
      .map(({ from, specifier }) => `${from} → ${specifier}`);
    expect(wrong).toEqual([]);
  });
});

describe('the simulator', () => {
  it('lets only its scenarios know the devices', () => {
    const wrong = sourcesOf('simulator')
      .filter((file) => !file.startsWith('simulator/scenarios/'))
      .flatMap((file) => importsOf(file))
      .filter(({ path }) => path?.startsWith('devices/'))
      .map(({ from, path }) => `${from} → ${path}`);
    expect(wrong).toEqual([]);
  });
});
