import { join } from 'node:path';
import { nodePlatform } from 'fealty';
import { counterRead, nvReadPublic, openTpm, openTransport } from 'fealty/tpm';
import { AUDIT_COUNTER } from '../../../src/audit/tpm-checkpoint.ts';
import { concat, hex, text, utf8 } from '../../../src/core/bytes.ts';
import { sha256 } from '../../../src/core/hash.ts';
import { fileStore } from '../../../src/core/node-store.ts';
import { SoftwareTpm } from '../../tpm/index.ts';
import type { Cast } from './cast.ts';
import type { RobotName } from './words.ts';

/** What the audit counter in a robot's TPM reads; its process has ended. */
export async function counterOf(cast: Cast, name: RobotName): Promise<bigint> {
  const { random, clock } = cast.platform;
  const spec = await cast.tpmOf(name);
  const { store } = nodePlatform({ directory: join(cast.folder(name), 'tpm') });
  const chip = spec === 'software' ? await SoftwareTpm.create({ random, clock, store }) : undefined;
  const tpm = await openTpm({ transport: chip ?? openTransport(spec), random, clock });
  try {
    const auth = await fileStore(cast.folder(name)).read('agent/audit-counter');
    const counter = await nvReadPublic(tpm, AUDIT_COUNTER, auth);
    if (counter === undefined) throw new Error(`the TPM of ${name} has no audit counter`);
    return await counterRead(tpm, counter);
  } finally {
    await tpm.close();
    await chip?.close();
  }
}

/**
 * Where a byte can be flipped so that the line is still a well-formed record: the last digit of the time of a record that
 * is no checkpoint, from `part` of the log's length on.
 */
export function digitNear(log: Uint8Array, part: number): number {
  const lines = linesOf(log).slice(0, -2);
  const ordinary = lines.filter(({ line }) => !line.includes('"kind":"checkpoint'));
  const chosen =
    ordinary.find(({ at, line }) => at + utf8(line).length > part * log.length) ?? ordinary.at(-1);
  const digits = /"at":\d+/.exec(chosen?.line ?? '');
  if (chosen === undefined || digits === null) throw new Error('the log has no record');
  return chosen.at + utf8(chosen.line.slice(0, digits.index)).length + digits[0].length - 1;
}

/** A copy in which every record names the hash of the one before, as somebody would write who can write the file. */
export function rechained(log: Uint8Array): Uint8Array {
  const lines: Uint8Array[] = [];
  for (const { line } of linesOf(log)) {
    const before = lines.at(-1);
    const fitted =
      before === undefined
        ? line
        : line.replace(/"previous":"[0-9a-f]{64}"/, `"previous":"${hex(sha256(before.subarray(0, -1)))}"`);
    lines.push(utf8(`${fitted}\n`));
  }
  return concat(...lines);
}

/** A copy that ends before its last checkpoint. */
export function withoutEnd(log: Uint8Array): Uint8Array {
  const last = linesOf(log).findLast(({ line }) => line.includes('"kind":"checkpoint"'));
  return log.slice(0, last?.at ?? 0);
}

function linesOf(log: Uint8Array): readonly { readonly at: number; readonly line: string }[] {
  let at = 0;
  return text(log)
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const here = { at, line };
      at += utf8(line).length + 1;
      return here;
    });
}
