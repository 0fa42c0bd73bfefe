import { attestation } from './tpm-tools/attestation.ts';
import { managed, toolSuite } from './tpm-tools/bench.ts';
import { keys } from './tpm-tools/keys.ts';
import { nv } from './tpm-tools/nv.ts';
import { policy } from './tpm-tools/policy.ts';
import { storage } from './tpm-tools/storage.ts';

// What fills slots and saves contexts: keys and sessions. The rest goes through a resource manager unchanged.
toolSuite(managed, [keys, nv, policy, attestation, storage]);
