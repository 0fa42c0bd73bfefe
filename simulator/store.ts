import { concat } from '../src/core/bytes.ts';
import { StoreFailed } from '../src/core/errors.ts';
import type { Journal, Store } from '../src/core/platform.ts';

/** A {@link Store} in memory, with a power switch. */
export interface MemoryStore extends Store {
  /** From now on nothing more is written, as if the power had gone; `false` brings it back with what was durable. */
  cutPower(off: boolean): void;
  /** Fails the `count`-th write from now (1 = the next), once. */
  failWrite(count: number): void;
}

/** An empty {@link MemoryStore}. What was written survives in the object, as on a disk, whoever opens it again. */
export function memoryStore(): MemoryStore {
  const files = new Map<string, Uint8Array>();
  // What was appended since a journal was last read: joined then, so that a long journal is not copied at each append.
  const appended = new Map<string, Uint8Array[]>();
  const contentOf = (name: string): Uint8Array | undefined => {
    const chunks = appended.get(name);
    if (chunks !== undefined) {
      appended.delete(name);
      files.set(name, concat(files.get(name) ?? new Uint8Array(), ...chunks));
    }
    return files.get(name);
  };
  let off = false;
  let failIn = 0;
  const writing = () => {
    if (off) throw new StoreFailed('the power is off');
    if (failIn > 0 && --failIn === 0) throw new StoreFailed('a simulated write error');
  };
  return {
    cutPower: (value) => {
      off = value;
    },
    failWrite: (count) => {
      failIn = count;
    },
    read: async (name) => contentOf(name)?.slice(),
    write: async (name, data) => {
      writing();
      appended.delete(name);
      files.set(name, data.slice());
    },
    remove: async (name) => {
      writing();
      appended.delete(name);
      files.delete(name);
    },
    list: async (prefix = '') => [...files.keys()].filter((name) => name.startsWith(prefix)).sort(),
    journal: async (name): Promise<Journal> => {
      if (!files.has(name)) files.set(name, new Uint8Array());
      const content = () => contentOf(name) ?? new Uint8Array();
      return {
        get size() {
          return content().length;
        },
        append: async (chunk) => {
          writing();
          if (!files.has(name)) files.set(name, new Uint8Array());
          const chunks = appended.get(name) ?? [];
          chunks.push(chunk.slice());
          appended.set(name, chunks);
        },
        read: async () => content().slice(),
        truncate: async (length) => {
          writing();
          files.set(name, content().slice(0, length));
        },
        close: async () => {},
      };
    },
  };
}
