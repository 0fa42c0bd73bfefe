import { attestation } from './tpm-tools/attestation.ts';
import { benchSuite } from './tpm-tools/bench.ts';
import { nv } from './tpm-tools/nv.ts';
import { platform, power } from './tpm-tools/platform.ts';
import { policy } from './tpm-tools/policy.ts';
import { openSideBySide } from './tpm-tools/side-by-side.ts';
import { contexts, storage } from './tpm-tools/storage.ts';

benchSuite(
  {
    name: 'see no difference between the software TPM and swtpm, and',
    programs: ['swtpm'],
    possible: true,
    open: openSideBySide,
  },
  [nv, platform, power, policy, attestation, storage, contexts],
);
