import { inputBufferMax } from './basics.ts';
import { withAuthorizations } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { SaltKey } from './client/sessions.ts';
import type { Tpm } from './client/tpm.ts';
import { TPM2_EncryptDecrypt2, TPM2_RSA_Decrypt } from './commands/cipher.ts';
import { TPM2_ECDH_KeyGen } from './commands/ecc.ts';
import { TPM2_ECDH_ZGen } from './commands/signing.ts';
import { TpmMalformed } from './errors.ts';
import type { TpmObject } from './objects.ts';
import type { TPMI_ALG_SYM_MODE } from './structures/algorithms.ts';
import type { TPMS_ECC_POINT, TPMT_RSA_DECRYPT } from './structures/keys.ts';

// Decryption keys. What they give out is a secret: it comes back hidden, by default under the key that gives it.

/** Who hides the answer. */
export interface Hidden {
  /** A trusted decryption key of this TPM. Default: the key in use. */
  readonly saltedTo?: SaltKey | undefined;
}

/**
 * The point that `key` (an ECC decryption key) shares with the owner of `point` (TPM2_ECDH_ZGen). Its `x` is what others
 * call the shared secret.
 *
 * @throws {TpmRefused} ECC_POINT: not on the key's curve.
 */
export async function ecdh(
  tpm: Tpm,
  key: TpmObject,
  point: TPMS_ECC_POINT,
  { saltedTo = key }: Hidden = {},
): Promise<TPMS_ECC_POINT> {
  const need = { by: 'auth', auth: key.auth, hideAnswerBy: saltedTo } as const;
  return await withAuthorizations(tpm, [need], async (authorizations) => {
    const { outPoint } = await run(
      tpm,
      TPM2_ECDH_ZGen,
      { keyHandle: key, inPoint: point },
      { authorizations },
    );
    return outPoint;
  });
}

/** A fresh point for the owner of `key`, whose public part is enough, and what both then share (TPM2_ECDH_KeyGen). */
export async function ecdhKeyGen(
  tpm: Tpm,
  key: TpmObject,
  { saltedTo = key }: Hidden = {},
): Promise<{ readonly shared: TPMS_ECC_POINT; readonly point: TPMS_ECC_POINT }> {
  const need = { by: 'salt', to: saltedTo, response: true } as const;
  return await withAuthorizations(tpm, [need], async (authorizations) => {
    const { zPoint, pubPoint } = await run(tpm, TPM2_ECDH_KeyGen, { keyHandle: key }, { authorizations });
    return { shared: zPoint, point: pubPoint };
  });
}

/** What was encrypted to an RSA key (TPM2_RSA_Decrypt). `label` is the OAEP label, with its final zero byte. */
export async function rsaDecrypt(
  tpm: Tpm,
  key: TpmObject,
  cipherText: Uint8Array,
  options: Hidden & { readonly scheme?: TPMT_RSA_DECRYPT | undefined; readonly label?: Uint8Array } = {},
): Promise<Uint8Array> {
  const { saltedTo = key, scheme: inScheme = { scheme: 'null' }, label = new Uint8Array(0) } = options;
  const need = { by: 'auth', auth: key.auth, hideAnswerBy: saltedTo } as const;
  return await withAuthorizations(tpm, [need], async (authorizations) => {
    const { message } = await run(
      tpm,
      TPM2_RSA_Decrypt,
      { keyHandle: key, cipherText, inScheme, label },
      { authorizations },
    );
    return message;
  });
}

/**
 * Encrypts (or decrypts) with a symmetric key in the TPM, in pieces the TPM can take, each going on where the last one
 * ended (TPM2_EncryptDecrypt2). Nothing vouches for the data: it can be changed unnoticed. For data nobody else may read
 * on the way, name `saltedTo`.
 */
export async function cipherInTpm(
  tpm: Tpm,
  key: TpmObject,
  data: Uint8Array,
  options: {
    readonly decrypt: boolean;
    /** 16 bytes; empty for `ecb`. */
    readonly iv: Uint8Array;
    /** Default: the key's own. */
    readonly mode?: TPMI_ALG_SYM_MODE | undefined;
    readonly saltedTo?: SaltKey | undefined;
  },
): Promise<Uint8Array> {
  const out = new Uint8Array(data.length);
  const hide = options.saltedTo;
  const need = { by: 'auth', auth: key.auth, hideRequestBy: hide, hideAnswerBy: hide } as const;
  const size = inputBufferMax(tpm);
  for (let at = 0, iv = options.iv; at < data.length; at += size) {
    const request = {
      keyHandle: key,
      inData: data.subarray(at, at + size),
      decrypt: options.decrypt ? 'yes' : 'no',
      mode: options.mode ?? 'null',
      ivIn: iv,
    } as const;
    const { outData, ivOut } = await withAuthorizations(tpm, [need], (authorizations) =>
      run(tpm, TPM2_EncryptDecrypt2, request, { authorizations }),
    );
    if (outData.length !== request.inData.length)
      throw new TpmMalformed('the TPM answers with another number of bytes');
    out.set(outData, at);
    iv = ivOut;
  }
  return out;
}
