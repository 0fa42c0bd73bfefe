import { describe, expect, it } from 'vitest';
import { memoryStore } from '../../simulator/store.ts';
import { tearingStore } from '../../simulator/tpm/tearing.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { StoreFailed } from '../../src/core/errors.ts';

describe('a store whose power goes while it writes', () => {
  const filled = async () => {
    const store = tearingStore(memoryStore());
    await store.write('file', utf8('old'));
    const journal = await store.journal('journal');
    await journal.append(utf8('one '));
    return { store, journal };
  };

  it('has what was there before, but for half of what was appended', async () => {
    const { store, journal } = await filled();
    for (const [write, left] of [
      [() => store.write('file', utf8('new')), 'one '],
      [() => store.remove('file'), 'one '],
      [() => journal.truncate(0), 'one '],
      [() => journal.append(utf8('half')), 'one ha'],
    ] as const) {
      store.tear(true);
      await expect(write()).rejects.toThrow(StoreFailed);
      expect(await store.read('file')).toEqual(utf8('old'));
      expect(await journal.read()).toEqual(utf8(left));
    }
    await journal.close();
  });

  it('loses its power once, and not when it was told that it stays', async () => {
    const { store, journal } = await filled();
    store.tear(true);
    await expect(store.remove('file')).rejects.toThrow(StoreFailed);
    store.tear(true);
    store.tear(false);
    await journal.truncate(0);
    expect(journal.size).toBe(0);
    expect(await store.list('f')).toEqual(['file']);
    await store.remove('file');
    expect(await store.list('f')).toEqual([]);
  });
});
