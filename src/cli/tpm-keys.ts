import { hex } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import { pem } from '../core/pem.ts';
import type { Tpm, TpmObject } from '../tpm/index.ts';
import { listHandles, loadPersistent, spkiOfPublic } from '../tpm/index.ts';
import type { Command } from './command.ts';
import { flag } from './command.ts';
import { handleText, tpmOption, withTpm } from './tpm.ts';
import { keyInWords, kindOfKey, roleOfKey } from './tpm-words.ts';

/** `fealty tpm keys`. */
export const tpmKeys: Command = {
  about:
    'The keys in a TPM: what each is, and what it may do. Persistent ones stay; transient ones are some program’s, for now\n' +
    '(a resource manager such as /dev/tpmrm0 hides those of others). It reads and changes nothing.',
  options: { tpm: tpmOption, pem: { type: 'boolean', describe: 'print the public keys alone, as PEM' } },
  examples: [
    ['tpm keys', 'the keys of this machine'],
    ['tpm keys --json', 'with Names and attributes, as data'],
  ],
  run: async (input, io) => {
    const keys = await withTpm(input, async (tpm) => [
      ...(await keysAt(tpm, 'persistent')),
      ...(await keysAt(tpm, 'transient')),
    ]);
    if (flag(input, 'json')) io.json({ keys: keys.map(asData) });
    else if (flag(input, 'pem'))
      for (const key of keys) {
        const text = 'unreadable' in key ? undefined : publicPem(key.object);
        if (text !== undefined) io.print(`# ${handleText(key.handle)}\n${text.trimEnd()}`);
      }
    else if (keys.length === 0) io.print('The TPM holds no key.');
    else for (const line of keys.flatMap(asWords)) io.print(line);
    return 0;
  },
};

/** A key that is there, or why it cannot be shown. */
export type FoundKey = { readonly handle: number } & (
  | { readonly object: TpmObject }
  | { readonly unreadable: string }
);

/** The keys of a TPM. */
export async function keysAt(tpm: Tpm, where: 'persistent' | 'transient'): Promise<readonly FoundKey[]> {
  const keys: FoundKey[] = [];
  for (const handle of await listHandles(tpm, where))
    try {
      const object = await loadPersistent(tpm, handle); // reads the public area, of either kind
      if (object !== undefined) keys.push({ handle, object });
    } catch (error) {
      keys.push({ handle, unreadable: messageOf(error) });
    }
  return keys;
}

/** A public key as PEM; `undefined` for what has none. */
export function publicPem(object: TpmObject): string | undefined {
  const { type } = object.public;
  return type === 'ecc' || type === 'rsa' ? pem('PUBLIC KEY', spkiOfPublic(object.public)) : undefined;
}

function asWords(key: FoundKey): readonly string[] {
  const handle = handleText(key.handle);
  if ('unreadable' in key) return [`${handle}  not readable: ${key.unreadable}`];
  const area = key.object.public;
  const { nature, use } = keyInWords(area);
  return [
    `${handle}  ${roleOfKey(key.handle, area)}: ${kindOfKey(area)}`,
    `            ${nature}`,
    `            ${use}`,
  ];
}

function asData(key: FoundKey): object {
  const handle = handleText(key.handle);
  if ('unreadable' in key) return { handle, unreadable: key.unreadable };
  const { public: area, name } = key.object;
  const attributes = Object.entries(area.objectAttributes).flatMap(([flagName, on]) =>
    on ? [flagName] : [],
  );
  return {
    handle,
    role: roleOfKey(key.handle, area),
    kind: kindOfKey(area),
    name: hex(name),
    attributes,
    policy: area.authPolicy.length > 0 ? hex(area.authPolicy) : undefined,
    publicKey: publicPem(key.object),
  };
}
