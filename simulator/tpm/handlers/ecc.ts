import {
  TPM2_Commit,
  TPM2_EC_Ephemeral,
  TPM2_ECC_Parameters,
  TPM2_ECDH_KeyGen,
  TPM2_ECDH_ZGen,
  TPM2_ZGen_2Phase,
} from '../../../src/tpm/commands.ts';
import type { TPMT_PUBLIC as Public, TPM_ECC_CURVE } from '../../../src/tpm/structures.ts';
import { commit, committedScalar, endCommitment, nextScalar } from '../commitment.ts';
import type { Curve, Point } from '../crypto/ecc.ts';
import { curves, isCurve, multiplied, onCurve, pad, publicPoint, scalarFrom } from '../crypto/ecc.ts';
import { digest, isHash } from '../crypto/hash.ts';
import { fromInteger, toInteger } from '../crypto/integer.ts';
import { objectOf } from '../entity.ts';
import { handler } from '../handler.ts';
import type { LoadedObject } from '../object.ts';
import { handleRefused, parameterRefused, RC, Refusal } from '../refusal.ts';

const none = new Uint8Array();
const noPoint: Point = { x: none, y: none };

/** Part 3 §14.4 to §14.7, §19: elliptic curves for key exchange and anonymous signatures. */
export const eccHandlers = [
  handler(TPM2_ECDH_KeyGen, (chip, { keyHandle }) => {
    const { curve, point } = eccKeyOf(objectOf(chip, keyHandle, 1));
    const scalar = scalarFrom(curve, (count) => chip.random.bytes(count));
    if (!onCurve(curve, point)) throw handleRefused(RC.KEY, 1);
    return { zPoint: product(curve, scalar, point), pubPoint: publicPoint(curve, scalar) };
  }),

  handler(TPM2_ECDH_ZGen, (chip, { keyHandle, inPoint }) => {
    const { curve, scalar, parameters } = exchangeKeyOf(objectOf(chip, keyHandle, 1));
    const { scheme } = parameters.scheme;
    if (scheme !== 'null' && scheme !== 'ecdh') throw handleRefused(RC.SCHEME, 1);
    if (!onCurve(curve, inPoint)) throw parameterRefused(RC.ECC_POINT, 1);
    return { outPoint: product(curve, scalar, inPoint) };
  }),

  handler(TPM2_ECC_Parameters, (_chip, { curveID }) => {
    const curve = knownCurve(curveID, 1);
    const { bits, size, p, b, gX, gY, n } = curves[curve];
    const hashAlg = bits > 384 ? 'sha512' : bits > 256 ? 'sha384' : 'sha256';
    const element = (value: bigint) => fromInteger(value, size);
    const parameters = {
      curveID: curve,
      keySize: bits,
      kdf: { scheme: 'kdf1_sp800_56a', hashAlg },
      sign: { scheme: 'null' },
      p: element(p),
      a: element(p - 3n),
      b: element(b),
      gX: element(gX),
      gY: element(gY),
      n: element(n),
      h: new Uint8Array([1]),
    } as const;
    return { parameters };
  }),

  handler(TPM2_ZGen_2Phase, (chip, { keyA, inQsB, inQeB, inScheme, counter }) => {
    const { curve, scalar, parameters } = exchangeKeyOf(objectOf(chip, keyA, 1));
    const own = parameters.scheme.scheme;
    if (own !== 'null' && own !== inScheme) throw parameterRefused(RC.SCHEME, 3);
    if (inScheme === 'null') throw parameterRefused(RC.SCHEME, 3);
    if (!onCurve(curve, inQsB)) throw parameterRefused(RC.ECC_POINT, 1);
    if (!onCurve(curve, inQeB)) throw parameterRefused(RC.ECC_POINT, 2);
    const ephemeral = committedScalar(chip.commitments, counter, curve, none);
    if (ephemeral === undefined) throw parameterRefused(RC.VALUE, 4);
    if (inScheme !== 'ecdh') throw parameterRefused(RC.SCHEME, 3);
    const answer = { outZ1: product(curve, scalar, inQsB), outZ2: product(curve, ephemeral, inQeB) };
    endCommitment(chip.commitments, counter);
    return answer;
  }),

  handler(TPM2_Commit, (chip, { signHandle, P1, s2, y2 }) => {
    const key = objectOf(chip, signHandle, 1);
    const { curve, scalar, parameters } = eccKeyOf(key);
    if (parameters.scheme.scheme !== 'ecdaa') throw handleRefused(RC.SCHEME, 1);
    if ((s2.length === 0) !== (y2.length === 0)) throw parameterRefused(RC.SIZE, 3);
    const r = nextScalar(chip.commitments, curve, key.name);
    const P2 = s2.length === 0 ? undefined : hashedPoint(curve, key.publicArea, s2, y2);
    if (P2 !== undefined && scalar === undefined) throw handleRefused(RC.KEY, 1);
    const given = P1.x.length + P1.y.length > 0;
    if (given && !onCurve(curve, P1)) throw parameterRefused(RC.ECC_POINT, 1);
    const K = P2 && scalar ? product(curve, scalar, P2) : noPoint;
    const L = P2 ? product(curve, r, P2) : noPoint;
    const E = given ? product(curve, r, P1) : P2 ? noPoint : publicPoint(curve, r);
    return { K, L, E, counter: commit(chip.commitments) };
  }),

  handler(TPM2_EC_Ephemeral, (chip, { curveID }) => {
    const curve = knownCurve(curveID, 1);
    const Q = publicPoint(curve, nextScalar(chip.commitments, curve, none));
    return { Q, counter: commit(chip.commitments) };
  }),
];

function knownCurve(curveID: TPM_ECC_CURVE, parameter: number): Curve {
  if (!isCurve(curveID)) throw parameterRefused(RC.CURVE, parameter);
  return curveID;
}

/** An ECC key under handle 1; its scalar is padded, and `undefined` in a public key. */
function eccKeyOf({ publicArea, sensitive }: LoadedObject) {
  if (publicArea.type !== 'ecc') throw handleRefused(RC.KEY, 1);
  const { parameters, objectAttributes, unique: point } = publicArea;
  const curve = parameters.curveID;
  if (!isCurve(curve)) throw handleRefused(RC.KEY, 1);
  const scalar = sensitive && pad(sensitive.sensitive, curves[curve].size);
  return { curve, parameters, objectAttributes, point, scalar };
}

/** A private key under handle 1 that is free to take part in a key exchange. */
function exchangeKeyOf(object: LoadedObject) {
  const { objectAttributes, scalar, ...key } = eccKeyOf(object);
  if (objectAttributes.restricted || !objectAttributes.decrypt) throw handleRefused(RC.ATTRIBUTES, 1);
  if (scalar === undefined) throw handleRefused(RC.KEY, 1);
  return { ...key, scalar };
}

/** P2 of TPM2_Commit: its x coordinate is a hash, so that nobody knows its logarithm. */
function hashedPoint(curve: Curve, { nameAlg }: Public, s2: Uint8Array, y2: Uint8Array): Point {
  if (!isHash(nameAlg)) throw handleRefused(RC.HASH, 1);
  const { p, size } = curves[curve];
  const point = { x: fromInteger(toInteger(digest(nameAlg, s2)) % p, size), y: y2 };
  if (!onCurve(curve, point)) throw parameterRefused(RC.ECC_POINT, 2);
  return point;
}

/** The orders are prime, so a product is at infinity only for a factor that no key has. */
function product(curve: Curve, scalar: Uint8Array, point: Point): Point {
  const result = multiplied(curve, scalar, point);
  if (result === undefined) throw new Refusal(RC.NO_RESULT);
  return result;
}
