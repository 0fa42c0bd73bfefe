import Libsql from 'libsql';
import type { Dialect } from './database.ts';
import { SqliteDialect } from './database.ts';

/**
 * SQLite in a file, through libsql (its binaries come inside registry packages; nothing compiles).
 * Write-ahead log with full synchronisation: what is committed survives a power cut.
 *
 * @param file path, or `:memory:`.
 */
export function sqliteDialect(file: string): Dialect {
  return new SqliteDialect({
    database: async () => {
      const database = new Libsql(file);
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
      database.pragma('foreign_keys = ON');
      database.pragma('busy_timeout = 5000');
      return database as never;
    },
  });
}
