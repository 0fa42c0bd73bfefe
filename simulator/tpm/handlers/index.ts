import { u32At } from '../../../src/core/bytes.ts';
import type { Command } from '../../../src/tpm/command.ts';
import type { Handler } from '../handler.ts';
import { auditHandlers } from './audit.ts';
import { cipherHandlers } from './cipher.ts';
import { clockHandlers } from './clock.ts';
import { creationHandlers } from './creation.ts';
import { credentialHandlers } from './credential.ts';
import { duplicationHandlers } from './duplication.ts';
import { eccHandlers } from './ecc.ts';
import { hierarchyHandlers } from './hierarchy.ts';
import { nvHandlers } from './nv.ts';
import { nvTypesHandlers } from './nv-types.ts';
import { objectHandlers } from './object.ts';
import { pcrHandlers } from './pcr.ts';
import { persistenceHandlers } from './persistence.ts';
import { platformHandlers } from './platform.ts';
import { policyHandlers } from './policy.ts';
import { policyChecksHandlers } from './policy-checks.ts';
import { policySignedHandlers } from './policy-signed.ts';
import { sequenceHandlers } from './sequence.ts';
import { sessionHandlers } from './session.ts';
import { signingHandlers } from './signing.ts';
import { startupHandlers } from './startup.ts';

let table: ReadonlyMap<number, Handler> | undefined;

/** What this TPM does, by command code. */
export function handlers(): ReadonlyMap<number, Handler> {
  table ??= new Map(
    [
      ...startupHandlers,
      ...sessionHandlers,
      ...auditHandlers,
      ...creationHandlers,
      ...objectHandlers,
      ...persistenceHandlers,
      ...duplicationHandlers,
      ...credentialHandlers,
      ...signingHandlers,
      ...sequenceHandlers,
      ...cipherHandlers,
      ...eccHandlers,
      ...pcrHandlers,
      ...policyHandlers,
      ...policySignedHandlers,
      ...policyChecksHandlers,
      ...hierarchyHandlers,
      ...platformHandlers,
      ...clockHandlers,
      ...nvHandlers,
      ...nvTypesHandlers,
    ].map((one) => [one.command.code, one]),
  );
  return table;
}

let codes: ReadonlySet<number> | undefined;

/** The codes of {@link handlers}: one set for every TPM. */
export function implemented(): ReadonlySet<number> {
  codes ??= new Set(handlers().keys());
  return codes;
}

/** The declaration of a command, by its bytes; `undefined` when there is no such. */
export function commandOf(bytes: Uint8Array): Command | undefined {
  if (bytes.length < 10) return undefined;
  return handlers().get(u32At(bytes, 6))?.command;
}
