import { afterEach, beforeEach, describe } from 'vitest';
import type { Clock } from '../../src/core/platform.ts';
import type { Transport } from '../../src/tpm/index.ts';
import type { Stage } from './stage.ts';
import { setStage } from './stage.ts';
import { boundStories } from './suite-bound.ts';
import { commandStories } from './suite-commands.ts';
import { evidenceStories } from './suite-evidence.ts';
import { formStories } from './suite-form.ts';
import { identityStories } from './suite-identity.ts';
import { liarStories } from './suite-liar.ts';
import { secretStories } from './suite-secrets.ts';
import { sessionStories } from './suite-sessions.ts';
import { storageStories } from './suite-storage.ts';
import { swapStories } from './suite-swap.ts';
import { tamperStories } from './suite-tamper.ts';

/** Tests of one subject. */
export type Story = (stage: () => Stage) => void;

/** A fresh TPM of some kind, manufactured by nobody yet. */
export interface Provided {
  readonly transport: Transport;
  /** The client's time. Default: that of this machine. */
  readonly clock?: Clock;
  close(): Promise<void>;
}

const all: readonly Story[] = [
  identityStories,
  storageStories,
  sessionStories,
  evidenceStories,
  swapStories,
  secretStories,
  boundStories,
  commandStories,
  tamperStories,
  liarStories,
  formStories,
];

/** The client's tests, all unless told, against whatever kind of TPM `open` provides. */
export function clientSuite(name: string, open: () => Promise<Provided>, stories = all): void {
  describe(`the TPM client against ${name}`, () => {
    let stage: Stage | undefined;
    let provided: Provided | undefined;

    beforeEach(async () => {
      provided = await open();
      stage = await setStage(provided.transport, provided.clock);
    });

    afterEach(async () => {
      await stage?.tpm.close();
      await provided?.close();
    });

    const current = (): Stage => {
      if (stage === undefined) throw new Error('no stage');
      return stage;
    };
    for (const story of stories) story(current);
  });
}
