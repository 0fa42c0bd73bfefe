import { AuditJournal, signedCheckpoints } from '../audit/index.ts';
import { nodePlatform } from '../core/node.ts';
import { generateKey } from '../core/signer.ts';
import type { Device } from '../grants/index.ts';
import { defineDevice } from '../grants/index.ts';
import type { Permissions } from '../permissions/index.ts';
import { openPermissions } from '../permissions/index.ts';
import { Generations } from '../tokens/index.ts';

/** What {@link readyAgent} opened. */
export interface ReadyAgent {
  readonly audit: AuditJournal;
  readonly permissions: Permissions;
}

/**
 * An agent as far as it gets without its TPM: store, audit log, revocations and enforcement point over one device. The
 * bench `weight` takes it as the moment a robot could act, but for the answers of its TPM and its authority.
 *
 * @param directory its state folder.
 */
export async function readyAgent(directory: string): Promise<ReadyAgent> {
  const platform = nodePlatform({ directory });
  const { clock, store, random } = platform;
  const self = 'spiffe://fleet.example/agent/ready';
  const audit = await AuditJournal.open({
    store,
    clock,
    agent: self,
    checkpointer: signedCheckpoints(generateKey(random)),
  });
  await Generations.open({ clock, store, trustDomain: 'fleet.example' });
  const permissions = await openPermissions({ platform, self, audit, devices: [lamp()] });
  return { audit, permissions };
}

function lamp(): Device {
  return defineDevice({
    description: {
      name: 'lamp',
      title: 'Lamp',
      risk: 'comfort',
      properties: { on: { type: 'boolean' } },
      actions: { switch: { input: { on: { type: 'boolean' } } } },
      events: {},
    },
    open: async ({ reports }) => {
      reports.property('on', false);
      return {
        perform: async (_action, { on }) => {
          reports.property('on', on === true);
          return undefined;
        },
        close: async () => {},
      };
    },
  });
}
