import { StoreFailed } from '../../src/core/errors.ts';
import type { Journal, Store } from '../../src/core/platform.ts';

/** A {@link Store} whose power can go in the middle of a write. */
export interface TearingStore extends Store {
  /** Whether the next write stops half way: of an append its first half is there, of a whole file nothing. */
  tear(next: boolean): void;
}

/** `store`, with a way to tear its writes. */
export function tearingStore(store: Store): TearingStore {
  let torn = false;
  const tearing = (): boolean => {
    const now = torn;
    torn = false;
    return now;
  };
  const gone = () => new StoreFailed('the power went while this was written');
  return {
    tear: (next) => {
      torn = next;
    },
    read: (name) => store.read(name),
    list: (prefix) => store.list(prefix),
    write: async (name, data) => {
      if (tearing()) throw gone();
      await store.write(name, data);
    },
    remove: async (name) => {
      if (tearing()) throw gone();
      await store.remove(name);
    },
    journal: async (name): Promise<Journal> => {
      const journal = await store.journal(name);
      return {
        get size() {
          return journal.size;
        },
        append: async (chunk) => {
          if (!tearing()) return await journal.append(chunk);
          await journal.append(chunk.subarray(0, chunk.length >> 1));
          throw gone();
        },
        read: () => journal.read(),
        truncate: async (size) => {
          if (tearing()) throw gone();
          await journal.truncate(size);
        },
        close: () => journal.close(),
      };
    },
  };
}
