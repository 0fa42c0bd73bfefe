import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { clientSuite } from './suite.ts';

const { clock, random } = nodePlatform({ directory: '.' });

clientSuite('the software TPM', async () => {
  const transport = await SoftwareTpm.create({ clock, random });
  return { transport, close: () => transport.close() };
});
