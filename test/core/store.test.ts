import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryStore } from '../../simulator/store.ts';
import { text, utf8 } from '../../src/core/bytes.ts';
import { StoreFailed } from '../../src/core/errors.ts';
import { fileStore } from '../../src/core/node-store.ts';
import type { Store } from '../../src/core/platform.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fealty-store-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const stores: [string, () => Store][] = [
  ['in files', () => fileStore(join(folder, 'state'))],
  ['in memory', () => memoryStore()],
];

describe.each(stores)('a store %s', (_, open) => {
  it('gives back what was written, and nothing for what was not', async () => {
    const store = open();
    expect(await store.list()).toEqual([]);
    expect(await store.read('credentials.json')).toBeUndefined();
    await store.write('keys/ldevid.bin', utf8('one'));
    await store.write('keys/ldevid.bin', utf8('two'));
    expect(text((await store.read('keys/ldevid.bin')) ?? utf8(''))).toBe('two');
    expect(await store.list('keys/')).toEqual(['keys/ldevid.bin']);
    await store.remove('keys/ldevid.bin');
    await store.remove('keys/ldevid.bin');
    expect(await store.list()).toEqual([]);
  });

  it('keeps a journal in the order of its appends', async () => {
    const store = open();
    const journal = await store.journal('audit.log');
    await Promise.all(['a', 'b', 'c', 'd'].map((part) => journal.append(utf8(part))));
    await journal.append(utf8('e'));
    expect(journal.size).toBe(5);
    expect(text(await journal.read())).toBe('abcde');
    await journal.truncate(3);
    await journal.append(utf8('X'));
    await journal.close();
    const again = await store.journal('audit.log');
    expect(text(await again.read())).toBe('abcX');
    await again.close();
  });
});

describe('a store in files', () => {
  it('refuses names that lead elsewhere', async () => {
    const store = fileStore(folder);
    for (const name of ['../x', '/etc/passwd', 'a/../b', '', 'a//b', '.hidden', 'a\0b'])
      await expect(store.read(name)).rejects.toThrow();
  });

  it('lets nobody else read', async () => {
    const store = fileStore(join(folder, 'state'));
    await store.write('secret', utf8('s'));
    expect((await stat(join(folder, 'state/secret'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'state'))).mode & 0o077).toBe(0);
  });

  it('leaves no half file behind, and ignores one that a power cut left', async () => {
    const store = fileStore(folder);
    await store.write('state', utf8('whole'));
    await writeFile(join(folder, 'state.1.1.tmp'), 'ha');
    expect(await store.list()).toEqual(['state']);
    await store.write('state', utf8('new'));
    expect((await readdir(folder)).sort()).toEqual(['state', 'state.1.1.tmp']);
  });

  it('refuses to append to a closed journal', async () => {
    const journal = await fileStore(folder).journal('log');
    await journal.close();
    await expect(journal.append(utf8('x'))).rejects.toThrow(StoreFailed);
  });
});

describe('a store in memory', () => {
  it('loses nothing durable when the power goes', async () => {
    const store = memoryStore();
    await store.write('a', utf8('1'));
    store.cutPower(true);
    await expect(store.write('a', utf8('2'))).rejects.toThrow(StoreFailed);
    store.cutPower(false);
    expect(text((await store.read('a')) ?? utf8(''))).toBe('1');
  });
});
