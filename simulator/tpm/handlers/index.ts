import type { Handler } from '../handler.ts';
import { credentialHandlers } from './credential.ts';
import { hierarchyHandlers } from './hierarchy.ts';
import { nvHandlers } from './nv.ts';
import { objectHandlers } from './object.ts';
import { pcrHandlers } from './pcr.ts';
import { policyHandlers } from './policy.ts';
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
      ...objectHandlers,
      ...credentialHandlers,
      ...signingHandlers,
      ...pcrHandlers,
      ...policyHandlers,
      ...hierarchyHandlers,
      ...nvHandlers,
    ].map((one) => [one.command.code, one]),
  );
  return table;
}
