import type { TPMI_ALG_HASH } from '../structures/algorithms.ts';
import type { Authorization, SessionUse } from './authorization.ts';
import { password, using } from './authorization.ts';
import type { Session } from './session.ts';
import type { SaltKey, SessionOptions } from './sessions.ts';
import { endSession, startSession } from './sessions.ts';
import type { Tpm } from './tpm.ts';

/** What one authorization of a command must prove. */
export type Need =
  /** Knowledge of the auth value: by HMAC; an empty one goes as an empty password. */
  | {
      readonly by: 'auth';
      readonly auth?: Uint8Array | undefined;
      readonly authAfter?: Uint8Array | undefined;
      /** Salts the session to this key and has it hide the first parameter of the command. */
      readonly hideRequestBy?: SaltKey | undefined;
      /** Likewise, of the answer. */
      readonly hideAnswerBy?: SaltKey | undefined;
    }
  /** That a policy is fulfilled. `fulfil` runs the policy commands on the fresh session. */
  | {
      readonly by: 'policy';
      readonly hash: TPMI_ALG_HASH;
      readonly fulfil: (session: Session) => Promise<void>;
      readonly auth?: Uint8Array | undefined;
      readonly authAfter?: Uint8Array | undefined;
      /** Salts the session to this key and has it hide the first parameter of the answer. */
      readonly hideAnswerBy?: SaltKey | undefined;
      /** True when `fulfil` needs one more session meanwhile. */
      readonly nested?: boolean;
    }
  /** Nothing: it hides the first parameters from whoever listens, salted to a key in the TPM. */
  | {
      readonly by: 'salt';
      readonly to: SaltKey;
      readonly request?: boolean;
      readonly response?: boolean;
    };

/** Starts the sessions that `needs` ask for, runs `work` with them, and ends what is left of them. */
export async function withAuthorizations<T>(
  tpm: Tpm,
  needs: readonly Need[],
  work: (authorizations: readonly Authorization[]) => Promise<T>,
): Promise<T> {
  // nested sessions end before the next need is seen to: one place serves them all
  let count = needs.some((need) => need.by === 'policy' && need.nested === true) ? 1 : 0;
  for (const need of needs) count += sessionsFor(need);
  if (count === 0) return await work(needs.map(() => password()));
  return await tpm.sessionSlots.hold(count, async () => {
    const started: Session[] = [];
    const start = async (options: SessionOptions): Promise<Session> => {
      const session = await startSession(tpm, options);
      started.push(session);
      return session;
    };
    try {
      const authorizations: Authorization[] = [];
      for (const need of needs) authorizations.push(await authorizationFor(need, start));
      return await work(authorizations);
    } finally {
      for (const session of started) await endSession(tpm, session);
    }
  });
}

/** For use inside `work` or `fulfil` only: HMAC proof of one auth value, in a session whose place is held already. */
export async function withNestedAuth<T>(
  tpm: Tpm,
  auth: Uint8Array | undefined,
  work: (authorization: Authorization) => Promise<T>,
): Promise<T> {
  if (auth === undefined || auth.length === 0) return await work(password());
  const session = await startSession(tpm, { kind: 'hmac' });
  try {
    return await work(using(session, { auth, last: true }));
  } finally {
    await endSession(tpm, session);
  }
}

/** `saltedTo`, or the TPM's own choice. @throws {TypeError} when there is neither: a secret would be readable. */
export function saltKeyFor(tpm: Tpm, saltedTo: SaltKey | undefined): SaltKey {
  const key = saltedTo ?? tpm.saltKey;
  if (key === undefined) throw new TypeError('`saltedTo` is needed to send a secret to the TPM unread');
  return key;
}

async function authorizationFor(
  need: Need,
  start: (options: SessionOptions) => Promise<Session>,
): Promise<Authorization> {
  switch (need.by) {
    case 'auth': {
      const { auth, authAfter, hideRequestBy, hideAnswerBy } = need;
      if (sessionsFor(need) === 0) return password();
      const saltedTo = hideRequestBy ?? hideAnswerBy;
      const cipher = saltedTo === undefined ? 'none' : 'aes-128-cfb';
      return using(await start({ kind: 'hmac', cipher, saltedTo }), {
        auth,
        authAfter,
        encryptRequest: hideRequestBy !== undefined,
        encryptResponse: hideAnswerBy !== undefined,
        last: true,
      });
    }
    case 'policy': {
      const saltedTo = need.hideAnswerBy;
      const hiding = saltedTo !== undefined;
      const cipher = hiding ? 'aes-128-cfb' : 'none';
      const session = await start({ kind: 'policy', hash: need.hash, cipher, saltedTo });
      await need.fulfil(session);
      const { auth, authAfter } = need;
      return using(session, { auth, authAfter, encryptResponse: hiding, last: true });
    }
    case 'salt': {
      const session = await start({ kind: 'hmac', cipher: 'aes-128-cfb', saltedTo: need.to });
      const use: SessionUse = {
        encryptRequest: need.request === true,
        encryptResponse: need.response === true,
        last: true,
      };
      return using(session, use);
    }
  }
}

function sessionsFor(need: Need): number {
  if (need.by !== 'auth' || need.hideRequestBy !== undefined || need.hideAnswerBy !== undefined) return 1;
  return (need.auth?.length ?? 0) > 0 || need.authAfter !== undefined ? 1 : 0;
}
