import type { OperandError } from '../../src/tpm/chip-framing.ts';
import { CodecError } from '../../src/tpm/codec.ts';
import { handleRefused, parameterRefused, RC, sessionRefused } from './refusal.ts';

/** The response code for an operand that could not be unmarshalled (Part 3 §5.2 to §5.7). */
export function operandCode(error: OperandError): number {
  const { operand, number, cause } = error;
  switch (operand) {
    case 'header':
      if (cause.fault === 'trailing') return RC.SIZE;
      return cause.fault === 'value' ? RC.BAD_TAG : RC.COMMAND_SIZE;
    case 'handle':
      return handleRefused(faultCode(cause), number).code;
    case 'session':
      return cause.structure === 'authorizationSize'
        ? RC.SIZE
        : sessionRefused(faultCode(cause), number).code;
    case 'parameter':
      return parameterRefused(faultCode(cause), number).code;
  }
}

/** Reads a structure inside parameter number `index`. @throws Refusal as for the parameter itself. */
export function asParameter<T>(index: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CodecError) throw parameterRefused(faultCode(error), index);
    throw error;
  }
}

/** Types of Part 2 whose unmarshalling refuses with a code of its own. */
const codes: ReadonlyMap<string, number> = new Map([
  ['TPM_ST of a ticket', RC.TAG],
  ['TPMI_ALG_HASH', RC.HASH],
  ['TPMI_ALG_HASH+', RC.HASH],
  ['TPMI_ALG_SYM_MODE', RC.MODE],
  ['TPM_ECC_CURVE', RC.CURVE],
  ['TPMI_ALG_KDF', RC.KDF],
  ['TPMI_ECC_KEY_EXCHANGE', RC.SCHEME],
  ['TPMI_ALG_PUBLIC', RC.TYPE],
  ['TPMA_NV', RC.ATTRIBUTES],
  ['TPMT_SYM_DEF', RC.SYMMETRIC],
  ['TPMT_SYM_DEF_OBJECT', RC.SYMMETRIC],
  ['TPMT_KDF_SCHEME', RC.KDF],
  ['TPMT_SIG_SCHEME', RC.SCHEME],
  ['TPMT_RSA_SCHEME', RC.VALUE],
  ['TPMT_RSA_DECRYPT', RC.VALUE],
  ['TPMT_ECC_SCHEME', RC.SCHEME],
  ['TPMT_KEYEDHASH_SCHEME', RC.VALUE],
  ['TPMT_SIGNATURE', RC.SCHEME],
]);

function faultCode({ fault, structure }: CodecError): number {
  switch (fault) {
    case 'short':
      return RC.INSUFFICIENT;
    case 'size':
    case 'trailing':
      return RC.SIZE;
    case 'reserved':
      return RC.RESERVED_BITS;
    case 'value':
      return codes.get(structure) ?? RC.VALUE;
    case 'selector':
      return codes.get(structure) ?? RC.SELECTOR;
  }
}
