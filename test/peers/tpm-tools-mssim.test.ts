import { attestation } from './tpm-tools/attestation.ts';
import { bySimulator, toolSuite } from './tpm-tools/bench.ts';
import { power } from './tpm-tools/platform.ts';
import { contexts } from './tpm-tools/storage.ts';

// The protocol is what is tried, not each command once more: its TCTI waits 40 ms for each (it writes a command in two
// pieces and lets the system hold back the second).
toolSuite(bySimulator, [attestation, power, contexts]);
