import { fromBase64url } from '../core/bytes.ts';
import { Malformed, StoreFailed } from '../core/errors.ts';
import { canonicalBytes, parseJson } from '../core/json.ts';
import type { Store } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import { parseAgentId } from '../identity/agent-id.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { CredentialsMessage } from './messages.ts';
import { credentialsSchema, voucherSchema } from './messages.ts';
import type { EnrolmentEvent } from './state.ts';
import { ENROLMENT_STATES, next } from './state.ts';

const FILE = 'provisioning/pledge.json';

const b64 = v.pipe(v.string(), v.maxLength(16_384));
const fileSchema = v.strictObject({
  version: v.literal(1),
  state: v.picklist(ENROLMENT_STATES),
  /** From `vouched` on. */
  voucher: v.optional(voucherSchema),
  /** The owner's certificate authority, from `vouched` on. */
  pinned: v.optional(b64),
  /** Ownership sequence of the voucher. */
  ownership: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  /** Auth values of LAK and LDevID: secret. From `proving` on. */
  auth: v.optional(v.strictObject({ lak: b64, ldevid: b64 })),
  /** From `enrolled` on; the software keys of them are in memory only. */
  credentials: v.optional(credentialsSchema),
});
/** What a pledge keeps on disk. */
export type PledgeFile = v.InferOutput<typeof fileSchema>;

const fresh: PledgeFile = { version: 1, state: 'shipped' };

/** The stored state of a pledge; every change is durable before the effect that depends on it. */
export class PledgeStore {
  readonly #store: Store;
  #file: PledgeFile;

  private constructor(store: Store, file: PledgeFile) {
    this.#store = store;
    this.#file = file;
  }

  /** @throws {StoreFailed} when what is stored is damaged: the owner must look, nothing is guessed. */
  static async open(store: Store): Promise<PledgeStore> {
    const bytes = await store.read(FILE);
    if (bytes === undefined) return new PledgeStore(store, fresh);
    try {
      return new PledgeStore(
        store,
        check(fileSchema, parseJson(bytes, { maxBytes: 1 << 20 }), 'pledge state'),
      );
    } catch (cause) {
      if (cause instanceof Malformed) throw new StoreFailed(`\`${FILE}\` is damaged`, { cause });
      throw cause;
    }
  }

  get file(): PledgeFile {
    return this.#file;
  }

  /**
   * Moves along {@link enrolment}. Going to `shipped` forgets everything but what the TPM remembers.
   *
   * @throws {TypeError} when `event` means nothing in the present state: a programming error, not a fault.
   */
  async move(
    event: EnrolmentEvent,
    changes: Partial<Omit<PledgeFile, 'state' | 'version'>> = {},
  ): Promise<void> {
    const state = next(this.#file.state, event);
    if (state === undefined)
      throw new TypeError(`\`${event}\` means nothing in state \`${this.#file.state}\``);
    const file: PledgeFile = state === 'shipped' ? fresh : { ...this.#file, ...changes, state };
    await this.#store.write(FILE, canonicalBytes(file));
    this.#file = file;
  }
}

/** Credentials as they travel and are stored, with byte strings as bytes. @throws {Malformed} */
export function readCredentials(message: CredentialsMessage): Credentials {
  parseAgentId(message.agentId);
  return {
    ...message,
    ldevidChain: message.ldevidChain.map(fromBase64url),
    wic: message.wic.map(fromBase64url),
    lobbyCertificate: fromBase64url(message.lobbyCertificate),
    bundles: message.bundles.map((bundle) => ({
      ...bundle,
      keys: bundle.keys.map((key) => ({
        ...key,
        certificate: key.certificate === undefined ? undefined : fromBase64url(key.certificate),
      })),
    })),
  };
}
