import type { Lockout } from '../tpm/index.ts';
import { lockoutReset, lockoutState, TpmRefused } from '../tpm/index.ts';
import type { Command } from './command.ts';
import { flag } from './command.ts';
import { authOption, TpmCannot, tpmOption, withTpm } from './tpm.ts';
import { timeInWords } from './tpm-words.ts';

/** `fealty tpm clear-lockout`. */
export const tpmClearLockout: Command = {
  about:
    'Shows how a TPM stands against guessing: how many wrong auth values it has counted, and at how many it locks what they\n' +
    'guard. With --yes it forgives them all, by the auth value of the lockout hierarchy; without, it changes nothing.',
  options: {
    tpm: tpmOption,
    yes: { type: 'boolean', describe: 'forgive them: the only change that any `tpm` command makes' },
    'auth-file': {
      type: 'string',
      value: 'FILE',
      describe: 'the lockout auth value, - for stdin (default: empty); a wrong one closes it for long',
    },
  },
  examples: [
    ['tpm clear-lockout', 'is it locked, and when will it not be?'],
    ['tpm clear-lockout --yes --auth-file /root/lockout-auth', 'forgive, with the auth value in a file'],
  ],
  run: async (input, io) => {
    const auth = await authOption(input, 'auth-file');
    const wanted = flag(input, 'yes');
    const { before, after } = await withTpm(input, async (tpm) => {
      const state = await lockoutState(tpm);
      if (!wanted) return { before: state, after: state };
      // a wrong try closes the lockout authorization, so the one that must be wrong is not made
      if (state.authSet.lockout && (auth ?? []).length === 0)
        throw new TpmCannot('the lockout hierarchy has an auth value: give it with --auth-file');
      await lockoutReset(tpm, auth).catch((error: unknown) => {
        throw explained(error, state);
      });
      return { before: state, after: await lockoutState(tpm) };
    });
    if (flag(input, 'json')) io.json({ ...after, cleared: wanted, failuresBefore: before.failures });
    else {
      if (wanted) io.print(`Forgiven: ${before.failures} wrong auth values.`);
      for (const line of asWords(after)) io.print(line);
      if (!wanted && after.failures > 0) io.print('`fealty tpm clear-lockout --yes` forgives them now.');
    }
    return 0;
  },
};

function asWords(state: Lockout): readonly string[] {
  const { failures, failuresMax, forgivenAfterS, lockoutAuthClosedForS } = state;
  return [
    state.locked
      ? `Locked: ${failures} wrong auth values of ${failuresMax}. Whatever is guarded by one answers LOCKOUT.`
      : `Not locked: ${failures} wrong auth values of ${failuresMax} that lock it.`,
    forgivenAfterS === 0
      ? 'No failure is forgiven by time.'
      : `One is forgiven every ${timeInWords(forgivenAfterS)} that the TPM is on.`,
    `The lockout auth value is ${state.authSet.lockout ? 'set' : 'empty'}; a wrong one closes it ` +
      `${lockoutAuthClosedForS === 0 ? 'until the TPM is reset' : `for ${timeInWords(lockoutAuthClosedForS)}`}.`,
  ];
}

function explained(error: unknown, state: Lockout): unknown {
  if (!(error instanceof TpmRefused)) return error;
  const closed =
    state.lockoutAuthClosedForS === 0
      ? 'until the TPM is reset'
      : `for ${timeInWords(state.lockoutAuthClosedForS)}`;
  if (error.reason === 'AUTH_FAIL' || error.reason === 'BAD_AUTH')
    return new TpmCannot(`that is not the lockout auth value; it is closed ${closed}`, { cause: error });
  if (error.reason === 'LOCKOUT')
    return new TpmCannot(`the lockout auth value is closed after a wrong one, ${closed}`, {
      cause: error,
    });
  return error;
}
