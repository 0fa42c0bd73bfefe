import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../src/identity/certificate.ts';
import { issueWic } from '../../src/identity/issue.ts';
import { validateChain } from '../../src/identity/validate.ts';
import { AGENT, fleet, issuing, key, NOW } from './fixtures.ts';

describe('an issued certificate', () => {
  it('is a WIC whose chain validates', async () => {
    const { root, aca } = await fleet();
    const wic = await issueWic({ ...issuing(aca), agentId: AGENT, publicKey: key().publicJwk });
    const chain = validateChain({
      leaf: wic,
      intermediates: [aca.certificate],
      anchors: [root.certificate],
      at: NOW,
      purpose: 'wic',
    });
    expect(chain.agentId).toBe(AGENT);
    expect(parseCertificate(wic).subject.commonName).toMatch(/^[a-z2-7]{13}$/);
  });
});
