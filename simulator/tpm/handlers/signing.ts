import {
  TPM2_Certify,
  TPM2_CertifyCreation,
  TPM2_GetTime,
  TPM2_Hash,
  TPM2_NV_Certify,
  TPM2_Quote,
  TPM2_Sign,
  TPM2_VerifySignature,
} from '../../../src/tpm/commands.ts';
import { TPM_RH } from '../../../src/tpm/structures.ts';
import { attest, attesterOf, attestHash, canSign, clockInfo, firmwareVersion } from '../attest.ts';
import { digestSize, digest as hash } from '../crypto/hash.ts';
import { nvOf, objectOf } from '../entity.ts';
import { handler } from '../handler.ts';
import { needInputBuffer } from '../limits.ts';
import { checkReadAccess, nvBufferMax, nvContents, nvName } from '../nv.ts';
import { algorithmId, hierarchyOf } from '../object.ts';
import { allocated, pcrDigest } from '../pcr.ts';
import { handleRefused, parameterRefused, RC } from '../refusal.ts';
import { beginsSafely } from '../sequence.ts';
import { selectScheme, signDigest } from '../sign.ts';
import { checkTicket, emptyTicket, makeTicket } from '../tickets.ts';
import { signatureFault } from '../verify.ts';

/** Part 3 §15.4, §18, §20, §31.16: hashes, signatures, attestations. */
export const signingHandlers = [
  handler(TPM2_Hash, (chip, { data, hashAlg, hierarchy }) => {
    needInputBuffer(data, 1);
    const under = hierarchyOf(hierarchy);
    if (under === undefined) throw parameterRefused(RC.VALUE, 3);
    const outHash = hash(hashAlg, data);
    // Data shorter than the value cannot be what the TPM makes.
    const safe = under !== 'null' && (data.length < 4 || beginsSafely(data));
    return {
      outHash,
      validation: safe
        ? makeTicket(chip, 'hashcheck', under, algorithmId(hashAlg), outHash)
        : emptyTicket('hashcheck'),
    };
  }),

  handler(TPM2_Sign, (chip, { keyHandle, digest, inScheme, validation }) => {
    const key = objectOf(chip, keyHandle, 1);
    if (!canSign(key)) throw handleRefused(RC.KEY, 1);
    if (key.publicArea.objectAttributes.x509sign) throw handleRefused(RC.ATTRIBUTES, 1);
    const scheme = selectScheme(key.publicArea, inScheme);
    if (scheme === undefined) throw parameterRefused(RC.SCHEME, 2);
    if (key.publicArea.objectAttributes.restricted || validation.digest.length > 0) {
      const made = checkTicket(chip, validation, 'hashcheck', algorithmId(scheme.hashAlg), digest);
      if (!made) throw parameterRefused(RC.TICKET, 3);
    } else if (digest.length !== digestSize(scheme.hashAlg)) throw parameterRefused(RC.SIZE, 1);
    return { signature: signDigest(chip, key, scheme, digest) };
  }),

  handler(TPM2_VerifySignature, (chip, { keyHandle, digest, signature }) => {
    const key = objectOf(chip, keyHandle, 1);
    if (!key.publicArea.objectAttributes.sign) throw handleRefused(RC.ATTRIBUTES, 1);
    const fault = signatureFault(key, digest, signature);
    if (fault !== undefined) throw parameterRefused(fault, 2);
    const validation =
      key.hierarchy === 'null' || key.name.length === 0
        ? emptyTicket('verified')
        : makeTicket(chip, 'verified', key.hierarchy, digest, key.name);
    return { validation };
  }),

  handler(TPM2_Certify, (chip, { objectHandle, signHandle, qualifyingData, inScheme }) => {
    const { name, qualifiedName } = objectOf(chip, objectHandle, 1);
    const attester = attesterOf(chip, signHandle, 2, inScheme, 2);
    const made = attest(chip, attester, qualifyingData, {
      type: 'attestCertify',
      attested: { name, qualifiedName },
    });
    return { certifyInfo: made.attested, signature: made.signature };
  }),

  handler(TPM2_CertifyCreation, (chip, request) => {
    const { signHandle, objectHandle, qualifyingData, creationHash, inScheme, creationTicket } = request;
    const { name: objectName } = objectOf(chip, objectHandle, 2);
    const attester = attesterOf(chip, signHandle, 1, inScheme, 3);
    const made = checkTicket(chip, creationTicket, 'creation', objectName, creationHash);
    if (!made) throw parameterRefused(RC.TICKET, 4);
    const { attested, signature } = attest(chip, attester, qualifyingData, {
      type: 'attestCreation',
      attested: { objectName, creationHash },
    });
    return { certifyInfo: attested, signature };
  }),

  handler(TPM2_Quote, (chip, { signHandle, qualifyingData, inScheme, PCRselect }) => {
    const attester = attesterOf(chip, signHandle, 1, inScheme, 2);
    const { attested, signature } = attest(chip, attester, qualifyingData, {
      type: 'attestQuote',
      attested: {
        pcrSelect: allocated(chip.banks, PCRselect),
        pcrDigest: pcrDigest(chip.banks, attestHash(attester), PCRselect),
      },
    });
    return { quoted: attested, signature };
  }),

  handler(TPM2_GetTime, (chip, { privacyAdminHandle, signHandle, qualifyingData, inScheme }) => {
    if (privacyAdminHandle !== TPM_RH.endorsement) throw handleRefused(RC.VALUE, 1);
    const attester = attesterOf(chip, signHandle, 2, inScheme, 2);
    const { attested, signature } = attest(chip, attester, qualifyingData, {
      type: 'attestTime',
      attested: { time: { time: BigInt(chip.time), clockInfo: clockInfo(chip) }, firmwareVersion },
    });
    return { timeInfo: attested, signature };
  }),

  handler(TPM2_NV_Certify, (chip, request) => {
    const { signHandle, authHandle, nvIndex, qualifyingData, inScheme, size, offset } = request;
    const index = nvOf(chip, nvIndex, 3);
    const attester = attesterOf(chip, signHandle, 1, inScheme, 2);
    checkReadAccess(index, authHandle);
    const contents = nvContents(index, size, offset);
    if (size > nvBufferMax) throw parameterRefused(RC.VALUE, 3);
    const indexName = nvName(index);
    const { attested, signature } = attest(
      chip,
      attester,
      qualifyingData,
      size === 0 && offset === 0
        ? {
            type: 'attestNvDigest',
            // Without a signature there is no hash algorithm.
            attested: {
              indexName,
              nvDigest: attester === undefined ? new Uint8Array() : hash(attestHash(attester), index.data),
            },
          }
        : { type: 'attestNv', attested: { indexName, offset, nvContents: contents } },
    );
    return { certifyInfo: attested, signature };
  }),
];
