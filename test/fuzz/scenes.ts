import {
  TPM2_Clear,
  TPM2_Duplicate,
  TPM2_GetRandom,
  TPM2_NV_ChangeAuth,
  TPM2_NV_UndefineSpaceSpecial,
  TPM2_PCR_Read,
  TPM2_PCR_SetAuthPolicy,
  TPM2_PolicyCommandCode,
  TPM2_PP_Commands,
  TPM2_Rewrap,
  TPM2_RSA_Encrypt,
} from '../../src/tpm/commands.ts';
import type { Session, TPMT_PUBLIC, Tpm } from '../../src/tpm/index.ts';
import {
  activateCredential,
  attestAudit,
  changeHierarchyAuth,
  changeNvAuth,
  changeObjectAuth,
  createKey,
  createPrimary,
  duplicateKey,
  ekTemplate,
  endSession,
  flush,
  iakTemplate,
  importKey,
  lakTemplate,
  ldevidTemplate,
  loadKey,
  makeCredential,
  nvCertify,
  nvDefine,
  nvRead,
  nvWrite,
  owned,
  Policy,
  pcrRead,
  quote,
  rsaDecrypt,
  run,
  SessionAudit,
  seal,
  srkTemplate,
  startSession,
  TPM_RH,
  unseal,
  using,
  verifyAttestation,
} from '../../src/tpm/index.ts';
import type { Scene } from './scene.ts';
import { primary } from './scene.ts';
import { lowScenes } from './scenes-low.ts';

/** A key that may leave the TPM: its policy lets `command` go. */
function movable(command: number): TPMT_PUBLIC {
  const { fixedTPM: _, fixedParent: __, ...objectAttributes } = ldevidTemplate.objectAttributes;
  const authPolicy = Policy.start('sha256').commandCode(command).digest;
  return { ...ldevidTemplate, objectAttributes, authPolicy };
}

/** Fulfils PolicyCommandCode. */
const forCommand =
  (tpm: Tpm, code: number) =>
  async ({ handle }: Session): Promise<void> => {
    await run(tpm, TPM2_PolicyCommandCode, { policySession: handle, code });
  };

/** Scenes by name: together they use what a stream of single commands does not come to. */
export const scenes: Readonly<Record<string, Scene>> = {
  'a quote, verified': async (tpm, from) => {
    await using iak = owned(
      tpm,
      await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() }),
    );
    const qualifyingData = from.random.bytes(32);
    const pcrs = [{ hash: 'sha256', pcrSelect: [0, 16] }] as const;
    const { attest, signature } = await quote(tpm, iak, { qualifyingData, pcrs });
    verifyAttestation({ key: iak.public, attest, signature, type: 'attestQuote', qualifyingData });
  },

  'a credential, activated': async (tpm, from) => {
    await using ek = owned(tpm, await createPrimary(tpm, { hierarchy: 'endorsement', template: ekTemplate }));
    await using iak = owned(
      tpm,
      await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() }),
    );
    const secret = from.random.bytes(32);
    const challenge = makeCredential({ ek: ek.public, name: iak.name, secret, random: from.random });
    await activateCredential(tpm, { ak: iak, ek, challenge });
  },

  'a key under another auth value, hidden on its way': async (tpm, from) => {
    await using srk = await primary(tpm, srkTemplate);
    const auth = from.random.bytes(16);
    const wrapped = await createKey(tpm, srk, { template: ldevidTemplate, auth, saltedTo: srk });
    await using key = owned(tpm, await loadKey(tpm, srk, wrapped, auth));
    const newAuth = from.random.bytes(20);
    const changed = await changeObjectAuth(tpm, srk, key, { newAuth, saltedTo: srk });
    await using _again = owned(tpm, await loadKey(tpm, srk, changed, newAuth));
  },

  'a key that moves to another parent, rewrapped on its way': async (tpm, from) => {
    await using srk = await primary(tpm, srkTemplate);
    const unique = (x: number) => ({ x: new Uint8Array(32).fill(x), y: new Uint8Array(32) });
    await using away = await primary(tpm, { ...srkTemplate, unique: unique(1) });
    const wrapped = await createKey(tpm, srk, { template: movable(TPM2_Duplicate.code) });
    await using key = owned(tpm, await loadKey(tpm, srk, wrapped));
    const symmetric = from.oneIn(2) ? ({ algorithm: 'aes', keyBits: 128, mode: 'cfb' } as const) : undefined;
    const fulfil = forCommand(tpm, TPM2_Duplicate.code);
    const duplicate = await duplicateKey(tpm, key, { newParent: away, fulfil, symmetric });
    await importKey(tpm, away, duplicate);
    const { outDuplicate, outSymSeed } = await run(tpm, TPM2_Rewrap, {
      oldParent: away,
      newParent: srk,
      inDuplicate: duplicate.duplicate,
      name: key.name,
      inSymSeed: duplicate.secret,
    });
    await importKey(tpm, srk, { ...duplicate, duplicate: outDuplicate, secret: outSymSeed });
  },

  'a secret, sealed to PCRs': async (tpm, from) => {
    await using srk = await primary(tpm, srkTemplate);
    const pcrs = [{ hash: 'sha256', pcrSelect: [from.below(24), 16] }] as const;
    const auth = from.oneIn(2) ? from.random.bytes(12) : undefined;
    const sealed = await seal(tpm, srk, { data: from.random.bytes(1 + from.below(128)), pcrs, auth });
    await unseal(tpm, srk, sealed, { auth });
  },

  'data opened by an RSA key': async (tpm, from) => {
    await using key = await primary(tpm, {
      ...decryption,
      parameters: { ...decryption.parameters, keyBits: 1024 },
    });
    const data = from.random.bytes(16);
    const scheme = { scheme: 'oaep', hashAlg: 'sha256' } as const;
    const label = new Uint8Array(0);
    const { outData } = await run(tpm, TPM2_RSA_Encrypt, {
      keyHandle: key,
      message: data,
      inScheme: scheme,
      label,
    });
    await using srk = await primary(tpm, srkTemplate);
    await rsaDecrypt(tpm, key, outData, { scheme, saltedTo: srk });
  },

  'an index with an auth value of its own, and another one': async (tpm, from) => {
    await using srk = await primary(tpm, srkTemplate);
    const auth = from.random.bytes(16);
    const index = await nvDefine(tpm, {
      handle: 0x01510000,
      size: 40,
      attributes: { nt: 'ordinary', authread: true, authwrite: true, noDa: true },
      authPolicy: Policy.start('sha256').commandCode(TPM2_NV_ChangeAuth.code).digest,
      auth,
      saltedTo: srk,
    });
    const written = await nvWrite(tpm, index, from.random.bytes(40));
    const changed = await changeNvAuth(tpm, written, { newAuth: from.random.bytes(8), saltedTo: srk });
    await nvRead(tpm, changed);
    await using lak = await primary(tpm, lakTemplate);
    await nvCertify(tpm, { index: changed, signer: lak, qualifyingData: from.random.bytes(9) });
  },

  'an index that only its policy removes': async (tpm) => {
    const { code } = TPM2_NV_UndefineSpaceSpecial;
    const index = await nvDefine(tpm, {
      handle: 0x01510001,
      size: 4,
      attributes: { nt: 'ordinary', ppread: true, ppwrite: true, policyDelete: true, platformcreate: true },
      authPolicy: Policy.start('sha256').commandCode(code).digest,
      by: 'platform',
    });
    const session = await startSession(tpm, { kind: 'policy' });
    await forCommand(tpm, code)(session);
    const authorizations = [using(session, { last: true })];
    await run(
      tpm,
      TPM2_NV_UndefineSpaceSpecial,
      { nvIndex: index, platform: TPM_RH.platform },
      { authorizations },
    );
  },

  'a session that audits, and its attestation': async (tpm, from) => {
    await using lak = await primary(tpm, lakTemplate);
    const session = await startSession(tpm, { kind: 'hmac', cipher: 'aes-128-cfb' });
    const trail = new SessionAudit();
    const pcrSelectionIn = [{ hash: 'sha256', pcrSelect: [0] }] as const;
    const audited = { authorizations: [using(session, { audit: trail })] };
    await run(tpm, TPM2_PCR_Read, { pcrSelectionIn }, audited);
    const hidden = { authorizations: [using(session, { audit: trail, encryptResponse: true })] };
    await run(tpm, TPM2_GetRandom, { bytesRequested: 8 }, hidden);
    await attestAudit(tpm, session, trail, { signer: lak, qualifyingData: from.random.bytes(20) });
    await endSession(tpm, session);
  },

  'an owner with an auth value, and without again': async (tpm, from) => {
    await using srk = await primary(tpm, srkTemplate);
    const auth = from.random.bytes(20);
    await changeHierarchyAuth(tpm, 'owner', { newAuth: auth, saltedTo: srk });
    await flush(
      tpm,
      await createPrimary(tpm, { hierarchy: 'owner', hierarchyAuth: auth, template: srkTemplate }),
    );
    await changeHierarchyAuth(tpm, 'owner', { newAuth: new Uint8Array(0), auth });
  },

  'an owner who gives the machine away': async (tpm) => {
    await run(tpm, TPM2_Clear, { authHandle: TPM_RH.lockout });
    await using _srk = await primary(tpm, srkTemplate);
  },

  'the platform, with somebody at the machine': async (tpm, from, chip) => {
    chip.setPhysicalPresence(true);
    try {
      await run(tpm, TPM2_PP_Commands, { auth: TPM_RH.platform, setList: [0x12c], clearList: [] });
      const authPolicy = from.random.bytes(32);
      const request = { authPolicy, hashAlg: 'sha256', pcrNum: 20 } as const;
      await run(tpm, TPM2_PCR_SetAuthPolicy, { authHandle: TPM_RH.platform, ...request });
      await run(tpm, TPM2_PP_Commands, { auth: TPM_RH.platform, setList: [], clearList: [0x12c] });
      await pcrRead(tpm, [20]);
    } finally {
      chip.setPhysicalPresence(false);
    }
  },

  ...lowScenes,
};

const decryption = {
  type: 'rsa',
  nameAlg: 'sha256',
  objectAttributes: { sensitiveDataOrigin: true, userWithAuth: true, noDA: true, decrypt: true },
  authPolicy: new Uint8Array(0),
  parameters: {
    symmetric: { algorithm: 'null' },
    scheme: { scheme: 'null' },
    keyBits: 2048,
    exponent: 0,
  },
  unique: new Uint8Array(0),
} as const satisfies TPMT_PUBLIC;
