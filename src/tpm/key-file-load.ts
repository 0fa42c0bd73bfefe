import { run } from './client/run.ts';
import type { Session } from './client/session.ts';
import type { Tpm } from './client/tpm.ts';
import type { Command } from './command.ts';
import {
  TPM2_PolicyAuthValue,
  TPM2_PolicyCommandCode,
  TPM2_PolicyCounterTimer,
  TPM2_PolicyLocality,
  TPM2_PolicyOR,
  TPM2_PolicyPassword,
  TPM2_PolicyPCR,
} from './commands/policy.ts';
import { importKey } from './duplication.ts';
import { TpmRefused } from './errors.ts';
import { decodeFields } from './framing.ts';
import type { KeyFile } from './key-file.ts';
import type { Hierarchy, TpmObject } from './objects.ts';
import { createPrimary, loadKey, loadPersistent } from './objects.ts';
import { owned } from './owned.ts';
import { srkRsaTemplate } from './storage-templates.ts';
import { TPM_RH } from './structures/handles.ts';
import type { TPMT_PUBLIC } from './structures/keys.ts';
import { srkTemplate } from './templates.ts';

/** Auth values that loading a key file may need; empty by default. */
export interface KeyFileAuth {
  /** The key's own, for later use. */
  readonly auth?: Uint8Array | undefined;
  /** Of a persistent parent. */
  readonly parentAuth?: Uint8Array | undefined;
  /** Of the hierarchy whose primary is the parent. */
  readonly hierarchyAuth?: Uint8Array | undefined;
}

/**
 * Loads the key of a `TSS2 PRIVATE KEY` file. Where its parent is a hierarchy, the storage primary is made for the
 * moment: with and without `noDA`, since programs differ.
 *
 * @throws {TpmRefused} INTEGRITY: a key of another TPM, or of a parent we do not know how to make. HANDLE: the
 * persistent parent is not there.
 */
export async function loadKeyFile(tpm: Tpm, file: KeyFile, auth: KeyFileAuth = {}): Promise<TpmObject> {
  const hierarchy = hierarchyOf(file.parent);
  if (hierarchy === undefined) {
    const parent = await loadPersistent(tpm, file.parent, auth.parentAuth);
    if (parent === undefined) throw new TypeError(`there is no parent at 0x${file.parent.toString(16)}`);
    return await loadUnder(tpm, parent, file, auth);
  }
  const templates = primaryTemplates(file.rsaParent);
  for (const [i, template] of templates.entries()) {
    await using parent = owned(
      tpm,
      await createPrimary(tpm, { hierarchy, template, hierarchyAuth: auth.hierarchyAuth }),
    );
    try {
      return await loadUnder(tpm, parent, file, auth);
    } catch (error) {
      const another = error instanceof TpmRefused && error.reason === 'INTEGRITY';
      if (!another || i === templates.length - 1) throw error;
    }
  }
  throw new TypeError('no template');
}

/**
 * Runs the policy commands of a key file on a session: PolicyPCR, PolicyAuthValue, PolicyPassword, PolicyCommandCode,
 * PolicyOR, PolicyLocality, PolicyCounterTimer. For `fulfil` of `withAuthorizations`.
 *
 * @throws {TypeError} for a command that needs other keys or indices.
 */
export async function fulfilKeyFile(tpm: Tpm, file: KeyFile, session: Session): Promise<void> {
  for (const { code, parameters } of file.policy ?? []) {
    const command = simple.find((one) => one.code === code);
    if (command === undefined) throw new TypeError(`a policy with the command 0x${code.toString(16)}`);
    const values = decodeFields(command.name, command.parameters, parameters);
    await run<Command>(tpm, command, { policySession: session.handle, ...values });
    if (command === TPM2_PolicyAuthValue) session.requireAuthValue();
    if (command === TPM2_PolicyPassword) session.requirePassword();
  }
}

const simple: readonly Command[] = [
  TPM2_PolicyPCR,
  TPM2_PolicyAuthValue,
  TPM2_PolicyPassword,
  TPM2_PolicyCommandCode,
  TPM2_PolicyOR,
  TPM2_PolicyLocality,
  TPM2_PolicyCounterTimer,
];

async function loadUnder(
  tpm: Tpm,
  parent: TpmObject,
  file: KeyFile,
  { auth }: KeyFileAuth,
): Promise<TpmObject> {
  const { secret } = file;
  if (file.type !== 'importable') return await loadKey(tpm, parent, file, auth);
  const duplicate = { public: file.public, duplicate: file.private, secret: secret ?? new Uint8Array(0) };
  return await loadKey(tpm, parent, await importKey(tpm, parent, duplicate), auth);
}

function hierarchyOf(handle: number): Hierarchy | undefined {
  if (handle === 0) return 'owner'; // as old files say
  return (['owner', 'endorsement', 'platform', 'null'] as const).find((one) => TPM_RH[one] === handle);
}

function primaryTemplates(rsaParent: boolean | undefined): readonly TPMT_PUBLIC[] {
  const template = rsaParent === true ? srkRsaTemplate() : srkTemplate;
  const objectAttributes = { ...template.objectAttributes, noDA: false };
  return [template, { ...template, objectAttributes }];
}
