import { attestation } from './tpm-tools/attestation.ts';
import { managed, toolSuite } from './tpm-tools/bench.ts';
import { crypto } from './tpm-tools/crypto.ts';
import { keys } from './tpm-tools/keys.ts';
import { nv } from './tpm-tools/nv.ts';
import { platform } from './tpm-tools/platform.ts';
import { policy } from './tpm-tools/policy.ts';
import { storage } from './tpm-tools/storage.ts';

toolSuite(managed, [keys, crypto, nv, platform, policy, attestation, storage]);
