import { base64url } from '../core/bytes.ts';
import { oneAfterTheOther } from '../core/turns.ts';
import { EnrolmentRefused } from './errors.ts';
import { removeOwnerKeys } from './owner-keys.ts';
import type { Enrolled, PledgeOptions } from './pledge-context.ts';
import { PledgeContext } from './pledge-context.ts';
import { enrol } from './pledge-enrol.ts';
import { renew } from './pledge-renew.ts';
import { PledgeStore } from './pledge-state.ts';
import { askForVoucher } from './pledge-voucher.ts';
import type { EnrolmentState } from './state.ts';

export type { Enrolled, PledgeOptions } from './pledge-context.ts';

/**
 * The device's end of enrolment and renewal (RFC 8995's pledge). Its state survives power cuts: `obtain` goes on from
 * wherever it was.
 */
export class Pledge {
  readonly #context: PledgeContext;
  #held: Enrolled | undefined;
  readonly #inTurn = oneAfterTheOther();

  private constructor(options: PledgeOptions, store: PledgeStore) {
    this.#context = new PledgeContext(options, store);
  }

  /** Reads the stored state; nothing is sent yet. @throws {StoreFailed} when it is damaged. */
  static async open(options: PledgeOptions): Promise<Pledge> {
    if (!options.authority.startsWith('https://')) throw new TypeError('`authority` must be an https URL');
    return new Pledge(options, await PledgeStore.open(options.platform.store));
  }

  get state(): EnrolmentState {
    return this.#context.store.file.state;
  }

  /** Its identifier, once it has one. */
  get agentId(): string | undefined {
    return this.#context.store.file.credentials?.agentId;
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
      await this.#context.store.move('released');
      this.#held = undefined;
      await removeOwnerKeys(this.#context.options.tpm);
    });
  }

  async #goOn(signal: AbortSignal | undefined): Promise<Enrolled> {
    for (;;) {
      const { state } = this.#context.store.file;
      switch (state) {
        case 'shipped':
          await askForVoucher(this.#context, signal);
          break;
        case 'vouched':
          await this.#prepare();
          break;
        case 'proving':
          return await this.#enrol(signal);
        case 'enrolled':
          await this.#context.store.move('expiring');
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

  /** Auth values of the keys that the owner will have in the TPM: stored before the first of them is made. */
  async #prepare(): Promise<void> {
    const { random } = this.#context.options.platform;
    await this.#context.store.move('prepared', {
      auth: { lak: base64url(random.bytes(32)), ldevid: base64url(random.bytes(32)) },
    });
  }

  async #enrol(signal: AbortSignal | undefined): Promise<Enrolled> {
    try {
      this.#held = await enrol(this.#context, signal);
      return this.#held;
    } catch (error) {
      // The owner has to change something first, perhaps to sell it: begin again from the voucher.
      if (error instanceof EnrolmentRefused) await this.#context.store.move('refused');
      throw error;
    }
  }

  async #renew(signal: AbortSignal | undefined): Promise<Enrolled | undefined> {
    try {
      this.#held = await renew(this.#context, signal);
      return this.#held;
    } catch (error) {
      if (error instanceof EnrolmentRefused) {
        await this.#context.store.move(error.check === 'revoked' ? 'revoked' : 'refused');
        if (error.check === 'revoked') this.#held = undefined;
      }
      throw error;
    }
  }
}
