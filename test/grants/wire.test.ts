import { describe, expect, it } from 'vitest';
import { hex } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/hash.ts';
import { canonicalBytes, parseJson } from '../../src/core/json.ts';
import {
  narrows,
  parseCondition,
  readGrant,
  readProhibition,
  writeCondition,
} from '../../src/grants/index.ts';
import { policyDigest } from '../../src/permissions/index.ts';
import { chapter } from '../identity/vectors.ts';

const page = chapter('Grants');

/** The block of the page with this name. */
function block(name: string): string {
  const found = new RegExp(`\`\`\`(?:json|text) ${name}\n([\\s\\S]*?)\n\`\`\``).exec(page)?.[1];
  if (found === undefined) throw new Error(`the page has no block ${name}`);
  return found;
}

describe('the page about grants on the wire', () => {
  const grant = readGrant(parseJson(block('grant')));

  it('shows a grant with its digest', () => {
    expect(hex(sha256(canonicalBytes(grant)))).toBe(block('grant-sha256'));
  });

  it('shows its condition as text', () => {
    expect(parseCondition(block('condition'))).toEqual(grant.condition);
    expect(grant.condition && writeCondition(grant.condition)).toBe(block('condition'));
  });

  it('shows a grant that narrows it', () => {
    expect(() => narrows(grant, readGrant(parseJson(block('narrowed'))))).not.toThrow();
  });

  it('shows a house rule', () => {
    expect(readProhibition(parseJson(block('prohibition'))).device).toBe('front-door');
  });

  it('shows what a person confirms under', () => {
    expect(policyDigest([grant])).toBe(block('policy-sha256'));
  });
});
