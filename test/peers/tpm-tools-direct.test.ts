import { attestation } from './tpm-tools/attestation.ts';
import { direct, toolSuite } from './tpm-tools/bench.ts';
import { crypto } from './tpm-tools/crypto.ts';
import { keys } from './tpm-tools/keys.ts';
import { nv } from './tpm-tools/nv.ts';
import { platform, power } from './tpm-tools/platform.ts';
import { policy } from './tpm-tools/policy.ts';
import { contexts, storage } from './tpm-tools/storage.ts';

toolSuite(direct, [keys, crypto, nv, platform, power, policy, attestation, storage, contexts]);
