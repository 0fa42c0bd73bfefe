import type { VirtualClock } from '../../simulator/clock.ts';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { execute } from '../../simulator/tpm/dispatch.ts';
import { handlers } from '../../simulator/tpm/handlers/index.ts';
import { Machine } from '../../simulator/tpm/machine.ts';
import { decodeState, encodeState } from '../../simulator/tpm/state.ts';
import type { Fields } from '../../src/tpm/codec.ts';
import type { ArgumentsOf, Command, HandleFields, ResponseOf } from '../../src/tpm/command.ts';
import {
  TPM2_PolicyAuthValue,
  TPM2_PolicyCommandCode,
  TPM2_PolicyPassword,
  TPM2_StartAuthSession,
} from '../../src/tpm/commands.ts';
import type { Proof } from '../tpm/raw.ts';
import { answerOf, bytesOf, codeOf, emptyPasswords, succeeded } from '../tpm/raw.ts';
import { keyless } from '../tpm/raw-sessions.ts';

/** A started TPM whose inside can be looked at, and whose time only passes when told to. */
export class Bench {
  readonly clock: VirtualClock;
  chip: Machine;
  readonly #random = seededRandom('bench');

  constructor() {
    this.clock = virtualClock();
    this.chip = this.#make();
    this.chip.startup('clear');
  }

  /** The response code. Where fewer proofs are given than needed, the others are empty passwords. */
  code<H extends HandleFields, P extends Fields, RH extends HandleFields, RP extends Fields>(
    command: Command<H, P, RH, RP>,
    request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
    ...proofs: readonly Proof[]
  ): number {
    return codeOf(execute(this.chip, bytesOf(command, request, filledUp(command, proofs))));
  }

  /** The response of a command that succeeds. */
  ask<H extends HandleFields, P extends Fields, RH extends HandleFields, RP extends Fields>(
    command: Command<H, P, RH, RP>,
    request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
    ...proofs: readonly Proof[]
  ): ResponseOf<Command<H, P, RH, RP>> {
    const given = filledUp(command, proofs);
    const response = execute(this.chip, bytesOf(command, request, given));
    return succeeded(command, answerOf(command, given.length, response));
  }

  /** Power off and on and TPM2_Startup, after TPM2_Shutdown if `left` says so. */
  cycle(left?: 'clear' | 'state', start: 'clear' | 'state' = 'clear'): void {
    if (left !== undefined) this.chip.shutDown(left);
    this.chip.powerOn();
    this.chip.startup(start);
  }

  /** The same TPM in a new process, from what it would have stored; it waits for TPM2_Startup. */
  reboot(): void {
    const stored = decodeState(encodeState(this.chip.snapshot())).state;
    this.chip = this.#make();
    this.chip.restore(stored);
    this.chip.resumeClock(stored.clock);
  }

  /** A policy session. */
  policySession(): number {
    return this.ask(TPM2_StartAuthSession, keyless('policy')).sessionHandle;
  }

  /** A policy session for one command, in which the auth value is given in clear or as an HMAC if `by` says so. */
  policy(code: number, by?: 'password' | 'hmac'): number {
    const policySession = this.policySession();
    this.ask(TPM2_PolicyCommandCode, { policySession, code });
    if (by === 'password') this.ask(TPM2_PolicyPassword, { policySession });
    if (by === 'hmac') this.ask(TPM2_PolicyAuthValue, { policySession });
    return policySession;
  }

  #make(): Machine {
    return new Machine({
      random: this.#random,
      clock: this.clock,
      seed: undefined,
      slots: 3,
      implemented: new Set(handlers().keys()),
    });
  }
}

const filledUp = (command: object, proofs: readonly Proof[]) => [
  ...proofs,
  ...emptyPasswords(command).slice(proofs.length),
];
