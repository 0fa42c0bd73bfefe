import type { Agent } from 'fealty';
import { base64url } from '../../../src/core/bytes.ts';
import { pemOfKey } from '../../../src/core/signer.ts';
import type { Credentials } from '../../../src/identity/index.ts';
import type { Radio } from '../radio.ts';

/** What can be stolen from a robot without its TPM. */
export interface Loot {
  readonly credentials: Credentials;
  /** PKCS #8 PEM. */
  readonly credential: string;
  readonly tls: string;
  readonly lobby: string;
  /** The body of its enrolment request, base64url. */
  readonly begin: string;
}

/**
 * What a thief copies who can read the disk, the wire and the memory: certificates, tokens, short-lived keys, the
 * enrolment request. What he cannot copy is in the TPM.
 */
export function lootOf(agent: Agent, radio: Radio | undefined): Loot {
  const { credentials, keys } = agent.enrolled;
  const software = (key: unknown) => pemOfKey(key as Parameters<typeof pemOfKey>[0]);
  const begin = radio?.sent.find(({ url }) => url.endsWith('/begin'))?.body;
  return {
    credentials: structuredClone(credentials),
    credential: software(keys.credential),
    tls: software(keys.tls),
    lobby: software(keys.lobby),
    begin: base64url(begin ?? new Uint8Array()),
  };
}
