import { concat } from '../src/core/bytes.ts';
import { StoreFailed } from '../src/core/errors.ts';
import type { Journal, Store } from '../src/core/platform.ts';

/** A {@link Store} in memory, with a power switch. */
export interface MemoryStore extends Store {
  /** From now on nothing more is written, as if the power had gone; `false` brings it back with what was durable. */
  cutPower(off: boolean): void;
  /**
   * Fails the `count`-th write from now (1 = the next), once. `kept`, from 0 to 1, is the part of an append that is there
   * all the same; a whole file is there only with 1. Default: 0.
   */
  failWrite(count: number, kept?: number): void;
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
  let keptPart = 0;
  /** `keep` does the part of the write that is done before it fails. */
  const writing = (keep: (part: number) => void = () => {}) => {
    if (off) throw new StoreFailed('the power is off');
    if (failIn > 0 && --failIn === 0) {
      keep(keptPart);
      throw new StoreFailed('a simulated write error');
    }
  };
  return {
    cutPower: (value) => {
      off = value;
    },
    failWrite: (count, kept = 0) => {
      failIn = count;
      keptPart = kept;
    },
    read: async (name) => contentOf(name)?.slice(),
    write: async (name, data) => {
      const replace = () => {
        appended.delete(name);
        files.set(name, data.slice());
      };
      writing((part) => {
        if (part === 1) replace();
      });
      replace();
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
          const add = (bytes: Uint8Array) => {
            if (!files.has(name)) files.set(name, new Uint8Array());
            const chunks = appended.get(name) ?? [];
            chunks.push(bytes.slice());
            appended.set(name, chunks);
          };
          writing((part) => add(chunk.subarray(0, Math.floor(chunk.length * part))));
          add(chunk);
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
