import { protocols } from './tpm-provider.ts';
import { attestation } from './tpm-tools/attestation.ts';
import { bySimulator, toolSuite } from './tpm-tools/bench.ts';
import { keys } from './tpm-tools/keys.ts';
import { platform, power } from './tpm-tools/platform.ts';
import { contexts, storage } from './tpm-tools/storage.ts';

// The protocol is what is tried: some of each kind of command, and what cuts the power.
if (protocols.length > 1) toolSuite(bySimulator, [keys, platform, power, attestation, storage, contexts]);
