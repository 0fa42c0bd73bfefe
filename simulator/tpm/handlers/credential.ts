import { decode } from '../../../src/tpm/codec.ts';
import { TPM2_ActivateCredential, TPM2_MakeCredential } from '../../../src/tpm/commands.ts';
import { TPM2B_DIGEST } from '../../../src/tpm/structures.ts';
import { digestSize, isHash } from '../crypto/hash.ts';
import { objectOf } from '../entity.ts';
import { handler } from '../handler.ts';
import { isStorage, storageKeyBits } from '../object.ts';
import { asParameter } from '../operand.ts';
import { opened } from '../protect.ts';
import { handleRefused, parameterRefused, RC } from '../refusal.ts';
import { openSecret, shareSecret } from '../secret.ts';
import { sized, unwrapOnce, wrapOnce } from '../wrap.ts';

/** Part 3 §12.5 and §12.6: credentials for a key known by Name. */
export const credentialHandlers = [
  handler(TPM2_MakeCredential, (chip, { handle, credential, objectName }) => {
    const { publicArea } = objectOf(chip, handle, 1);
    const { nameAlg } = publicArea;
    const keyBits = storageKeyBits(publicArea);
    const asymmetric = publicArea.type === 'rsa' || publicArea.type === 'ecc';
    if (!asymmetric || !isStorage(publicArea) || !isHash(nameAlg) || keyBits === undefined)
      throw handleRefused(RC.TYPE, 1);
    if (credential.length > digestSize(nameAlg)) throw parameterRefused(RC.SIZE, 1);
    const shared = shareSecret(publicArea, 'IDENTITY', (count) => chip.random.bytes(count));
    if (shared === undefined) throw handleRefused(RC.KEY, 1);
    const protector = { hash: nameAlg, seed: shared.seed, keyBits };
    return { credentialBlob: wrapOnce(protector, sized(credential), objectName), secret: shared.secret };
  }),

  handler(TPM2_ActivateCredential, (chip, { activateHandle, keyHandle, credentialBlob, secret }) => {
    const { name } = objectOf(chip, activateHandle, 1);
    const key = objectOf(chip, keyHandle, 2);
    const { nameAlg, type } = key.publicArea;
    const keyBits = storageKeyBits(key.publicArea);
    const usable =
      (type === 'rsa' || type === 'ecc') && isStorage(key.publicArea) && key.sensitive !== undefined;
    if (!usable || !isHash(nameAlg) || keyBits === undefined) throw handleRefused(RC.TYPE, 2);
    const seed = openSecret(key, 'IDENTITY', secret);
    if (typeof seed === 'number') throw parameterRefused(seed, 2);
    const protector = { hash: nameAlg, seed, keyBits };
    const content = opened(1, credentialBlob, () => unwrapOnce(protector, credentialBlob, name));
    return { certInfo: asParameter(1, () => decode(TPM2B_DIGEST, content)) };
  }),
];
