import { afterAll, beforeAll, describe } from 'vitest';
import { enforcementStories } from '../tpm/suite-enforcement.ts';
import { keyedSessionStories } from '../tpm/suite-keyed-sessions.ts';
import { nvAuthorizationStories } from '../tpm/suite-nv-authorization.ts';
import { policyAuthorityStories } from '../tpm/suite-policy.ts';
import { policyCalculatorStories } from '../tpm/suite-policy-calculator.ts';
import { policyCheckStories } from '../tpm/suite-policy-checks.ts';
import { rawSessionStories } from '../tpm/suite-raw-sessions.ts';
import { needs } from './present.ts';
import { openSwtpm } from './swtpm.ts';

describe.skipIf(!needs('swtpm'))('swtpm', { timeout: 60_000 }, () => {
  let swtpm: Awaited<ReturnType<typeof openSwtpm>>;
  beforeAll(async () => {
    swtpm = await openSwtpm();
  });
  afterAll(() => swtpm.close());
  describe('policies by authority', () => policyAuthorityStories(() => swtpm.transport));
  describe('policies that look', () => policyCheckStories(() => swtpm.transport, 'reversed'));
  describe('policies in use', () => enforcementStories(() => swtpm.transport));
  describe('policies and PINs of NV', () => nvAuthorizationStories(() => swtpm.transport));
  policyCalculatorStories(() => swtpm.transport);
  describe('sessions', () => rawSessionStories(() => swtpm.transport));
  describe('sessions with keys', () => keyedSessionStories(() => swtpm.transport, [128, 256]));
});
