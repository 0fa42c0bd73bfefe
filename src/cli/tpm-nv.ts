import { hex, u32At } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import type { NvIndex, Tpm } from '../tpm/index.ts';
import { listHandles, nvRead, nvReadPublic } from '../tpm/index.ts';
import type { Command } from './command.ts';
import { flag } from './command.ts';
import { handleText, tpmOption, withTpm } from './tpm.ts';
import { accessInWords, roleOfIndex } from './tpm-words.ts';

/** `fealty tpm nv`. */
export const tpmNv: Command = {
  about:
    'The NV indices of a TPM: size, type, who may read and write them, and the values of counters, bits and PINs that are\n' +
    'readable without an auth value. It reads and changes nothing, and tries no auth value that a wrong try could lock.',
  options: { tpm: tpmOption },
  examples: [
    ['tpm nv', 'what is defined'],
    ['tpm nv --json', 'with attributes as data'],
  ],
  run: async (input, io) => {
    const found = await withTpm(input, indicesOf);
    if (flag(input, 'json')) io.json({ indices: found.map(asData) });
    else if (found.length === 0) io.print('No NV index is defined.');
    else for (const line of found.flatMap(asWords)) io.print(line);
    return 0;
  },
};

/** An index as it was found. */
type Found = { readonly handle: number } & (
  | { readonly index: NvIndex; readonly value?: string | undefined }
  | { readonly unreadable: string }
);

/**
 * What is in an NV index, if it can be had without an auth value. The index's own, empty one is tried only where a wrong
 * try is not counted; the owner's never is.
 */
export async function openRead(tpm: Tpm, index: NvIndex): Promise<Uint8Array | undefined> {
  const { ownerread, authread, noDa, written, readlocked } = index.public.attributes;
  if (written !== true || readlocked === true) return undefined;
  const ways = [
    ...(ownerread ? (['owner'] as const) : []),
    ...(authread && noDa ? (['index'] as const) : []),
  ];
  for (const by of ways) {
    const data = await nvRead(tpm, index, { by }).catch(() => undefined);
    if (data !== undefined) return data;
  }
  return undefined;
}

async function indicesOf(tpm: Tpm): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const handle of await listHandles(tpm, 'nvIndex'))
    try {
      const index = await nvReadPublic(tpm, handle);
      if (index === undefined) continue;
      found.push({ handle, index, value: await contentOf(tpm, index) });
    } catch (error) {
      found.push({ handle, unreadable: messageOf(error) });
    }
  return found;
}

/** The value of whatever is not ordinary data, in words. */
async function contentOf(tpm: Tpm, index: NvIndex): Promise<string | undefined> {
  const { nt } = index.public.attributes;
  if (nt === 'ordinary') return undefined;
  const data = await openRead(tpm, index);
  if (data === undefined) return undefined;
  if (nt === 'extend' || data.length !== 8) return hex(data);
  if (nt === 'counter') return BigInt(`0x${hex(data)}`).toString();
  if (nt === 'bits') return `0x${hex(data)}`;
  return `${u32At(data, 0)} of ${u32At(data, 4)} tries`; // TPMS_NV_PIN_COUNTER_PARAMETERS, Part 2 §13.3
}

function asWords(found: Found): readonly string[] {
  const handle = handleText(found.handle);
  if ('unreadable' in found) return [`${handle}  not readable: ${found.unreadable}`];
  const { attributes, dataSize } = found.index.public;
  const role = roleOfIndex(found.handle);
  const kind = attributes.nt === 'ordinary' ? `${dataSize} bytes` : kinds[attributes.nt];
  const state = attributes.written === true ? found.value : 'never written';
  return [
    `${handle}  ${[role, kind].filter(Boolean).join(': ')}${state === undefined ? '' : `, ${state}`}`,
    `            read by ${accessInWords(attributes, 'read')}; written by ${accessInWords(attributes, 'write')}`,
    `            ${attributes.platformcreate === true ? 'only the platform removes it' : 'the owner may remove it'}; ` +
      `${attributes.noDa === true ? 'guesses are not counted' : 'wrong guesses are counted'}`,
  ];
}

function asData(found: Found): object {
  const handle = handleText(found.handle);
  if ('unreadable' in found) return { handle, unreadable: found.unreadable };
  const { attributes, dataSize, nameAlg, authPolicy } = found.index.public;
  const { nt, ...flags } = attributes;
  return {
    handle,
    role: roleOfIndex(found.handle),
    type: nt,
    size: dataSize,
    attributes: Object.entries(flags).flatMap(([flagName, on]) => (on ? [flagName] : [])),
    nameAlg,
    policy: authPolicy.length > 0 ? hex(authPolicy) : undefined,
    value: found.value,
  };
}

const kinds = {
  ordinary: 'data',
  counter: 'counter',
  bits: 'bits',
  extend: 'extended, like a PCR',
  pinFail: 'PIN that locks after failures',
  pinPass: 'PIN that is used up',
} as const;
