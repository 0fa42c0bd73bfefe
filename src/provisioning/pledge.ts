import type { Attester } from '../attestation/attester.ts';
import { base64url, fromBase64url, wipe } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { Platform } from '../core/platform.ts';
import { generateKey, thumbprint } from '../core/signer.ts';
import { oneAfterTheOther } from '../core/turns.ts';
import { parseCertificate } from '../identity/certificate.ts';
import type { CredentialKeys, Credentials } from '../identity/credentials.ts';
import { jwkOfSpki } from '../identity/public-key.ts';
import type { Tpm, TpmObject } from '../tpm/index.ts';
import { activateCredential, jwkOfPublic, tpmSigner } from '../tpm/index.ts';
import { openDeviceIdentity } from './device-identity.ts';
import { pinOf, readOwnership, readVoucherKeys, writeOwnership } from './device-nv.ts';
import { CredentialsRefused, EnrolmentRefused, VoucherRefused, WrongAuthority } from './errors.ts';
import type { SoftwareKeys } from './keys.ts';
import {
  activationProof,
  enrolmentQualifier,
  proveKeys,
  renewalBytes,
  renewalQualifier,
  SOFTWARE_KEYS,
} from './keys.ts';
import type { CredentialsMessage } from './messages.ts';
import {
  challengeSchema,
  credentialsSchema,
  renewalChallengeSchema,
  voucherAnswerSchema,
} from './messages.ts';
import type { OwnerKeys } from './owner-keys.ts';
import { loadOwnerKeys, makeOwnerKeys, removeOwnerKeys } from './owner-keys.ts';
import { judgeCredentials } from './pledge-credentials.ts';
import type { Exchange } from './pledge-exchange.ts';
import { pinnedTo, post } from './pledge-exchange.ts';
import { certifiedKey, makeCsr } from './pledge-proofs.ts';
import type { PledgeFile } from './pledge-state.ts';
import { PledgeStore, readCredentials } from './pledge-state.ts';
import type { EnrolmentState } from './state.ts';
import { verifyVoucher } from './voucher.ts';

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

/**
 * The device's end of enrolment and renewal (RFC 8995's pledge). Its state survives power cuts: `obtain` goes on from
 * wherever it was.
 */
export class Pledge {
  readonly #options: PledgeOptions;
  readonly #store: PledgeStore;
  #held: Enrolled | undefined;
  readonly #inTurn = oneAfterTheOther();

  private constructor(options: PledgeOptions, store: PledgeStore) {
    this.#options = options;
    this.#store = store;
  }

  /** Reads the stored state; nothing is sent yet. @throws {StoreFailed} when it is damaged. */
  static async open(options: PledgeOptions): Promise<Pledge> {
    if (!options.authority.startsWith('https://')) throw new TypeError('`authority` must be an https URL');
    return new Pledge(options, await PledgeStore.open(options.platform.store));
  }

  get state(): EnrolmentState {
    return this.#store.file.state;
  }

  /** Its identifier, once it has one. */
  get agentId(): string | undefined {
    return this.#store.file.credentials?.agentId;
  }

  /** What it holds now, expired or not; `undefined` before the first success since it started. */
  get held(): Enrolled | undefined {
    return this.#held;
  }

  /**
   * Credentials, by whatever is still to be done: voucher, enrolment, or (software keys are never stored) a renewal
   * after each start.
   *
   * @throws {VoucherRefused} @throws {EnrolmentRefused} naming the check. @throws {WrongAuthority} @throws {Unreachable}
   *   @throws {NotManufactured} @throws {CredentialsRefused}
   */
  obtain(signal?: AbortSignal): Promise<Enrolled> {
    return this.#inTurn(async () => this.#held ?? (await this.#goOn(signal)));
  }

  /** Fresh credentials with fresh keys and a fresh appraisal; also long after the old ones have expired. @throws as obtain */
  renew(signal?: AbortSignal): Promise<Enrolled> {
    return this.#inTurn(() => this.#goOn(signal));
  }

  /** Forgets its owner, by a person's wish: the next `obtain` asks for a voucher. The TPM still refuses earlier owners. */
  release(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.state === 'shipped') return;
      await this.#store.move('released');
      this.#held = undefined;
      await removeOwnerKeys(this.#options.tpm);
    });
  }

  async #goOn(signal: AbortSignal | undefined): Promise<Enrolled> {
    for (;;) {
      const { state } = this.#store.file;
      switch (state) {
        case 'shipped':
          await this.#askForVoucher(signal);
          break;
        case 'vouched':
          await this.#prepare();
          break;
        case 'proving':
          return await this.#enrol(signal);
        case 'enrolled':
          await this.#store.move('expiring');
          break;
        case 'renewing': {
          const renewed = await this.#renew(signal);
          if (renewed !== undefined) return renewed;
          break;
        }
        case 'lapsed':
          throw new EnrolmentRefused('revoked', 'its owner revoked it; a person must release it first');
        default:
          return state satisfies never;
      }
    }
  }

  async #askForVoucher(signal: AbortSignal | undefined): Promise<void> {
    const { tpm, platform, authority } = this.#options;
    const identity = await openDeviceIdentity(tpm);
    const keys = await readVoucherKeys(tpm);
    const ownership = await readOwnership(tpm);
    const idevidIssuer = identity.idevidCertificate.authorityKeyId ?? '';
    const nonce = platform.random.bytes(32);
    let shown: readonly Uint8Array[] = [];
    // The server is nobody yet: it learns the serial number and a nonce.
    const exchange = this.#exchange((chain) => {
      shown = chain;
    }, signal);
    const { voucher: jws } = await post(
      exchange,
      'voucher',
      {
        'ietf-voucher-request:voucher': {
          'serial-number': identity.serial,
          'idevid-issuer': idevidIssuer,
          nonce: base64url(nonce),
        },
      },
      voucherAnswerSchema,
    );
    const at = platform.clock.now();
    const voucher = verifyVoucher(jws, {
      keys,
      serial: identity.serial,
      idevidIssuer,
      nonce,
      ownership,
      digest: pinOf,
      at,
    });
    try {
      pinnedTo(voucher.pinnedDomainCert, authority, () => at)(shown);
    } catch (cause) {
      if (!(cause instanceof WrongAuthority)) throw cause;
      throw new VoucherRefused('pinned-server', 'the server that brought it is not the one it names', {
        cause,
      });
    }
    await this.#store.move('vouched', {
      voucher: jws,
      pinned: base64url(voucher.pinnedDomainCert),
      ownership: Math.max(voucher.ownership ?? 0, ownership.sequence),
    });
  }

  async #prepare(): Promise<void> {
    const { random } = this.#options.platform;
    await this.#store.move('prepared', {
      auth: { lak: base64url(random.bytes(32)), ldevid: base64url(random.bytes(32)) },
    });
  }

  async #enrol(signal: AbortSignal | undefined): Promise<Enrolled> {
    try {
      return await this.#prove(signal);
    } catch (error) {
      // The owner has to change something first, perhaps to sell it: begin again from the voucher.
      if (error instanceof EnrolmentRefused) await this.#store.move('refused');
      throw error;
    }
  }

  async #prove(signal: AbortSignal | undefined): Promise<Enrolled> {
    const { tpm, platform, attester, aibom, endorsement, binding } = this.#options;
    const { voucher, ownership = 0 } = this.#store.file;
    const pinned = this.#pinned();
    const exchange = this.#exchange(pinnedTo(pinned, this.#options.authority, platform.clock.now), signal);
    const identity = await openDeviceIdentity(tpm);
    const csr = await makeCsr(tpm, identity);
    const challenge = await post(
      exchange,
      'begin',
      {
        csr: base64url(csr),
        ekIntermediates: identity.ekIntermediates.map(base64url),
        iakChain: [base64url(identity.iakCertificate.der)],
        idevidChain: [base64url(identity.idevidCertificate.der)],
        aibom: base64url(aibom),
        voucher,
        endorsement,
        ...(binding === undefined ? {} : { binding }),
      },
      challengeSchema,
    );
    const nonce = fromBase64url(challenge.nonce);
    // The keys are of this attempt: those of one that was cut short are replaced.
    const owned = await makeOwnerKeys(tpm, this.#auth());
    const keys = freshKeys(platform);
    const activationSecret = await activateCredential(tpm, {
      ak: identity.iak,
      ek: identity.ek,
      challenge: {
        credentialBlob: fromBase64url(challenge.credentialBlob),
        secret: fromBase64url(challenge.secret),
      },
    });
    const evidence = await attester.evidence({
      key: identity.iak,
      qualifier: enrolmentQualifier({
        nonce,
        activationSecret,
        csr,
        lakName: owned.lak.name,
        ldevidName: owned.ldevid.name,
        thumbprints: thumbprintsOf(keys),
      }),
      pcrs: challenge.pcrs,
      aibom: sha256(aibom),
    });
    const message = await post(
      exchange,
      'activate',
      {
        challenge: challenge.challenge,
        activation: base64url(activationProof(activationSecret, nonce)),
        evidence,
        lak: await certifiedKey(tpm, identity.iak, owned.lak, nonce),
        ldevid: await certifiedKey(tpm, identity.iak, owned.ldevid, nonce),
        keys: proveKeys(keys, nonce),
      },
      credentialsSchema,
    );
    wipe(activationSecret);
    const enrolled = this.#accept(message, owned, keys, nonce);
    await writeOwnership(tpm, { sequence: ownership, pinned: pinOf(pinned) });
    await this.#store.move('issued', { credentials: message });
    this.#held = enrolled;
    return enrolled;
  }

  /** @returns `undefined` when the TPM was cleared: the keys are gone, and it has to enrol again. */
  async #renew(signal: AbortSignal | undefined): Promise<Enrolled | undefined> {
    const { tpm, platform, attester, aibom, endorsement, authority } = this.#options;
    const owned = await loadOwnerKeys(tpm, this.#auth());
    const { credentials } = this.#store.file;
    const before = credentials === undefined ? undefined : readCredentials(credentials);
    if (owned === undefined || before === undefined || !isKeyOf(owned, before)) {
      await this.#store.move('cleared');
      this.#held = undefined;
      return undefined;
    }
    const { agentId } = before;
    const exchange = this.#exchange(pinnedTo(this.#pinned(), authority, platform.clock.now), signal);
    try {
      const challenge = await post(exchange, 'challenge', { agent: agentId }, renewalChallengeSchema);
      const nonce = fromBase64url(challenge.nonce);
      const keys = freshKeys(platform);
      const evidence = await attester.evidence({
        key: owned.lak,
        qualifier: renewalQualifier({ nonce, agentId, thumbprints: thumbprintsOf(keys) }),
        pcrs: challenge.pcrs,
        aibom: sha256(aibom),
      });
      const unsigned = {
        challenge: challenge.challenge,
        agent: agentId,
        evidence,
        aibom: base64url(aibom),
        endorsement,
        keys: proveKeys(keys, nonce),
      };
      const signature = await tpmSigner(tpm, owned.ldevid).sign(renewalBytes(unsigned));
      const request = { ...unsigned, signature: base64url(signature) };
      const message = await post(exchange, 'renew', request, credentialsSchema);
      const enrolled = this.#accept(message, owned, keys, nonce, before);
      await this.#store.move('issued', { credentials: message });
      this.#held = enrolled;
      return enrolled;
    } catch (error) {
      if (error instanceof EnrolmentRefused) {
        await this.#store.move(error.check === 'revoked' ? 'revoked' : 'refused');
        if (error.check === 'revoked') this.#held = undefined;
      }
      throw error;
    }
  }

  #accept(
    message: CredentialsMessage,
    owned: OwnerKeys,
    keys: SoftwareKeys,
    nonce: Uint8Array,
    before?: Credentials,
  ): Enrolled {
    const { tpm, platform } = this.#options;
    const credentials = readCredentials(message);
    const ldevid = tpmSigner(tpm, owned.ldevid);
    judgeCredentials(credentials, {
      pinned: this.#pinned(),
      ldevid: ldevid.publicJwk,
      keys,
      nonce,
      agentId: before?.agentId,
      bundles: before?.bundles ?? [],
      at: platform.clock.now(),
    });
    return { credentials, keys: { ...keys, ldevid }, lak: owned.lak };
  }

  #exchange(verifyPeer: Exchange['verifyPeer'], signal: AbortSignal | undefined): Exchange {
    const { platform, authority } = this.#options;
    return { network: platform.network, authority, verifyPeer, signal };
  }

  #pinned(): Uint8Array {
    return fromBase64url(required(this.#store.file, 'pinned'));
  }

  #auth(): { readonly lak: Uint8Array; readonly ldevid: Uint8Array } {
    const { lak, ldevid } = required(this.#store.file, 'auth');
    return { lak: fromBase64url(lak), ldevid: fromBase64url(ldevid) };
  }
}

function required<K extends keyof PledgeFile>(file: PledgeFile, name: K): NonNullable<PledgeFile[K]> {
  const value = file[name];
  if (value === undefined) throw new CredentialsRefused(`the stored state lacks \`${name}\``);
  return value as NonNullable<PledgeFile[K]>;
}

function freshKeys({ random }: Pick<Platform, 'random'>): SoftwareKeys {
  return { credential: generateKey(random), tls: generateKey(random), lobby: generateKey(random) };
}

function thumbprintsOf(keys: SoftwareKeys): readonly string[] {
  return SOFTWARE_KEYS.map((use) => keys[use].kid);
}

/** Whether the stored LDevID certificate is for the key in the TPM. */
function isKeyOf(owned: OwnerKeys, credentials: Credentials): boolean {
  const [leaf] = credentials.ldevidChain;
  return (
    leaf !== undefined &&
    thumbprint(jwkOfPublic(owned.ldevid.public)) === thumbprint(jwkOfSpki(parseCertificate(leaf).spki))
  );
}
