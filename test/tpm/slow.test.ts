import { virtualClock } from '../../simulator/clock.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { hardwareProfiles } from '../../simulator/tpm/hardware.ts';
import { nodePlatform } from '../../src/core/node.ts';
import type { Clock } from '../../src/core/platform.ts';
import { clientSuite } from './suite.ts';

const { random } = nodePlatform({ directory: '.' });

/** Seconds pass for an RSA key, tenths of seconds for a signature: in virtual time, which passes while the chip works. */
clientSuite('a TPM as slow as an SLB 9670', async () => {
  const time = virtualClock();
  const clock: Clock = { ...time, sleep: (ms) => time.advance(ms) };
  const transport = await SoftwareTpm.create({ clock, random, profile: hardwareProfiles.slb9670 });
  return { transport, clock, close: () => transport.close() };
});
