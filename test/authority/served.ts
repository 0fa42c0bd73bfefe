import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readKey } from '../../src/authority/folder.ts';
import type { OwnerClient } from '../../src/authority/index.ts';
import { initAuthority, ownerClient, pinnedAuthority, serveAuthority } from '../../src/authority/index.ts';
import type { RunningAuthority } from '../../src/authority/serve.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { fileStore } from '../../src/core/node-store.ts';
import type { Platform } from '../../src/core/platform.ts';
import type { SoftwareKey } from '../../src/core/signer.ts';
import { generateKey, keyFromPem } from '../../src/core/signer.ts';
import { issueClientAttestation } from '../../src/identity/wit.ts';
import { TokenClient } from '../../src/tokens/client.ts';

/** A real authority on a loopback socket, in a folder of its own. */
export interface Served {
  readonly directory: string;
  readonly platform: Platform;
  readonly owner: OwnerClient;
  readonly ownerKey: SoftwareKey;
  authority: RunningAuthority;
  /** Stops it and starts it again on the same port. */
  restart(): Promise<void>;
  /** A client whose attestation the authority's own key signed, as enrolment would. */
  client(
    agentId: string,
  ): Promise<{ readonly client: TokenClient; readonly key: SoftwareKey; readonly attestation: string }>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function served(): Promise<Served> {
  const directory = await mkdtemp(join(tmpdir(), 'fealty-authority-'));
  const platform = nodePlatform({ directory });
  const { fingerprint } = await initAuthority({
    directory,
    trustDomain: 'fleet.example',
    simulation: true,
    platform,
  });
  let authority = await serveAuthority({ directory, platform });
  const ownerKey = keyFromPem(await readFile(join(directory, 'owner-key.pem'), 'utf8'));
  const { url } = authority;
  const verifyPeer = pinnedAuthority({ url, fingerprint, platform });
  return {
    directory,
    platform,
    ownerKey,
    owner: ownerClient({ platform, url, fingerprint, key: ownerKey }),
    get authority() {
      return authority;
    },
    set authority(next) {
      authority = next;
    },
    restart: async () => {
      const { port } = authority;
      await authority.close();
      authority = await serveAuthority({ directory, platform, port });
    },
    client: async (agentId) => {
      const key = generateKey(platform.random);
      const now = platform.clock.now();
      const attestation = await issueClientAttestation({
        signer: await readKey(fileStore(directory), 'wit'),
        random: platform.random,
        iss: url,
        sub: agentId,
        key: key.publicJwk,
        issuedAt: now,
        expiresAt: now + 3_600_000,
      });
      const client = new TokenClient({
        platform,
        issuer: url,
        tls: { verifyPeer },
        credential: () => ({ agentId, clientAttestation: attestation, key }),
      });
      return { client, key, attestation };
    },
    [Symbol.asyncDispose]: async () => {
      await authority.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
