import { afterAll, beforeAll, describe } from 'vitest';
import type { Transport } from '../../src/tpm/index.ts';
import { openTransport } from '../../src/tpm/index.ts';
import { enforcementStories } from '../tpm/suite-enforcement.ts';
import { keyedSessionStories } from '../tpm/suite-keyed-sessions.ts';
import { policyStories } from '../tpm/suite-policy.ts';
import { policyCalculatorStories } from '../tpm/suite-policy-calculator.ts';
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
  describe('policies', () => policyStories(() => transport, 'reversed'));
  enforcementStories(() => transport);
  policyCalculatorStories(() => transport);
  describe('sessions', () => rawSessionStories(() => transport));
  describe('sessions with keys', () => keyedSessionStories(() => transport, [128, 256]));
});
