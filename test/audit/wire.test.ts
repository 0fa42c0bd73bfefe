import { describe, expect, it } from 'vitest';
import { showLog, verifyLog } from '../../src/audit/auditor.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { parseJsonObject } from '../../src/core/json.ts';
import { readPublicJwk } from '../../src/core/signer.ts';
import { vector } from '../identity/vectors.ts';

describe('the example log of the wire reference', () => {
  const bytes = utf8(`${vector('audit-log')}\n`);
  const key = parseJsonObject(vector('ldevid-jwk'));
  const signers = [{ kid: String(key['kid']), jwk: readPublicJwk(key) }];

  it('verifies, and is proven up to its checkpoint', () => {
    expect(verifyLog(bytes, { signers })).toMatchObject({ ok: true, records: 6, proven: 5, open: [] });
    expect(showLog(bytes).map(({ kind }) => kind)).toEqual([
      'intent',
      'outcome',
      'decision',
      'denials',
      'checkpoint',
      'checkpoint-evidence',
    ]);
  });
});
