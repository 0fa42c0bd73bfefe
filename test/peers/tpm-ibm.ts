import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe } from 'vitest';
import { present } from './present.ts';
import type { Shell } from './shell.ts';
import { openShell } from './shell.ts';
import type { ProvidedTpm, Way } from './tpm-provider.ts';
import { provideTpm, subject, waysByPort } from './tpm-provider.ts';

/**
 * `denied CODE tool …`: it fails with that response code. `judges TEXT tool …`: it fails for a reason of its own, in which
 * TEXT is. `flush HANDLE…`. `name HANDLE`: the Name that the tools keep of an entity. `policy LINE…`: the digest of a
 * policy, computed by tsspolicymaker without a TPM, into the file `policy`.
 */
const words = `
denied() {
  local code=$1 out ; shift
  if out=$("$@" 2>&1) ; then echo "not refused: $*" >&2 ; exit 1 ; fi
  grep -qiE "rc 0*($code)$" <<< "$out" || { echo "expected $code of $*: $out" >&2 ; exit 1 ; }
}
judges() {
  local text=$1 out ; shift
  if out=$("$@" 2>&1) ; then echo "did not fail: $*" >&2 ; exit 1 ; fi
  grep -q "$text" <<< "$out" || { echo "expected $text of $*: $out" >&2 ; exit 1 ; }
}
flush() { for handle ; do tssflushcontext -ha $handle ; done ; }
name() { hex h$1.bin ; }
policy() { printf '%s\\n' "$@" > lines ; tsspolicymaker -if lines -of policy ; }
trial() { tssstartauthsession -se t ; "$@" ; tsspolicygetdigest -ha 03000000 -of digest ; flush 03000000 ; cmp digest policy ; }
begin() { tssstartauthsession -se p "$@" ; }
primary() { tsscreateprimary -hi o -ecc nistp256 -st ; }
signer() { tsscreate -hp 80000000 -ecc nistp256 -kt f -kt p "$@" -opu k.pub -opr k.priv -opem k.pem ; tssload -hp 80000000 -ipu k.pub -ipr k.priv ; }
echo -n 'a message' > msg
`;

/** What the scenes of {@link ibmTools} are played with: anew for each, an empty folder and a TPM. */
export interface Stage {
  readonly way: Way;
  /** Runs a script in the folder, with IBM's tools pointed at the TPM; see `words`. */
  readonly sh: Shell;
  /** Where a file of the folder is. */
  path(name: string): string;
  /** Power off and on; TPM2_Startup is then expected. */
  powerCycle(): Promise<void>;
}

/** Scenes for the programs of IBM's TSS, by every way on which they reach the TPM. */
export function ibmTools(scenes: (stage: Stage) => void): void {
  const there = present('tssgetrandom', 'openssl');
  describe.skipIf(!there).each(waysByPort)(`IBM's TSS on ${subject}, by %s,`, { timeout: 60_000 }, (way) => {
    let directory: string;
    let tpm: ProvidedTpm;
    let shell: Shell;

    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'fealty-ibm-'));
      tpm = await provideTpm(3, way);
      const port = 'port' in tpm.place ? tpm.place.port : 0;
      shell = await openShell(directory, words, {
        TPM_INTERFACE_TYPE: 'socsim',
        TPM_SERVER_TYPE: way === 'mssim' ? 'mssim' : 'raw',
        TPM_SERVER_NAME: '127.0.0.1',
        TPM_COMMAND_PORT: String(port),
        TPM_PLATFORM_PORT: String(port + 1),
        TPM_DATA_DIR: directory,
        TPM_ENCRYPT_SESSIONS: '0',
      });
    });
    afterEach(async () => {
      await tpm.close();
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    });

    scenes({
      way,
      sh: (script) => shell(script),
      path: (name) => join(directory, name),
      powerCycle: () => tpm.powerCycle(),
    });
  });
}
