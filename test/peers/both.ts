import { nodePlatform } from '../../src/core/node.ts';
import { openTransport } from '../../src/tpm/index.ts';
import type { Chip } from '../simulator/ask.ts';
import { chipOf, codeOf, softwareChip } from '../simulator/ask.ts';
import { startSwtpm } from './swtpm.ts';

/** A fresh software TPM. */
export function ourChip(): Promise<Chip> {
  const { clock, random } = nodePlatform({ directory: '.' });
  return softwareChip({ clock, random });
}

/** A fresh swtpm. It is asked again when it wants to (TPM_RC_RETRY). */
export async function theirChip(): Promise<Chip> {
  const swtpm = await startSwtpm();
  const transport = openTransport(swtpm.spec);
  const raw = async (command: Uint8Array): Promise<Uint8Array> => {
    const answer = await transport.exchange(command);
    return codeOf(answer) === '922' ? raw(command) : answer;
  };
  return chipOf(raw, async () => {
    await transport.close?.();
    await swtpm.close();
  });
}
