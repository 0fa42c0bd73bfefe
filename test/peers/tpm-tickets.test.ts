import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  TPM2_CreatePrimary,
  TPM2_FlushContext,
  TPM2_PolicySecret,
  TPM2_PolicyTicket,
} from '../../src/tpm/commands.ts';
import { nameOf, TPM_RH } from '../../src/tpm/index.ts';
import { ask, none } from '../tpm/raw.ts';
import { startKeyless } from '../tpm/raw-sessions.ts';
import { creation, fixedStorage } from '../tpm/raw-templates.ts';
import type { Pair } from './pair.ts';
import { startPair } from './pair.ts';
import { needs } from './present.ts';

const limits = { nonceTPM: none, cpHashA: none, policyRef: none };
const suite = describe.skipIf(!needs('swtpm'));

suite('the ticket of a PolicySecret by a key, from the software TPM and from swtpm', () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await startPair();
  });
  afterAll(() => pair.close());

  it.each(['owner', 'endorsement', 'platform', 'null'] as const)(
    'is of the hierarchy that the key is in: %s',
    async (hierarchy) => {
      for (const tpm of [pair.ours, pair.its]) {
        const primary = { primaryHandle: TPM_RH[hierarchy], ...creation, inPublic: fixedStorage };
        const { objectHandle: authHandle, outPublic } = await ask(tpm, TPM2_CreatePrimary, primary);
        const { handle: policySession } = await startKeyless(tpm, 'policy');
        const secret = { authHandle, policySession, ...limits, expiration: -1000 };
        const { timeout, policyTicket: ticket } = await ask(tpm, TPM2_PolicySecret, secret);
        expect(ticket).toMatchObject({ tag: 'authSecret', hierarchy: TPM_RH[hierarchy] });
        const instead = { policySession, timeout, ...limits, authName: nameOf(outPublic), ticket };
        await ask(tpm, TPM2_PolicyTicket, instead);
        for (const flushHandle of [authHandle, policySession])
          await ask(tpm, TPM2_FlushContext, { flushHandle });
      }
    },
  );
});
