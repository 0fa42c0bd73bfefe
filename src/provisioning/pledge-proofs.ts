import { base64url } from '../core/bytes.ts';
import type { Tpm, TpmObject } from '../tpm/index.ts';
import { certify, encode, TPMT_PUBLIC, TPMT_SIGNATURE, tpmSigner } from '../tpm/index.ts';
import type { DeviceIdentity } from './device-identity.ts';
import type { TpmKeyProof } from './messages.ts';
import { encodeCsr, encodeCsrContent } from './tcg-csr.ts';

/** A key of the owner with the IAK's certification over the challenge's nonce. */
export async function certifiedKey(
  tpm: Tpm,
  iak: TpmObject,
  key: TpmObject,
  nonce: Uint8Array,
): Promise<TpmKeyProof> {
  const { attest, signature } = await certify(tpm, { object: key, signer: iak, qualifyingData: nonce });
  return {
    public: base64url(encode(TPMT_PUBLIC, key.public)),
    certifyInfo: base64url(attest),
    signature: base64url(signature),
  };
}

/** TCG-CSR-IDEVID of this device: certified by its IAK, signed by its IDevID (on P-256). */
export async function makeCsr(tpm: Tpm, identity: DeviceIdentity): Promise<Uint8Array> {
  const { iak, idevid } = identity;
  const { attest, signature } = await certify(tpm, { object: idevid, signer: iak });
  const none = new Uint8Array();
  const signed = encodeCsrContent({
    prodModel: identity.model,
    prodSerial: identity.serial,
    prodCaData: none,
    bootEvntLog: none,
    ekCert: identity.ekCertificate.der,
    attestPub: encode(TPMT_PUBLIC, iak.public),
    atCreateTkt: none,
    atCertifyInfo: none,
    atCertifyInfoSignature: none,
    signingPub: encode(TPMT_PUBLIC, idevid.public),
    sgnCertifyInfo: attest,
    sgnCertifyInfoSignature: signature,
  });
  const raw = await tpmSigner(tpm, idevid).sign(signed);
  return encodeCsr(
    signed,
    encode(TPMT_SIGNATURE, {
      sigAlg: 'ecdsa',
      hash: 'sha256',
      signatureR: raw.subarray(0, 32),
      signatureS: raw.subarray(32),
    }),
  );
}
