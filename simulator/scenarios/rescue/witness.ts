import type { Device } from 'fealty/device';
import { showLog } from '../../../src/audit/auditor.ts';
import { readWholeLog } from '../../../src/audit/segments.ts';
import type { Store } from '../../../src/core/platform.ts';

/** A device that looks into its agent's audit log, on disk, before it does anything. */
export interface Witnessed {
  readonly device: Device;
  /** How often it was made to do something of which no permit was on disk yet. */
  unrecorded(): number;
}

/** @param store where the agent keeps its audit log. */
export function witnessed(device: Device, store: Store): Witnessed {
  const begun = new Map<string, number>();
  let unrecorded = 0;
  const { actions } = device.description;
  return {
    unrecorded: () => unrecorded,
    device: {
      description: device.description,
      open: async (context) => {
        const driver = await device.open(context);
        return {
          close: () => driver.close(),
          perform: async (action, input) => {
            // A stop does not wait for its record.
            if (actions[action]?.safe !== true) {
              const nth = (begun.get(action) ?? 0) + 1;
              begun.set(action, nth);
              const permits = showLog(await readWholeLog(store)).filter(
                (record) => record.action === action && record.decision === 'permit',
              );
              if (permits.length < nth) unrecorded++;
            }
            return await driver.perform(action, input);
          },
        };
      },
    },
  };
}
