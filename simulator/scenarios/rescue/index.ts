import { nodePlatform } from 'fealty';
import { pick, seededRandom } from '../../random.ts';
import type { StoryResult } from '../story.ts';
import { Story } from '../story.ts';
import type { RescueOptions } from './cast.ts';
import { Cast } from './cast.ts';
import type { Plot } from './plot.ts';
import { arriveStep, enrolStep, tokenStep } from './step-arrive.ts';
import { auditStep } from './step-audit.ts';
import { domainStep } from './step-domain.ts';
import { endStep } from './step-end.ts';
import { impostorStep } from './step-impostor.ts';
import { liftStep, stopStep } from './step-lift.ts';

/**
 * The rescue (seed S1 section 4.1; OS-03, OS-04, UC-S1b): every party in a process of its own, over HTTPS and MQTT on
 * loopback, from the maker's line to the end of the task.
 */
export async function runRescue(options: RescueOptions): Promise<StoryResult> {
  const { clock } = nodePlatform({ directory: options.directory });
  const story = new Story({ name: 'rescue', seed: options.seed, clock, audience: options.audience });
  const cast = new Cast(options);
  const chance = seededRandom(options.seed, 'rescue');
  const plot: Plot = {
    cast,
    liftM: 0.2 + pick(chance, 10) / 100,
    metresAway: 400 + pick(chance, 600),
    flippedAt: pick(chance, 1_000_000) / 1_000_000,
    order: pick(chance, 2) === 0 ? ['dog', 'vehicle'] : ['vehicle', 'dog'],
    domains: new Map(),
  };
  // Ctrl-C: every wait below ends when the processes it waits for do.
  const abort = () => void cast.close();
  options.signal.addEventListener('abort', abort, { once: true });
  try {
    await story.step('The maker gives each TPM an EK, an IAK and an IDevID', (telling) =>
      arriveStep(plot, telling),
    );
    await story.step('Each robot proves what it is and enrols', (telling) => enrolStep(plot, telling));
    await story.step('Each gets a token for itself, with conditions inside', (telling) =>
      tokenStep(plot, telling),
    );
    await story.step('The console convenes a task domain of strangers', (telling) =>
      domainStep(plot, telling),
    );
    cast.expectImpostor(); // while arms move and stop
    await story.step('The arm moves, because everything it needs is true', (telling) =>
      liftStep(plot, telling),
    );
    await story.step('The arm stops, or never starts, when something is not', (telling) =>
      stopStep(plot, telling),
    );
    await story.step('An impostor with every key but the TPM’s is refused', (telling) =>
      impostorStep(plot, telling),
    );
    await story.step('One is thrown out; then everything ends at once', (telling) => endStep(plot, telling));
    await story.step('The audit logs verify, and a flipped byte is found', (telling) =>
      auditStep(plot, telling),
    );
  } finally {
    options.signal.removeEventListener('abort', abort);
    await cast.close();
  }
  options.signal.throwIfAborted();
  return story.result();
}
