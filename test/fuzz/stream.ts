import { CodecError } from '../../src/tpm/codec.ts';
import type { Command } from '../../src/tpm/command.ts';
import { rolesOf } from '../../src/tpm/command.ts';
import { allCommands } from '../../src/tpm/command-table.ts';
import { decodeResponse, encodeCommand, encodeFields } from '../../src/tpm/framing.ts';
import { TPM_RH } from '../../src/tpm/structures.ts';
import { responseOf } from '../tpm/raw.ts';
import type { Dice } from './dice.ts';
import { Memory } from './memory.ts';
import { spoil, wellFormed } from './spoil.ts';
import { focus, valueFor } from './values.ts';

const none = new Uint8Array();
/** What one command and its answer were. */
export interface Exchanged {
  readonly command: string;
  readonly sent: Uint8Array;
  readonly answer: Uint8Array;
  /** The response code. */
  readonly code: number;
}

/** Commands that come more often than their share: without keys, indices and sessions the others only fail. */
const productive = [
  'TPM2_CreatePrimary',
  'TPM2_Create',
  'TPM2_Load',
  'TPM2_StartAuthSession',
  'TPM2_NV_DefineSpace',
  'TPM2_NV_Write',
  'TPM2_FlushContext',
];
/** What would leave nothing to go on with, or ends the stream. */
const rare = new Set([
  'TPM2_Clear',
  'TPM2_ChangePPS',
  'TPM2_ChangeEPS',
  'TPM2_HierarchyControl',
  'TPM2_HierarchyChangeAuth',
  'TPM2_ClearControl',
  'TPM2_SetPrimaryPolicy',
]);

/** How commands are spoilt on their way: one in `spoiltOneIn`; 0: never. */
export interface StreamOptions {
  readonly spoiltOneIn: number;
  /** Spoilt commands keep a whole header with their true size: for TPMs behind a byte stream. Default: no. */
  readonly framed?: boolean;
  /** Commands that are left out. */
  readonly without?: ReadonlySet<string>;
}

/** An endless stream of commands, chosen by dice, each built from what the answers before it gave. */
export class Stream {
  readonly memory = new Memory();
  readonly #dice: Dice;
  readonly #options: StreamOptions;
  readonly #commands: readonly Command[];
  readonly #byName: ReadonlyMap<string, Command>;

  constructor(from: Dice, options: StreamOptions) {
    this.#dice = from;
    this.#options = options;
    this.#commands = allCommands().filter(({ name }) => options.without?.has(name) !== true);
    this.#byName = new Map(this.#commands.map((one) => [one.name, one]));
  }

  /** Sends one command. @throws {Malformed} when what comes back is no answer of Part 3 §5. */
  async step(exchange: (command: Uint8Array) => Promise<Uint8Array>): Promise<Exchanged> {
    const command = this.#choose();
    const request = this.#requestFor(command);
    const roles = rolesOf(command).length;
    const extra = roles > 0 || !this.#dice.oneIn(10) ? 0 : 1;
    const sessions = Array.from({ length: roles + extra }, (_, at) => this.#session(at < roles));
    const handles = Object.keys(command.handles).map((key) => Number(request[key]));
    const whole = this.#encoded(command, handles, sessions, request);
    const spoilt = this.#options.spoiltOneIn > 0 && this.#dice.oneIn(this.#options.spoiltOneIn);
    const sent = spoilt ? spoil(whole, this.#dice, this.#options.framed === true) : whole;
    const answer = await exchange(sent);
    const code = wellFormed(command.name, sent, answer);
    if (code === 0 && !spoilt) {
      const parts = decodeResponse(command, sessions.length, answer);
      this.memory.learn(command, request, responseOf(command, parts));
    } else if (command.name === 'TPM2_FlushContext') {
      this.memory.forget(Number(request['flushHandle'])); // it was gone already
    }
    return { command: command.name, sent, answer, code };
  }

  #choose(): Command {
    const chosen = this.#dice.oneIn(3)
      ? this.#byName.get(this.#dice.of(productive))
      : this.#dice.of(this.#commands);
    if (chosen === undefined || (rare.has(chosen.name) && !this.#dice.oneIn(12))) return this.#choose();
    return chosen;
  }

  #requestFor(command: Command): Record<string, unknown> {
    const about = focus(this.memory, this.#dice, command.name);
    const request: Record<string, unknown> = {};
    for (const key of Object.keys(command.handles))
      request[key] =
        key === 'keyHandle' && about.signed !== undefined ? about.signed.key : this.#handleFor(command, key);
    for (const [key, codec] of Object.entries(command.parameters))
      request[key] = valueFor(codec.name, key, this.memory, about, this.#dice);
    return request;
  }

  /** A parameter that there is no value for yet becomes a few zeros: the TPM says what it thinks of that. */
  #encoded(
    command: Command,
    handles: readonly number[],
    sessions: Parameters<typeof encodeCommand>[2],
    request: Readonly<Record<string, unknown>>,
  ): Uint8Array {
    try {
      return encodeCommand(command.code, handles, sessions, encodeFields(command.parameters, request));
    } catch (error) {
      if (!(error instanceof CodecError) && !(error instanceof TypeError)) throw error;
      return encodeCommand(command.code, handles, sessions, new Uint8Array(this.#dice.below(24)));
    }
  }

  #handleFor(command: Command, key: string): number {
    const from = this.#dice;
    const object = () => this.memory.objects.take(from) ?? 0x80000000;
    const parent = () => this.memory.parents.take(from) ?? object();
    const policy = () => this.memory.policySessions.take(from) ?? 0x03000000;
    const session = () => this.memory.sessions.take(from) ?? policy();
    const index = () => this.memory.indices.take(from) ?? 0x01500000;
    if (from.oneIn(25)) return from.of([object(), session(), index(), TPM_RH.owner, from.below(2 ** 32)]);
    const hierarchy = from.of([TPM_RH.owner, TPM_RH.owner, TPM_RH.endorsement, TPM_RH.platform]);
    if (key === 'nvIndex') return index();
    if (key === 'policySession' || command.name === 'TPM2_PolicyRestart') return policy();
    if (key === 'sessionHandle') return session();
    if (command.name.startsWith('TPM2_RSA_')) return this.memory.rsa.take(from) ?? object();
    if (key === 'sequenceHandle') return this.memory.sequences.take(from) ?? object();
    if (key === 'saveHandle') return from.of([object(), session(), policy()]);
    if (key === 'parentHandle' || key === 'oldParent') {
      if (command.name === 'TPM2_CreateLoaded' && from.oneIn(2)) return hierarchy;
      return parent();
    }
    if (key === 'pcrHandle') return from.of([16, 16, 23, from.below(24), TPM_RH.null]);
    if (key === 'bind' || key === 'tpmKey') return from.of([TPM_RH.null, TPM_RH.null, object()]);
    if (key === 'lockHandle') return TPM_RH.lockout;
    if (key.startsWith('privacy')) return TPM_RH.endorsement;
    if (key === 'primaryHandle') return from.of([hierarchy, TPM_RH.null]);
    if (key === 'platform' || key === 'auth') return from.of([TPM_RH.platform, TPM_RH.owner]);
    if (key === 'authHandle' && /NV_(Un)?[Dd]efine|NV_Global/.test(command.name)) return TPM_RH.owner;
    if (key === 'authHandle')
      return command.name.includes('NV')
        ? from.of([TPM_RH.owner, TPM_RH.owner, index(), index(), TPM_RH.platform])
        : hierarchy;
    if (key.startsWith('new')) return from.of([parent(), TPM_RH.null]);
    return object();
  }

  #session(authorizes: boolean) {
    const from = this.#dice;
    const policy = authorizes && from.oneIn(6) ? this.memory.policySessions.take(from) : undefined;
    return {
      sessionHandle:
        policy ?? (authorizes ? TPM_RH.password : (this.memory.sessions.take(from) ?? 0x02000000)),
      nonce: policy === undefined ? none : from.random.bytes(16),
      sessionAttributes: { continueSession: true },
      hmac: from.oneIn(30) ? from.bytes(32) : none,
    };
  }
}
