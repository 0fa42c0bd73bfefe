import type { Attester } from '../attestation/attester.ts';
import { fromBase64url } from '../core/bytes.ts';
import type { Platform } from '../core/platform.ts';
import { generateKey } from '../core/signer.ts';
import type { CredentialKeys, Credentials } from '../identity/credentials.ts';
import type { Tpm, TpmObject } from '../tpm/index.ts';
import { tpmSigner } from '../tpm/index.ts';
import { CredentialsRefused } from './errors.ts';
import type { SoftwareKeys } from './keys.ts';
import { SOFTWARE_KEYS } from './keys.ts';
import type { CredentialsMessage } from './messages.ts';
import type { OwnerKeys } from './owner-keys.ts';
import { judgeCredentials } from './pledge-credentials.ts';
import type { Exchange } from './pledge-exchange.ts';
import type { PledgeFile, PledgeStore } from './pledge-state.ts';
import { readCredentials } from './pledge-state.ts';

/** What a device enrols with. */
export interface PledgeOptions {
  readonly platform: Platform;
  readonly tpm: Tpm;
  /** Base URL of the owner's authority, `https://…`. */
  readonly authority: string;
  readonly attester: Attester;
  /** CycloneDX JSON, the very bytes the provider endorsed. */
  readonly aibom: Uint8Array;
  /** The provider's endorsement, compact JWS. */
  readonly endorsement: string;
  /** The owner's binding, when it travels with the device. */
  readonly binding?: string | undefined;
}

/** What an enrolled device holds. */
export interface Enrolled {
  readonly credentials: Credentials;
  readonly keys: CredentialKeys;
  /** Quotes and certifies for the owner. */
  readonly lak: TpmObject;
}

/** What each step of a pledge works with. */
export class PledgeContext {
  readonly options: PledgeOptions;
  readonly store: PledgeStore;

  constructor(options: PledgeOptions, store: PledgeStore) {
    this.options = options;
    this.store = store;
  }

  /** The way to the authority, to a server that `verifyPeer` accepts. */
  exchange(verifyPeer: Exchange['verifyPeer'], signal: AbortSignal | undefined): Exchange {
    const { platform, authority } = this.options;
    return { network: platform.network, authority, verifyPeer, signal };
  }

  /** The certificate that the voucher pinned. @throws {CredentialsRefused} */
  get pinned(): Uint8Array {
    return fromBase64url(required(this.store.file, 'pinned'));
  }

  /** Auth values of the owner's keys in the TPM. @throws {CredentialsRefused} */
  get auth(): { readonly lak: Uint8Array; readonly ldevid: Uint8Array } {
    const { lak, ldevid } = required(this.store.file, 'auth');
    return { lak: fromBase64url(lak), ldevid: fromBase64url(ldevid) };
  }

  /** Fresh software keys: they live no longer than the process. */
  freshKeys(): SoftwareKeys {
    const { random } = this.options.platform;
    return { credential: generateKey(random), tls: generateKey(random), lobby: generateKey(random) };
  }

  /** What the authority issued, once it was judged. @throws {CredentialsRefused} */
  accept(
    message: CredentialsMessage,
    owned: OwnerKeys,
    keys: SoftwareKeys,
    nonce: Uint8Array,
    before?: Credentials,
  ): Enrolled {
    const { tpm, platform } = this.options;
    const credentials = readCredentials(message);
    const ldevid = tpmSigner(tpm, owned.ldevid);
    judgeCredentials(credentials, {
      pinned: this.pinned,
      ldevid: ldevid.publicJwk,
      keys,
      nonce,
      agentId: before?.agentId,
      bundles: before?.bundles ?? [],
      at: platform.clock.now(),
    });
    return { credentials, keys: { ...keys, ldevid }, lak: owned.lak };
  }
}

/** Thumbprints of the software keys, in the order in which they are proven. */
export function thumbprintsOf(keys: SoftwareKeys): readonly string[] {
  return SOFTWARE_KEYS.map((use) => keys[use].kid);
}

function required<K extends keyof PledgeFile>(file: PledgeFile, name: K): NonNullable<PledgeFile[K]> {
  const value = file[name];
  if (value === undefined) throw new CredentialsRefused(`the stored state lacks \`${name}\``);
  return value as NonNullable<PledgeFile[K]>;
}
