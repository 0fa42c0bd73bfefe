import { afterAll, beforeAll, describe } from 'vitest';
import type { Transport } from '../../src/tpm/index.ts';
import { openTransport } from '../../src/tpm/index.ts';
import { enforcementStories } from '../tpm/suite-enforcement.ts';
import { keyedSessionStories } from '../tpm/suite-keyed-sessions.ts';
import { nvAuthorizationStories } from '../tpm/suite-nv-authorization.ts';
import { policyAuthorityStories } from '../tpm/suite-policy.ts';
import { policyCalculatorStories } from '../tpm/suite-policy-calculator.ts';
import { policyCheckStories } from '../tpm/suite-policy-checks.ts';
import { rawSessionStories } from '../tpm/suite-raw-sessions.ts';
import { needs } from './present.ts';
import type { Swtpm } from './swtpm.ts';
import { startSwtpm } from './swtpm.ts';

describe.skipIf(!needs('swtpm'))('swtpm', { timeout: 60_000 }, () => {
  let swtpm: Swtpm;
  let transport: Transport;
  beforeAll(async () => {
    swtpm = await startSwtpm();
    transport = openTransport(swtpm.spec);
  });
  afterAll(async () => {
    await transport.close?.();
    await swtpm.close();
  });
  describe('policies by authority', () => policyAuthorityStories(() => transport));
  describe('policies that look', () => policyCheckStories(() => transport, 'reversed'));
  describe('policies in use', () => enforcementStories(() => transport));
  describe('policies and PINs of NV', () => nvAuthorizationStories(() => transport));
  policyCalculatorStories(() => transport);
  describe('sessions', () => rawSessionStories(() => transport));
  describe('sessions with keys', () => keyedSessionStories(() => transport, [128, 256]));
});
