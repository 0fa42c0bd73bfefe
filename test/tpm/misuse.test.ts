import { beforeEach, describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { TPM2_FlushContext, TPM2_GetRandom, TPM2_PCR_Reset, TPM2_SelfTest } from '../../src/tpm/commands.ts';
import {
  ekTemplate,
  ldevidTemplate,
  makeCredential,
  nameOf,
  Policy,
  password,
  run,
  startSession,
  using,
} from '../../src/tpm/index.ts';
import type { Stage } from './stage.ts';
import { setStage } from './stage.ts';

const random = seededRandom('misuse');
const nothing = new Uint8Array();
let stage: Stage;

beforeEach(async () => {
  stage = await setStage(await SoftwareTpm.create({ random, clock: virtualClock() }));
});

describe('what a caller does wrong is said, and nothing is sent to the TPM:', () => {
  const refused = async (act: () => unknown, says: RegExp) => {
    const sent = stage.wire.commands.length;
    await expect((async () => await act())()).rejects.toThrow(says);
    expect(stage.wire.commands.length).toBe(sent);
  };

  it('more authorizations than a command can carry', async () => {
    const four = { authorizations: [password(), password(), password(), password()] };
    await refused(() => run(stage.tpm, TPM2_PCR_Reset, { pcrHandle: 16 }, four), /at most three/);
  });

  it('a parameter to be hidden where there is none', async () => {
    const session = await startSession(stage.tpm, { kind: 'hmac' });
    const no = /no parameter to encrypt/;
    for (const use of [{ encryptRequest: true }, { encryptResponse: true }]) {
      const hidden = { authorizations: [using(session, use)] };
      await refused(() => run(stage.tpm, TPM2_SelfTest, { fullTest: 'no' }, hidden), no);
      if (use.encryptRequest)
        await refused(() => run(stage.tpm, TPM2_GetRandom, { bytesRequested: 8 }, hidden), no);
    }
    await run(stage.tpm, TPM2_FlushContext, { flushHandle: session.handle });
  });

  it('a choice of policies that is none, or of different hashes, or too long for one PolicyOR', async () => {
    const policy = Policy.start('sha256');
    await refused(() => Policy.any([]), /must not be empty/);
    await refused(() => Policy.any([policy, Policy.start('sha384')]), /the same hash/);
    await refused(() => policy.or([policy.digest]), /two to eight/);
    await refused(() => policy.or(Array(9).fill(policy.digest)), /two to eight/);
  });

  it('a credential for what is no endorsement key or no Name, or a secret that does not fit', async () => {
    const credential = { ek: ekTemplate, name: nameOf(ldevidTemplate), secret: nothing, random };
    await refused(() => makeCredential({ ...credential, ek: ldevidTemplate }), /not an endorsement key/);
    await refused(() => makeCredential({ ...credential, name: nothing }), /not a Name/);
    await refused(
      () => makeCredential({ ...credential, secret: new Uint8Array(33) }),
      /longer than a digest/,
    );
  });
});
