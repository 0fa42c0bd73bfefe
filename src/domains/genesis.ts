import { fromBase64url, hex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { Platform } from '../core/platform.ts';
import type { SoftwareKey } from '../core/signer.ts';
import { generateKey } from '../core/signer.ts';
import type { VerifiedGroupGrant } from '../tokens/verifier.ts';
import { signDelegation } from './delegation.ts';
import { ownPapers } from './handshake-common.ts';
import type { LogEntry } from './log-entry.ts';
import { writeEntry } from './log-entry.ts';
import { VERSION } from './messages.ts';
import { writePapers } from './papers.ts';
import type { DomainIdentity } from './types.ts';

/** A domain that has a name, keys and a first log entry, and nothing else. */
export interface Genesis {
  readonly domain: string;
  readonly session: SoftwareKey;
  readonly agreement: SoftwareKey;
  /** Log key 1. */
  readonly logKey: Uint8Array;
  readonly entry: LogEntry;
}

/** Makes a domain: a random name, fresh keys, a delegation of the LDevID to itself, the first entry of the log. */
export async function makeGenesis(options: {
  readonly platform: Pick<Platform, 'clock' | 'random'>;
  readonly identity: DomainIdentity;
  readonly groupGrant: VerifiedGroupGrant;
  readonly role: string;
  readonly mission: string;
}): Promise<Genesis> {
  const { identity, groupGrant, role, mission } = options;
  const { clock, random } = options.platform;
  const { credentials, keys } = identity;
  const { agentId } = credentials;
  const domain = hex(random.bytes(12));
  const session = generateKey(random);
  const agreement = generateKey(random);
  const own = ownPapers(credentials);
  const delegation = await signDelegation(keys.ldevid, {
    domain,
    grant: fromBase64url(groupGrant.hash),
    wth: own.wth,
    ear: own.earHash,
    agent: agentId,
    role,
    peer: agentId,
    peerRole: role,
    transcript: sha256(random.bytes(32)), // there is no handshake with oneself
    session: session.publicJwk,
    agreement: agreement.publicJwk,
    nbf: Math.floor(clock.now() / 1000),
    exp: groupGrant.exp,
  });
  const logKey = random.bytes(32);
  const entry = writeEntry(
    {
      v: VERSION,
      domain,
      index: 0,
      previous: new Uint8Array(32),
      kind: 'genesis',
      at: Math.floor(clock.now()),
      key: 1,
      term: 1,
    },
    {
      kind: 'genesis',
      task: groupGrant.task,
      mission,
      grant: groupGrant.compact,
      agent: agentId,
      role,
      papers: writePapers(credentials),
      delegation,
    },
    logKey,
    (data) => session.signSync(data),
  );
  return { domain, session, agreement, logKey, entry };
}
