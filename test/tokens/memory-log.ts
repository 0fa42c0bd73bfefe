import type { AuditEntry, AuditLog, AuditRecord } from '../../src/core/audit.ts';
import type { Clock } from '../../src/core/platform.ts';

/** An audit log in memory that can be told to fail. */
export function memoryLog(clock: Clock): AuditLog & { readonly records: AuditRecord[]; broken: boolean } {
  const records: AuditRecord[] = [];
  const log = {
    records,
    broken: false,
    append: async (entry: AuditEntry): Promise<AuditRecord> => {
      if (log.broken) throw new Error('the disk is full');
      const record = { ...entry, index: records.length + 1, at: clock.now(), previous: '0'.repeat(64) };
      records.push(record);
      return record;
    },
    head: () => ({ index: records.length, hash: '0'.repeat(64) }),
  };
  return log;
}
