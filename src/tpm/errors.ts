import type { Remedy } from '../core/errors.ts';
import { FealtyError } from '../core/errors.ts';
import type { Operand } from './response-codes.ts';
import { describeResponseCode } from './response-codes.ts';

/** The TPM refused a command (Part 2 §6.6, response codes). */
export class TpmRefused extends FealtyError {
  override readonly code = 'tpm.refused';
  override readonly remedy: Remedy;
  /** For example `TPM2_Quote`. */
  readonly command: string;
  /** The 32-bit response code as the TPM sent it. */
  readonly responseCode: number;
  /** Its name in Part 2 without `TPM_RC_`, for example `AUTH_FAIL`. */
  readonly reason: string;
  /** Which handle, parameter or session it blames. */
  readonly operand: Operand | undefined;

  constructor(command: string, responseCode: number) {
    const { name, operand, warning } = describeResponseCode(responseCode);
    const where = operand === undefined ? '' : ` (${operand.kind} ${operand.number})`;
    super(`the TPM refused \`${command}\`: ${name}${where}, 0x${responseCode.toString(16)}`);
    this.command = command;
    this.responseCode = responseCode;
    this.reason = name;
    this.operand = operand;
    this.remedy = warning ? 'retry' : 'give-up';
  }
}

/** The TPM did not answer: the way to it is closed, or it took too long. */
export class TpmSilent extends FealtyError {
  override readonly code = 'tpm.silent';
  override readonly remedy = 'retry';
}

/** More commands wait for the TPM than it could answer in time. */
export class TpmBusy extends FealtyError {
  override readonly code = 'tpm.busy';
  override readonly remedy = 'retry';
}

/** What came back is no answer to the command. */
export class TpmMalformed extends FealtyError {
  override readonly code = 'tpm.malformed';
  override readonly remedy = 'give-up';
}

/** What came back is well formed, and not what an honest TPM says: somebody sits between. */
export class TpmUntrusted extends FealtyError {
  override readonly code = 'tpm.untrusted';
  override readonly remedy = 'give-up';
  /** The name of the check that failed, for example `response-hmac`. */
  readonly check: string;

  constructor(check: string, message: string) {
    super(message);
    this.check = check;
  }
}

/** An attestation does not say what it must, or not by whom it must (`check` names the failed check). */
export class AttestationRefused extends FealtyError {
  override readonly code = 'tpm.attestation-refused';
  override readonly remedy = 'give-up';
  readonly check: string;

  constructor(check: string, message: string) {
    super(message);
    this.check = check;
  }
}

/** Every error of this folder. */
export type AnyTpmError = TpmRefused | TpmSilent | TpmBusy | TpmMalformed | TpmUntrusted | AttestationRefused;
