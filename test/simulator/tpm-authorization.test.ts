import { beforeEach, describe, expect, it } from 'vitest';
import type { VirtualClock } from '../../simulator/clock.ts';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { publicPoint } from '../../simulator/tpm/crypto/ecc.ts';
import { concat, u32, utf8 } from '../../src/core/bytes.ts';
import {
  TPM2_Certify,
  TPM2_CertifyCreation,
  TPM2_ContextLoad,
  TPM2_ContextSave,
  TPM2_CreatePrimary,
  TPM2_GetRandom,
  TPM2_Hash,
  TPM2_LoadExternal,
  TPM2_PolicyCommandCode,
  TPM2_PolicyPCR,
  TPM2_PolicySecret,
  TPM2_Sign,
  TPM2_StartAuthSession,
} from '../../src/tpm/commands.ts';
import { encodeCommand } from '../../src/tpm/framing.ts';
import type { Session, Tpm, TpmObject } from '../../src/tpm/index.ts';
import {
  createPrimary,
  ekTemplate,
  lakTemplate,
  ldevidTemplate,
  openTpm,
  Policy,
  pcrExtend,
  pcrRead,
  run,
  startSession,
  using,
} from '../../src/tpm/index.ts';
import { digest } from '../../src/tpm/kdf.ts';
import { codeOf } from '../tpm/raw.ts';
import { keyless } from '../tpm/raw-sessions.ts';

const none = new Uint8Array();
const OWNER = 0x40000001;
const ENDORSEMENT = 0x4000000b;
const NULL = 0x40000007;
const SIGN = TPM2_Sign.code;
const noTicket = { tag: 'hashcheck', hierarchy: NULL, digest: none } as const;

let chip: SoftwareTpm;
let tpm: Tpm;
let clock: VirtualClock;

beforeEach(async () => {
  clock = virtualClock();
  const random = seededRandom('authorization');
  chip = await SoftwareTpm.create({ random, clock, slots: 8 });
  tpm = await openTpm({ transport: chip, random, clock, sessionsMax: 8 });
});

/** The response code with which something is refused; 0 when it is not. */
async function refusal(work: Promise<unknown>): Promise<number> {
  return await work.then(
    () => 0,
    (error: { readonly responseCode?: number }) => error.responseCode ?? -1,
  );
}

const secret = (
  session: Session,
  more: { readonly nonceTPM?: Uint8Array; readonly expiration?: number } = {},
) =>
  run(tpm, TPM2_PolicySecret, {
    authHandle: ENDORSEMENT,
    policySession: session.handle,
    nonceTPM: none,
    cpHashA: none,
    policyRef: none,
    expiration: 0,
    ...more,
  });

const sign = (key: TpmObject, session?: Session, auth?: Uint8Array) =>
  run(
    tpm,
    TPM2_Sign,
    { keyHandle: key, digest: new Uint8Array(32), inScheme: { scheme: 'null' }, validation: noTicket },
    session === undefined ? {} : { authorizations: [using(session, { auth })] },
  );

/** A signing key that only its policy may use. */
const guardedBy = (authPolicy: Uint8Array) =>
  createPrimary(tpm, {
    hierarchy: 'owner',
    template: {
      ...ldevidTemplate,
      authPolicy,
      objectAttributes: { ...ldevidTemplate.objectAttributes, userWithAuth: false },
    },
  });

const policySession = () => startSession(tpm, { kind: 'policy' });

describe('a policy', () => {
  it('for one command is of no use for another: POLICY_CC', async () => {
    const random = TPM2_GetRandom.code;
    const key = await guardedBy(Policy.start('sha256').commandCode(random).digest);
    const session = await policySession();
    await run(tpm, TPM2_PolicyCommandCode, { policySession: session.handle, code: random });
    expect(await refusal(sign(key, session))).toBe(0x9a4);
  });

  it('without a command is no way to be certified (ADMIN role): POLICY_FAIL', async () => {
    const { digest: authPolicy } = Policy.start('sha256').secret(u32(ENDORSEMENT));
    const key = await createPrimary(tpm, {
      hierarchy: 'owner',
      template: {
        ...ldevidTemplate,
        authPolicy,
        objectAttributes: { ...ldevidTemplate.objectAttributes, adminWithPolicy: true },
      },
    });
    const certify = async (session: Session) =>
      await refusal(
        run(
          tpm,
          TPM2_Certify,
          { objectHandle: key, signHandle: NULL, qualifyingData: none, inScheme: { scheme: 'null' } },
          { authorizations: [using(session)] },
        ),
      );
    const session = await policySession();
    await secret(session);
    expect(await certify(session)).toBe(0x99d);
    expect(await certify(await startSession(tpm, { kind: 'hmac' }))).toBe(0x124);
  });

  it('is spent with one use', async () => {
    const key = await guardedBy(Policy.start('sha256').commandCode(SIGN).digest);
    const session = await policySession();
    const assert = () => run(tpm, TPM2_PolicyCommandCode, { policySession: session.handle, code: SIGN });
    await assert();
    expect(await refusal(sign(key, session))).toBe(0);
    expect(await refusal(sign(key, session))).toBe(0x99d);
    await assert();
    expect(await refusal(sign(key, session))).toBe(0);
  });

  it('expires when PolicySecret says so', async () => {
    const key = await guardedBy(Policy.start('sha256').secret(u32(ENDORSEMENT)).digest);
    const session = await policySession();
    await secret(session, { nonceTPM: session.nonceTpm, expiration: 10 });
    await clock.advance(10_000);
    expect(await refusal(sign(key, session))).toBe(0);
    // Seconds count from the session's newest nonce: its use has made one.
    await secret(session, { nonceTPM: session.nonceTpm, expiration: 20 });
    await clock.advance(20_000);
    expect(await refusal(sign(key, session))).toBe(0);
    await secret(session, { nonceTPM: session.nonceTpm, expiration: 20 });
    await clock.advance(20_001);
    expect(await refusal(sign(key, session))).toBe(0x9a3);
    expect(await refusal(secret(session, { expiration: 20 }))).toBe(0x4e3);
  });

  it('is bound to the session whose nonce PolicySecret was given', async () => {
    const session = await policySession();
    expect(await refusal(secret(session, { nonceTPM: new Uint8Array(32) }))).toBe(0x1cf);
  });

  it('over PCRs is void once any of them changes, also between assertion and use: PCR_CHANGED', async () => {
    const pcrs = [{ hash: 'sha256', pcrSelect: [12] }] as const;
    const expected = digest('sha256', ...(await pcrRead(tpm, [12])));
    const key = await guardedBy(Policy.start('sha256').pcr(pcrs, expected).digest);
    const session = await policySession();
    await run(tpm, TPM2_PolicyPCR, { policySession: session.handle, pcrDigest: none, pcrs });
    await pcrExtend(tpm, 11, { sha256: new Uint8Array(32) });
    expect(await refusal(sign(key, session))).toBe(0x128);
  });

  it('limited to a cpHash permits exactly that command', async () => {
    const key = await guardedBy(Policy.start('sha256').secret(u32(ENDORSEMENT)).digest);
    const session = await policySession();
    await run(tpm, TPM2_PolicySecret, {
      authHandle: ENDORSEMENT,
      policySession: session.handle,
      nonceTPM: none,
      cpHashA: new Uint8Array(32),
      policyRef: none,
      expiration: 0,
    });
    expect(await refusal(sign(key, session))).toBe(0x99d);
  });

  it('tried out in a trial session authorises nothing', async () => {
    const key = await guardedBy(Policy.start('sha256').commandCode(SIGN).digest);
    const { sessionHandle } = await run(tpm, TPM2_StartAuthSession, keyless('trial'));
    await run(tpm, TPM2_PolicyCommandCode, { policySession: sessionHandle, code: SIGN });
    expect(await raw(key, [{ sessionHandle, nonce: new Uint8Array(16) }])).toBe(0x982);
  });
});

/** TPM2_Sign of zeros by `key`, with sessions exactly as given; the response code. */
async function raw(
  key: TpmObject,
  sessions: readonly { readonly sessionHandle: number; readonly nonce: Uint8Array }[],
): Promise<number> {
  const parameters = new Uint8Array([0, 32, ...new Uint8Array(32), 0, 0x10, 0x80, 0x24, 0x40, 0, 0, 7, 0, 0]);
  const auths = sessions.map((one) => ({ ...one, sessionAttributes: { continueSession: true }, hmac: none }));
  const answer = await chip.exchange(encodeCommand(SIGN, [key.handle], auths, parameters));
  return codeOf(answer);
}

describe('an authorization', () => {
  it('by password has no nonce, and comes once', async () => {
    const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
    const password = { sessionHandle: 0x40000009, nonce: none };
    expect(await raw(key, [password])).toBe(0);
    expect(await raw(key, [{ ...password, nonce: new Uint8Array(16) }])).toBe(0x98f);
    expect(await raw(key, [password, password])).toBe(0xa8b);
  });

  it('is not given twice by one session: HANDLE of session 2', async () => {
    const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
    const { handle } = await startSession(tpm, { kind: 'hmac' });
    const one = { sessionHandle: handle, nonce: new Uint8Array(16) };
    expect(await raw(key, [one, one])).toBe(0xa8b);
  });

  it('by a session that is not there is REFERENCE_S0', async () => {
    const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
    expect(await raw(key, [{ sessionHandle: 0x02000007, nonce: new Uint8Array(16) }])).toBe(0x918);
  });

  it('by sessions bound with guessed auth values counts against the lockout', async () => {
    const auth = utf8('a secret');
    const ek = await createPrimary(tpm, { hierarchy: 'endorsement', template: ekTemplate });
    const key = await createPrimary(tpm, {
      hierarchy: 'owner',
      template: {
        ...ldevidTemplate,
        objectAttributes: { ...ldevidTemplate.objectAttributes, noDA: false },
      },
      auth,
      saltedTo: ek,
    });
    const guess = async () => {
      const session = await startSession(tpm, { kind: 'hmac', boundTo: { ...key, auth: utf8('guess') } });
      // The session is used for the owner, whose own (empty) auth value nobody guards.
      return await refusal(
        run(
          tpm,
          TPM2_CreatePrimary,
          {
            primaryHandle: OWNER,
            inSensitive: { userAuth: none, data: none },
            inPublic: ldevidTemplate,
            outsideInfo: none,
            creationPCR: [],
          },
          { authorizations: [using(session, { last: true })] },
        ),
      );
    };
    for (let i = 0; i < 3; i++) expect(await guess()).toBe(0x98e);
    expect(await guess()).toBe(0x921);
  });
});

describe('a saved session', () => {
  it('comes back from its latest context alone, once', async () => {
    const { handle } = await startSession(tpm, { kind: 'hmac' });
    const save = async () => (await run(tpm, TPM2_ContextSave, { saveHandle: handle })).context;
    const load = (context: Awaited<ReturnType<typeof save>>) => run(tpm, TPM2_ContextLoad, { context });
    const first = await save();
    expect((await load(first)).loadedHandle).toBe(handle);
    expect(await refusal(load(first))).toBe(0x1cb);
    const second = await save();
    expect(await refusal(load(first))).toBe(0x1cb);
    expect(await refusal(load(second))).toBe(0);
  });
});

describe('a restricted key', () => {
  it('signs a digest that the TPM made of harmless data, and no other', async () => {
    const key = await createPrimary(tpm, { hierarchy: 'owner', template: lakTemplate });
    const signed = async (data: Uint8Array) => {
      const { outHash, validation } = await run(tpm, TPM2_Hash, {
        data,
        hashAlg: 'sha256',
        hierarchy: OWNER,
      });
      const inScheme = { scheme: 'null' } as const;
      return await refusal(run(tpm, TPM2_Sign, { keyHandle: key, digest: outHash, inScheme, validation }));
    };
    expect(await signed(utf8('a letter'))).toBe(0);
    // A forged TPMS_ATTEST: the whole chain of trust of attestations hangs on this refusal.
    expect(await signed(concat(new Uint8Array([0xff, 0x54, 0x43, 0x47]), utf8(' forged')))).toBe(0x3e0);
    expect(await refusal(sign(key))).toBe(0x3e0);
  });

  it('certifies the creation of an object only with the ticket for it', async () => {
    const signHandle = await createPrimary(tpm, { hierarchy: 'owner', template: lakTemplate });
    const { objectHandle, name, creationHash, creationTicket } = await run(tpm, TPM2_CreatePrimary, {
      primaryHandle: OWNER,
      inSensitive: { userAuth: none, data: none },
      inPublic: ldevidTemplate,
      outsideInfo: utf8('outside'),
      creationPCR: [{ hash: 'sha256', pcrSelect: [0] }],
    });
    const certified = (changed: { readonly creationHash?: Uint8Array }) =>
      run(tpm, TPM2_CertifyCreation, {
        signHandle,
        objectHandle: { handle: objectHandle, name },
        qualifyingData: none,
        creationHash,
        inScheme: { scheme: 'null' },
        creationTicket,
        ...changed,
      });
    expect(await refusal(certified({}))).toBe(0);
    expect(await refusal(certified({ creationHash: new Uint8Array(32) }))).toBe(0x4e0);
  });
});

describe('a key from outside', () => {
  const scalar = new Uint8Array(32).fill(7);
  const objectAttributes = { sign: true, userWithAuth: true } as const;
  const load = (
    sensitive: Uint8Array,
    attributes: Readonly<Record<string, boolean>>,
    hierarchy: number = NULL,
  ) =>
    refusal(
      run(tpm, TPM2_LoadExternal, {
        inPrivate: { sensitiveType: 'ecc', authValue: none, seedValue: none, sensitive },
        inPublic: {
          ...ldevidTemplate,
          objectAttributes: { ...objectAttributes, ...attributes },
          unique: publicPoint('P-256', scalar),
        },
        hierarchy,
      }),
    );

  it('is taken with both its parts, in no hierarchy, and never as one of this TPM', async () => {
    expect(await load(scalar, {})).toBe(0);
    expect(await load(new Uint8Array(32).fill(8), {})).toBe(0x0a5);
    expect(await load(scalar, {}, OWNER)).toBe(0x3c5);
    for (const lie of ['fixedTPM', 'fixedParent', 'restricted'])
      expect(await load(scalar, { [lie]: true })).toBe(0x2c2);
  });
});
