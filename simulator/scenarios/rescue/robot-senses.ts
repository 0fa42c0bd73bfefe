import type { Position, Twin } from 'fealty/device';

/** Counts the steps an arm makes since a peer said that the way is not clear. */
export class ArmSteps {
  #sinceObstacle: number | undefined;
  #height: unknown;

  /** `undefined` when there was no such report. */
  get sinceObstacle(): number | undefined {
    return this.#sinceObstacle;
  }

  /** The way is not clear; what was counted since an earlier report still counts. */
  obstacle(): void {
    this.#sinceObstacle ??= 0;
  }

  /** The arm is at `height` now. */
  moved(height: unknown): void {
    if (height !== this.#height && this.#sinceObstacle !== undefined) this.#sinceObstacle++;
    this.#height = height;
  }

  /** As if there had been no report. */
  reset(): void {
    this.#sinceObstacle = undefined;
  }
}

/** How a robot's body can be made to sense, to tell of something, to fall silent; and what it did. */
export function senseMethods(twin: () => Twin, steps: ArmSteps) {
  return {
    sense: async (sensed: {
      property: string;
      value: string | number | boolean | Position;
    }): Promise<void> => {
      if (sensed.property === 'lidar-clear') steps.reset();
      twin().sense(sensed.property, sensed.value);
    },
    /** Steps of the arm since the last report of an obstacle; `undefined` when there was none. */
    steps: async (): Promise<number | undefined> => steps.sinceObstacle,
    resetSteps: async (): Promise<void> => {
      steps.reset();
    },
    happen: async ({ event }: { event: string }): Promise<void> => {
      twin().happen(event, { distance: 1 });
    },
    mute: async ({ silent }: { silent: boolean }): Promise<void> => {
      twin().mute(silent);
    },
    journal: async (): Promise<readonly { at: string; action: string }[]> => twin().journal,
  };
}
