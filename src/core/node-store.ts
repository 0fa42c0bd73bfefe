import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { StoreFailed } from './errors.ts';
import type { Journal, Store } from './platform.ts';

/** A {@link Store} in files of mode 0600 under `directory` (mode 0700), made when first written. */
export function fileStore(directory: string): Store {
  const pathOf = (name: string) => {
    if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/.test(name))
      throw new TypeError(`not a name for stored state: \`${name}\``);
    return join(directory, name);
  };
  const guarded = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw new StoreFailed(`cannot ${what}`, { cause });
    }
  };
  let serial = 0;
  return {
    read: (name) =>
      guarded(`read \`${name}\``, async () => {
        try {
          return new Uint8Array(await readFile(pathOf(name)));
        } catch (error) {
          if (isMissing(error)) return undefined;
          throw error;
        }
      }),
    write: (name, data) =>
      guarded(`write \`${name}\``, async () => {
        const path = pathOf(name);
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        // Old or new, never half: a complete synced file takes the name in one step.
        const temporary = `${path}.${process.pid}.${++serial}.tmp`;
        const file = await open(temporary, 'w', 0o600);
        try {
          await file.writeFile(data);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, path);
        await syncDirectory(dirname(path));
      }),
    remove: (name) =>
      guarded(`remove \`${name}\``, async () => {
        await rm(pathOf(name), { force: true });
      }),
    list: (prefix = '') =>
      guarded('list stored state', async () => {
        let entries: string[];
        try {
          entries = (await readdir(directory, { recursive: true, withFileTypes: true }))
            .filter((entry) => entry.isFile() && !entry.name.endsWith('.tmp'))
            .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/'));
        } catch (error) {
          if (isMissing(error)) return [];
          throw error;
        }
        return entries.filter((name) => name.startsWith(prefix)).sort();
      }),
    journal: (name) =>
      guarded(`open \`${name}\``, async () => {
        const path = pathOf(name);
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        const file = await open(path, 'a+', 0o600);
        await syncDirectory(dirname(path));
        return new FileJournal(name, file, (await file.stat()).size);
      }),
  };
}

/** Appends are written in order; those that wait while one sync runs share the next (group commit). */
class FileJournal implements Journal {
  #name: string;
  #file: FileHandle;
  #size: number;
  #waiting: Uint8Array[] = [];
  #next: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();
  #failed: unknown;
  #closed = false;

  constructor(name: string, file: FileHandle, size: number) {
    this.#name = name;
    this.#file = file;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  append(chunk: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(new StoreFailed(`\`${this.#name}\` is closed`));
    this.#waiting.push(chunk);
    this.#next ??= this.#running.then(() => this.#flush());
    return this.#next;
  }

  async #flush(): Promise<void> {
    const batch = Buffer.concat(this.#waiting.splice(0));
    this.#next = undefined;
    this.#running = (async () => {
      // After a failed write the end of the file is unknown: nothing may follow it.
      if (this.#failed !== undefined) throw this.#failed;
      try {
        await this.#file.appendFile(batch);
        await this.#file.datasync();
        this.#size += batch.length;
      } catch (cause) {
        this.#failed = new StoreFailed(`cannot append to \`${this.#name}\``, { cause });
        throw this.#failed;
      }
    })();
    const result = this.#running;
    this.#running = result.catch(() => {});
    await result;
  }

  async read(): Promise<Uint8Array> {
    await this.#running;
    const out = Buffer.alloc(this.#size);
    let at = 0;
    while (at < out.length) {
      const { bytesRead } = await this.#file.read(out, at, out.length - at, at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    return new Uint8Array(out.subarray(0, at));
  }

  async truncate(size: number): Promise<void> {
    await this.#running;
    await this.#file.truncate(size);
    await this.#file.datasync();
    this.#size = size;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await (this.#next ?? this.#running).catch(() => {});
    await this.#file.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT';
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
