import type { DerElement } from '../core/der.ts';
import { expectTag, readBoolean, readDer, readOid, readSequence, readText, TAG } from '../core/der.ts';
import { boolean, constructed, integer, octetString, oid, sequence, utf8String } from '../core/der-writer.ts';
import { Malformed } from '../core/errors.ts';
import { fromPem, pem } from '../core/pem.ts';
import { CodecError, decode, encode } from './codec.ts';
import type { WrappedKey } from './objects.ts';
import { TPM2B_ENCRYPTED_SECRET, TPM2B_PRIVATE } from './structures/buffers.ts';
import { TPM_RH } from './structures/handles.ts';
import { TPM2B_PUBLIC } from './structures/keys.ts';

const LABEL = 'TSS2 PRIVATE KEY';
/** TPMKey types of the TCG's registry (draft-woodhouse-cert-best-practice §3.1). */
const TYPES = {
  loadable: '2.23.133.10.1.3',
  importable: '2.23.133.10.1.4',
  sealed: '2.23.133.10.1.5',
} as const;

/** One policy command: its code, and its parameters marshalled. */
export interface KeyFilePolicy {
  readonly code: number;
  readonly parameters: Uint8Array;
}

/** What a `TSS2 PRIVATE KEY` file says: a key that one TPM alone can use. */
export interface KeyFile extends WrappedKey {
  /** `importable`: a duplicate for the parent, whose seed is `secret`. */
  readonly type: keyof typeof TYPES;
  /** Whether the key's auth value is empty. */
  readonly emptyAuth: boolean;
  /** A persistent handle, or a hierarchy: then the storage primary of that hierarchy (P-256, or RSA). */
  readonly parent: number;
  /** TPM2B_ENCRYPTED_SECRET, without its size; of importable keys. */
  readonly secret?: Uint8Array | undefined;
  /** The commands that fulfil the key's policy. */
  readonly policy?: readonly KeyFilePolicy[] | undefined;
  readonly description?: string | undefined;
  /** That the storage primary is RSA. */
  readonly rsaParent?: boolean | undefined;
}

/** Reads PEM as OpenSSL's TPM providers and engines write it. @throws {Malformed} */
export function readKeyFile(source: string): KeyFile {
  const [der = new Uint8Array(0)] = fromPem(LABEL, source);
  const [first, ...rest] = readSequence(readDer(der));
  const dotted = readOid(first);
  const type = (Object.keys(TYPES) as (keyof typeof TYPES)[]).find((one) => TYPES[one] === dotted);
  if (type === undefined) throw new Malformed(`a TPM key of the unknown type ${dotted}`);
  const tagged = new Map<number, DerElement>();
  while (rest[0] !== undefined && (rest[0].tag & 0xe0) === 0xa0) {
    const { tag, content } = rest.shift() as DerElement;
    if (tagged.has(tag)) throw new Malformed('a member of the TPM key stands twice');
    tagged.set(tag, readDer(content));
  }
  const [parent, pubkey, privkey] = rest;
  if (rest.length !== 3) throw new Malformed('a TPM key must end with parent, public and private part');
  const member = <T>(n: number, read: (element: DerElement) => T): T | undefined => {
    const element = tagged.get(0xa0 | n);
    return element === undefined ? undefined : read(element);
  };
  // [3] authPolicy names alternatives to `policy`; whoever does not know them can still use `policy`
  return {
    type,
    emptyAuth: member(0, readBoolean) ?? false,
    parent: handleOf(parent),
    public: unmarshalled(TPM2B_PUBLIC, pubkey),
    private: unmarshalled(TPM2B_PRIVATE, privkey),
    secret: member(2, (element) => unmarshalled(TPM2B_ENCRYPTED_SECRET, element)),
    policy: member(1, (element) => readSequence(element).map(policyOf)),
    description: member(4, readText),
    rsaParent: member(5, readBoolean),
  };
}

/** PEM that OpenSSL's TPM providers and engines read. */
export function writeKeyFile(
  file: Omit<KeyFile, 'type' | 'emptyAuth' | 'parent'> &
    Partial<Pick<KeyFile, 'type' | 'emptyAuth' | 'parent'>>,
): string {
  const { type = 'loadable', emptyAuth = true, parent = TPM_RH.owner, secret, policy } = file;
  const members = [oid(TYPES[type]), constructed(0, boolean(emptyAuth))];
  if (policy !== undefined)
    members.push(
      constructed(
        1,
        sequence(
          ...policy.map(({ code, parameters }) =>
            sequence(constructed(0, integer(code)), constructed(1, octetString(parameters))),
          ),
        ),
      ),
    );
  if (secret !== undefined) members.push(constructed(2, octetString(encode(TPM2B_ENCRYPTED_SECRET, secret))));
  if (file.description !== undefined) members.push(constructed(4, utf8String(file.description)));
  if (file.rsaParent !== undefined) members.push(constructed(5, boolean(file.rsaParent)));
  members.push(
    integer(parent),
    octetString(encode(TPM2B_PUBLIC, file.public)),
    octetString(encode(TPM2B_PRIVATE, file.private)),
  );
  return pem(LABEL, sequence(...members));
}

function policyOf(element: DerElement): KeyFilePolicy {
  const [code, parameters, more] = readSequence(element);
  if (more !== undefined) throw new Malformed('a policy command with too many members');
  const inner = readDer(expectTag(code, 0xa0).content);
  const bytes = readDer(expectTag(parameters, 0xa1).content, TAG.octetString);
  return { code: handleOf(inner), parameters: bytes.content.slice() };
}

/** 32 bits; programs write a persistent handle (top bit set) with a leading zero, or as a negative number. */
function handleOf(element: DerElement | undefined): number {
  const { content } = expectTag(element, TAG.integer);
  if (content.length === 0 || content.length > 5 || (content.length === 5 && content[0] !== 0))
    throw new Malformed('a handle must have 32 bits');
  const negative = (content[0] ?? 0) >= 0x80;
  const value = content.reduce((sum, byte) => ((sum << 8) | byte) >>> 0, negative ? 0xffffffff : 0);
  return value;
}

function unmarshalled<T>(codec: Parameters<typeof decode<T>>[0], element: DerElement | undefined): T {
  const { content } = expectTag(element, TAG.octetString);
  try {
    return decode(codec, content);
  } catch (cause) {
    if (cause instanceof CodecError) throw new Malformed(`no TPM key: ${cause.message}`, { cause });
    throw cause;
  }
}
