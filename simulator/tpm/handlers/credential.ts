import { TPM2_ActivateCredential, TPM2_ECDH_ZGen, TPM2_MakeCredential } from '../../../src/tpm/commands.ts';
import { curves, isCurve, onCurve } from '../crypto/ecc.ts';
import { digestSize, isHash } from '../crypto/hash.ts';
import { fromInteger, toInteger } from '../crypto/integer.ts';
import { affineOf, jacobian, multiply } from '../crypto/point.ts';
import { objectOf } from '../entity.ts';
import { handler } from '../handler.ts';
import { isStorage, storageKeyBits } from '../object.ts';
import { opened } from '../protect.ts';
import { handleRefused, parameterRefused, RC } from '../refusal.ts';
import { openSecret, shareSecret } from '../secret.ts';
import { sized, unsized, unwrapOnce, wrapOnce } from '../wrap.ts';

/** Part 3 §12.5, §12.6 and §14.5: credentials for a key known by Name, and ECDH. */
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
    const certInfo = unsized(content);
    if (certInfo === undefined || certInfo.length > digestSize(nameAlg)) throw parameterRefused(RC.SIZE, 1);
    return { certInfo };
  }),

  handler(TPM2_ECDH_ZGen, (chip, { keyHandle, inPoint }) => {
    const { publicArea, sensitive } = objectOf(chip, keyHandle, 1);
    if (publicArea.type !== 'ecc' || sensitive === undefined) throw handleRefused(RC.KEY, 1);
    const { restricted, decrypt } = publicArea.objectAttributes;
    if (restricted || !decrypt) throw handleRefused(RC.ATTRIBUTES, 1);
    const { curveID, scheme } = publicArea.parameters;
    if (scheme.scheme !== 'null' && scheme.scheme !== 'ecdh') throw handleRefused(RC.SCHEME, 1);
    if (!isCurve(curveID)) throw handleRefused(RC.CURVE, 1);
    if (!onCurve(curveID, inPoint)) throw parameterRefused(RC.ECC_POINT, 1);
    const { size, p } = curves[curveID];
    const product = affineOf(multiply(toInteger(sensitive.sensitive), jacobian(inPoint), p), p);
    if (product === undefined) throw parameterRefused(RC.ECC_POINT, 1);
    return { outPoint: { x: fromInteger(product.x, size), y: fromInteger(product.y, size) } };
  }),
];
