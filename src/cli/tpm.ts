import { readFile } from 'node:fs/promises';
import { FealtyError, messageOf } from '../core/errors.ts';
import { nodePlatform } from '../core/node.ts';
import type { Tpm } from '../tpm/index.ts';
import { openTpm, openTransport } from '../tpm/index.ts';
import type { Input, OptionDescription } from './command.ts';
import { Misuse, text } from './command.ts';
import { BadFile } from './files.ts';

/** There is no TPM where the command looks for one, or it is not for this user. */
export class NoTpm extends FealtyError {
  override readonly code = 'cli.no-tpm';
  override readonly remedy = 'ask-owner';
}

/** The TPM lacks what the command asks it for, or wants an auth value for it. */
export class TpmCannot extends FealtyError {
  override readonly code = 'cli.tpm-cannot';
  override readonly remedy = 'ask-owner';
}

/** The option that says which TPM. */
export const tpmOption: OptionDescription = {
  type: 'string',
  value: 'TRANSPORT',
  describe:
    'device:/dev/tpmrm0 (default), swtpm:host=127.0.0.1,port=2321, swtpm:path=/run/swtpm/sock or mssim:host=…,port=…',
};

/** Opens the TPM that `--tpm` names, does `work` with it, and lets go of it. @throws {NoTpm} @throws {Misuse} */
export async function withTpm<T>(input: Input, work: (tpm: Tpm, spec: string) => Promise<T>): Promise<T> {
  const spec = text(input, 'tpm') ?? 'device:/dev/tpmrm0';
  const { random, clock } = nodePlatform({ directory: '.' });
  const transport = transportOf(spec);
  let opened: Tpm;
  try {
    opened = await openTpm({ transport, random, clock, timeoutMs: 10_000 });
  } catch (cause) {
    throw openingError(spec, cause);
  }
  await using tpm = opened;
  return await work(tpm, spec);
}

/** A transport by its name. @throws {Misuse} when there is no such. */
export function transportOf(spec: string): ReturnType<typeof openTransport> {
  try {
    return openTransport(spec);
  } catch (cause) {
    throw new Misuse(messageOf(cause), { cause });
  }
}

/** A handle as people write it: `0x81020001`. */
export function handleText(handle: number): string {
  return `0x${handle.toString(16).padStart(8, '0')}`;
}

/** The handle that people wrote, hexadecimal with or without `0x`. @throws {Misuse} */
export function handleOf(word: string): number {
  if (!/^(0x)?[0-9a-f]{8}$/i.test(word)) throw new Misuse(`a handle is like 0x81020001, not \`${word}\``);
  return Number.parseInt(word.replace(/^0x/i, ''), 16);
}

/**
 * The auth value in the file that an option names, `-` for standard input, without the end of its last line. A
 * command line and an environment are readable by others; a file need not be.
 *
 * @throws {BadFile}
 */
export async function authOption(input: Input, name: string): Promise<Uint8Array | undefined> {
  const path = text(input, name);
  if (path === undefined) return undefined;
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await readFile(path === '-' ? '/dev/stdin' : path));
  } catch (cause) {
    throw new BadFile(path, 'cannot be read', { cause });
  }
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= bytes[end - 2] === 0x0d ? 2 : 1;
  if (end > 64) throw new BadFile(path, 'is longer than an auth value, which has at most 64 bytes');
  return bytes.slice(0, end);
}

/** What went wrong at opening in words a person can act on; anything else stays as it is. */
export function openingError(spec: string, error: unknown): unknown {
  const code = codesOf(error).find((one) => one in reasons);
  return code === undefined ? error : new NoTpm(reasons[code]?.(spec) ?? spec);
}

const reasons: Readonly<Record<string, (spec: string) => string>> = {
  ENOENT: (spec) =>
    `there is no TPM at \`${spec}\`; \`--tpm\` names another, and \`fealty tpm serve\` runs a software one`,
  EACCES: (spec) =>
    `the TPM at \`${spec}\` is not for this user: join the group tss (sudo usermod -aG tss "$USER", then log in again)`,
  EPERM: (spec) => `the TPM at \`${spec}\` is not for this user: join the group tss`,
  EBUSY: (spec) =>
    `another program holds the TPM at \`${spec}\`; device:/dev/tpmrm0 can be shared, /dev/tpm0 cannot`,
  ECONNREFUSED: (spec) => `nobody listens at \`${spec}\`; \`fealty tpm serve\` runs a software TPM`,
  ENODEV: (spec) => `there is no TPM behind \`${spec}\``,
  ENXIO: (spec) => `there is no TPM behind \`${spec}\``,
};

function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error; at instanceof Error && codes.length < 5; at = at.cause)
    codes.push(String((at as NodeJS.ErrnoException).code ?? ''));
  return codes;
}
