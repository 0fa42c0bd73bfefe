import { describe, expect, it } from 'vitest';
import { fromHex, hex, u32 } from '../../src/core/bytes.ts';
import { encode } from '../../src/tpm/codec.ts';
import { delegationIndex, deviceKeyBranches } from '../../src/tpm/device-policies.ts';
import { Policy } from '../../src/tpm/policy.ts';
import * as digests from '../../src/tpm/policy-digests.ts';
import { TPMA_NV, TPMA_OBJECT } from '../../src/tpm/structures.ts';
import { ekTemplate, iakTemplate, idevidTemplate } from '../../src/tpm/templates.ts';

describe.each(['sha256', 'sha384', 'sha512'] as const)('the policies of TCG device keys in %s', (hash) => {
  it('follow from first principles', () => {
    const user = Policy.start(hash).secret(u32(0x4000000b));
    expect(hex(user.digest)).toBe(digests.POLICY_ENDORSEMENT[hash]);
    expect(hex(user.commandCode(0x148).digest)).toBe(digests.POLICY_CERTIFY[hash]);
    expect(hex(user.commandCode(0x147).digest)).toBe(digests.POLICY_ACTIVATE[hash]);
    for (const [of, delegation, result] of [
      ['idevid', digests.POLICY_DELEGATION_IDEVID, digests.AUTH_POLICY_IDEVID],
      ['iak', digests.POLICY_DELEGATION_IAK, digests.AUTH_POLICY_IAK],
    ] as const) {
      const branches = deviceKeyBranches(of, hash);
      expect(branches.map(hex)).toEqual([
        digests.POLICY_ENDORSEMENT[hash],
        digests.POLICY_CERTIFY[hash],
        digests.POLICY_ACTIVATE[hash],
        delegation[hash],
      ]);
      expect(hex(Policy.start(hash).or(branches).digest)).toBe(result[hash]);
    }
  });

  it('delegate to an NV index with the attributes 0x220F1008, written', () => {
    expect(hex(encode(TPMA_NV, delegationIndex('idevid', hash).attributes))).toBe('220f1008');
  });
});

describe('the templates', () => {
  it('have the attributes of the profiles', () => {
    const attributes = (template: { readonly objectAttributes: Parameters<typeof encode<TPMA_OBJECT>>[1] }) =>
      hex(encode(TPMA_OBJECT, template.objectAttributes));
    expect(attributes(iakTemplate())).toBe('000500f2');
    expect(attributes(idevidTemplate())).toBe('000400f2');
    expect(attributes(ekTemplate)).toBe('000300b2');
    expect(ekTemplate.authPolicy).toEqual(fromHex(digests.POLICY_ENDORSEMENT.sha256));
  });

  it('differ by `unique` alone between makers', () => {
    expect(iakTemplate('y-equals-x').unique.y).toEqual(iakTemplate().unique.x);
    expect(hex(idevidTemplate('halves').unique.x)).toBe(hex(new TextEncoder().encode('IDE')));
    expect({ ...idevidTemplate('halves'), unique: idevidTemplate().unique }).toEqual(idevidTemplate());
  });
});
