import { encode } from '../../src/tpm/codec.ts';
import { ekTemplate, iakTemplate, ldevidTemplate, srkTemplate } from '../../src/tpm/index.ts';
import type { TPMT_PUBLIC as Public, TPMT_SENSITIVE as Sensitive } from '../../src/tpm/structures.ts';
import { TPM2B_SENSITIVE, TPMT_PUBLIC } from '../../src/tpm/structures.ts';
import { eccKey, hmacKey, rsaKey } from '../simulator/external-keys.ts';
import type { Dice } from './dice.ts';
import type { Memory } from './memory.ts';

const none = new Uint8Array();
const hashes = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
const sizes = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 } as const;
const aes = { algorithm: 'aes', keyBits: 128, mode: 'cfb' } as const;
const nullScheme = { scheme: 'null' } as const;
const free = { userWithAuth: true, noDA: true } as const;
const mine = { ...free, fixedTPM: true, fixedParent: true, sensitiveDataOrigin: true } as const;
const ecc = (scheme: Extract<Public, { type: 'ecc' }>['parameters']['scheme'], curveID: 'P-256' | 'P-384') =>
  ({ symmetric: { algorithm: 'null' }, scheme, curveID, kdf: nullScheme }) as const;
const point = { x: none, y: none };

/** Objects of every kind a TPM makes without taking its time (no RSA key is searched for). */
const templates: readonly Public[] = [
  srkTemplate,
  ekTemplate,
  iakTemplate(),
  ldevidTemplate,
  { ...srkTemplate, nameAlg: 'sha384', authPolicy: none },
  {
    ...srkTemplate,
    objectAttributes: { ...free, sensitiveDataOrigin: true, restricted: true, decrypt: true },
  },
  signer({ scheme: 'ecdsa', hashAlg: 'sha256' }),
  signer({ scheme: 'ecschnorr', hashAlg: 'sha256' }),
  signer({ scheme: 'ecdaa', hashAlg: 'sha256', count: 1 }),
  signer({ scheme: 'null' }, { ...mine, decrypt: true }),
  signer({ scheme: 'ecdh', hashAlg: 'sha256' }, { ...mine, sign: false, decrypt: true }),
  signer({ scheme: 'ecdsa', hashAlg: 'sha384' }, { ...free, sensitiveDataOrigin: true }, 'P-384'),
  keyed({ ...mine, sensitiveDataOrigin: false }, nullScheme),
  keyed({ ...mine, sign: true }, { scheme: 'hmac', hashAlg: 'sha256' }),
  keyed(
    { ...free, sensitiveDataOrigin: true, sign: true, restricted: true },
    {
      scheme: 'hmac',
      hashAlg: 'sha1',
    },
  ),
  keyed({ ...mine, decrypt: true }, { scheme: 'xor', hashAlg: 'sha256', kdf: 'kdf1_sp800_108' }),
  cipher({ ...mine, decrypt: true, sign: true }, 'null'),
  cipher({ ...mine, decrypt: true }, 'cbc'),
  cipher({ ...mine, decrypt: true, restricted: true }, 'cfb'),
];

function signer(
  scheme: Parameters<typeof ecc>[0],
  attributes: Public['objectAttributes'] = mine,
  curve: 'P-256' | 'P-384' = 'P-256',
): Public {
  const objectAttributes = { sign: true, ...attributes };
  return {
    type: 'ecc',
    nameAlg: 'sha256',
    objectAttributes,
    authPolicy: none,
    parameters: ecc(scheme, curve),
    unique: point,
  };
}

function keyed(
  objectAttributes: Public['objectAttributes'],
  scheme: Extract<Public, { type: 'keyedhash' }>['parameters']['scheme'],
): Public {
  return {
    type: 'keyedhash',
    nameAlg: 'sha256',
    objectAttributes,
    authPolicy: none,
    parameters: { scheme },
    unique: none,
  };
}

function cipher(objectAttributes: Public['objectAttributes'], mode: 'null' | 'cbc' | 'cfb'): Public {
  const parameters = { sym: { ...aes, mode } };
  return {
    type: 'symcipher',
    nameAlg: 'sha256',
    objectAttributes,
    authPolicy: none,
    parameters,
    unique: none,
  };
}

/** Keys from outside, RSA among them: they need no search for primes. */
const externals = [
  eccKey('P-256'),
  rsaKey(1024),
  rsaKey(1024, { scheme: 'null' }, { decrypt: true }),
  hmacKey(new Uint8Array(32).fill(7), 'sha256'),
];

/** What a command is about, so that its parameters belong to each other. */
export type Focus = ReturnType<typeof focus>;

/** Chooses what a command is about. */
export function focus(memory: Memory, from: Dice, command: string) {
  const tickets = memory.tickets;
  return {
    /** A key that was made outside, for commands that take one in; its parts are then given as they are. */
    external: /LoadExternal|Import/.test(command) && !from.oneIn(4) ? from.of(externals) : undefined,
    signed:
      /VerifySignature|PolicySigned/.test(command) && !from.oneIn(4) ? memory.signed.take(from) : undefined,
    /** The ticket of this kind that was given last. */
    ticket: (tag: string) => tickets.newest((one) => one.tag === tag),
    wrapped: memory.wrapped.take(from),
    credential: memory.credentials.take(from),
    duplicate: memory.duplicates.take(from),
    public: memory.publics.take(from),
  };
}

/** A value for the parameter `key` whose codec is `type`; `undefined` when the stream has none yet. */
export function valueFor(type: string, key: string, memory: Memory, about: Focus, from: Dice): unknown {
  const hash = from.of(hashes);
  switch (type) {
    case 'UINT8':
      return from.of([1, 2, 4, 16, from.below(256)]);
    case 'UINT16':
      return from.of([0, 0, 1, 8, 16, 32, from.below(80), from.below(0x10000)]);
    case 'UINT32':
    case 'TPMI_RH_HIERARCHY':
    case 'TPMI_DH_CONTEXT':
      return numberFor(key, memory, from);
    case 'UINT64':
      return BigInt(from.of([0, 1, from.below(1000), from.below(2 ** 31)]));
    case 'INT32':
      return from.of([0, 0, 1, -1, 60, -60, from.below(2 ** 31)]);
    case 'TPMI_YES_NO':
      return from.of(['no', 'yes']);
    case 'TPMI_ALG_HASH':
    case 'TPMI_ALG_HASH+':
      return from.of(['sha256', 'sha256', hash, ...(type.endsWith('+') ? (['null'] as const) : [])]);
    case 'TPM2B_DIGEST':
      if (about.signed !== undefined) return about.signed.digest;
      return from.oneIn(2)
        ? (memory.digests.take(from) ?? none)
        : from.random.bytes(from.of([0, 0, sizes[hash], 32]));
    case 'TPM2B_NONCE':
      return key === 'nonceCaller'
        ? from.random.bytes(from.of([16, 20, 32]))
        : from.of([none, none, memory.nonces.take(from) ?? none, from.bytes(20)]);
    case 'TPM2B_AUTH':
      return from.oneIn(12) ? from.bytes(32) : none;
    case 'TPM2B_OPERAND':
      return from.bytes(8);
    case 'TPM2B_TIMEOUT':
      return memory.timeouts.take(from) ?? none;
    case 'TPM2B_NAME':
      return memory.names.take(from) ?? from.random.bytes(34);
    case 'TPM2B_PUBLIC':
      return publicFor(key, about, from);
    case 'TPM2B_TEMPLATE':
      return encode(TPMT_PUBLIC, from.of(templates));
    case 'TPM2B_SENSITIVE_CREATE':
      return {
        userAuth: from.of([none, none, none, from.bytes(16)]),
        data: from.of([none, none, from.bytes(32)]),
      };
    case 'TPM2B_SENSITIVE':
      if (about.external !== undefined) return from.oneIn(3) ? undefined : about.external.inPrivate;
      return from.oneIn(2) ? undefined : sensitive(from);
    case 'TPM2B_NV_PUBLIC':
      return nvPublic(from);
    case 'TPM2B_PRIVATE':
      if (about.external !== undefined) return encode(TPM2B_SENSITIVE, about.external.inPrivate);
      return key === 'inPrivate'
        ? (about.wrapped?.private ?? from.bytes(64))
        : (about.duplicate?.duplicate ?? from.bytes(64));
    case 'TPM2B_ID_OBJECT':
      return about.credential?.blob ?? from.bytes(60);
    case 'TPM2B_ENCRYPTED_SECRET':
      if (about.external !== undefined) return none;
      if (key === 'encryptedSalt') return from.oneIn(4) ? from.bytes(80) : none;
      return key === 'secret'
        ? (about.credential?.secret ?? from.bytes(80))
        : (about.duplicate?.seed ?? none);
    case 'TPMT_TK_CREATION':
      return about.ticket('creation') ?? noTicket('creation');
    case 'TPMT_TK_VERIFIED':
      return about.ticket('verified') ?? noTicket('verified');
    case 'TPMT_TK_AUTH':
      return about.ticket('authSigned') ?? about.ticket('authSecret') ?? noTicket('authSigned');
    case 'TPMT_TK_HASHCHECK':
      return (from.oneIn(2) ? about.ticket('hashcheck') : undefined) ?? noTicket('hashcheck');
    case 'TPMT_SIGNATURE':
      return (
        about.signed?.signature ??
        memory.signatures.take(from) ?? {
          sigAlg: 'ecdsa',
          hash: 'sha256',
          signatureR: from.random.bytes(32),
          signatureS: from.random.bytes(32),
        }
      );
    case 'TPMS_CONTEXT':
      return memory.contexts.take(from);
    case 'TPM2B_ECC_POINT':
      return memory.points.take(from) ?? point;
    case 'TPM2B_ECC_PARAMETER':
      return from.of([none, from.random.bytes(32)]);
    case 'TPM2B_PUBLIC_KEY_RSA':
      return key === 'cipherText' ? (memory.ciphertexts.take(from) ?? from.bytes(256)) : from.bytes(64);
    case 'TPML_PCR_SELECTION':
      return Array.from({ length: from.below(3) }, () => ({
        hash: from.of(hashes),
        pcrSelect: [...new Set([from.below(24), from.below(24), 16])].sort((a, b) => a - b),
      }));
    case 'TPML_DIGEST':
      return Array.from({ length: from.below(4) }, () => memory.digests.take(from) ?? from.random.bytes(32));
    case 'TPML_DIGEST_VALUES':
      return [{ hashAlg: hash, digest: from.random.bytes(sizes[hash]) }];
    case 'TPML_CC':
      return Array.from({ length: from.below(3) }, () =>
        from.of([0x144, 0x17b, 0x126, 0x158, 0x11f + from.below(0x80)]),
      );
    case 'TPML_ALG':
      return Array.from({ length: from.below(3) }, () => from.of([1, 0x0b, 0x23, 0x7f00]));
    case 'TPMT_SYM_DEF':
      return from.of([{ algorithm: 'null' }, aes, { algorithm: 'xor', keyBits: 'sha256' }]);
    case 'TPMT_SYM_DEF_OBJECT':
      if (about.external !== undefined) return { algorithm: 'null' };
      return from.of([{ algorithm: 'null' }, aes]);
    case 'TPMT_SIG_SCHEME':
      return from.of([
        nullScheme,
        nullScheme,
        { scheme: 'ecdsa', hashAlg: 'sha256' },
        { scheme: 'hmac', hashAlg: hash },
        { scheme: 'ecschnorr', hashAlg: 'sha256' },
      ]);
    case 'TPMT_RSA_DECRYPT':
      return from.of([nullScheme, { scheme: 'rsaes' }, { scheme: 'oaep', hashAlg: hash }]);
    case 'TPMT_PUBLIC_PARMS': {
      const { type, parameters } = from.of(templates);
      return { type, parameters };
    }
    case 'TPM_SU':
      return from.of(['clear', 'state']);
    case 'TPM_SE':
      return from.of(['hmac', 'policy', 'policy', 'trial']);
    case 'TPM_EO':
      return from.of(['eq', 'neq', 'unsignedGt', 'signedLt', 'unsignedGe', 'bitset', 'bitclear']);
    case 'TPM_CAP':
      return from.of([
        'algs',
        'handles',
        'commands',
        'pcrs',
        'tpmProperties',
        'pcrProperties',
        'eccCurves',
        'auditCommands',
        'ppCommands',
      ]);
    case 'TPM_CLOCK_ADJUST':
      return from.of(['noChange', 'fineFaster', 'coarseSlower']);
    case 'TPM_ECC_CURVE':
      return from.of(['P-192', 'P-224', 'P-256', 'P-384', 'P-521']);
    case 'TPMI_ECC_KEY_EXCHANGE':
      return from.of(['ecdh', 'ecmqv', 'sm2']);
    case 'TPMI_ALG_SYM_MODE':
      return from.of(['null', 'cfb', 'cbc', 'ctr', 'ofb', 'ecb']);
    case 'TPM2B_IV':
      return from.of([none, from.random.bytes(16)]);
    case 'TPM2B_DATA':
      return about.external !== undefined || from.oneIn(4) ? none : from.bytes(48);
    case 'TPM2B_EVENT':
    case 'TPM2B_MAX_BUFFER':
    case 'TPM2B_MAX_NV_BUFFER':
    case 'TPM2B_SENSITIVE_DATA':
      return from.bytes(48);
    default:
      throw new Error(`the fuzzer has no values for a ${type}`);
  }
}

function numberFor(key: string, memory: Memory, from: Dice): number {
  if (key === 'flushHandle' && from.oneIn(20)) return from.below(2 ** 32);
  if (key === 'flushHandle')
    return (
      from.of([memory.objects, memory.sequences, memory.sessions, memory.policySessions]).take(from) ??
      memory.objects.take(from) ??
      0x80000000
    );
  if (key === 'persistentHandle') return 0x81000000 + from.below(6);
  if (key === 'hierarchy' || key === 'enable')
    return from.of([0x40000001, 0x40000007, 0x4000000b, 0x4000000c]);
  if (key === 'property')
    return from.of([0, 0x100, 0x200, 0x80000000, 0x81000000, 0x01000000, 0x02000000, 0x03000000]);
  if (key === 'code') return from.of([0x15d, 0x158, 0x148, 0x14e, 0x150, 0x14b]);
  if (key === 'newMaxTries') return 1000; // a stream that locks itself out tests little else
  return from.of([0, 1, 23, 24, 1000, from.below(2 ** 32)]);
}

function noTicket(tag: 'creation' | 'verified' | 'hashcheck' | 'authSigned') {
  return { tag, hierarchy: 0x40000007, digest: none };
}

function publicFor(key: string, about: Focus, from: Dice): Public {
  if (about.external !== undefined) return about.external.inPublic;
  const known = key === 'inPublic' ? (about.wrapped?.public ?? about.public) : about.public;
  return from.oneIn(3) || known === undefined ? from.of(templates) : known;
}

function sensitive(from: Dice): Sensitive {
  return {
    sensitiveType: from.of(['ecc', 'keyedhash', 'symcipher']),
    authValue: none,
    seedValue: from.random.bytes(32),
    sensitive: from.random.bytes(from.of([16, 32])),
  };
}

function nvPublic(from: Dice) {
  const nt = from.of(['ordinary', 'ordinary', 'counter', 'bits', 'extend', 'pinFail', 'pinPass']);
  const size = {
    ordinary: from.of([1, 16, 32, 64]),
    counter: 8,
    bits: 8,
    extend: 32,
    pinFail: 8,
    pinPass: 8,
  }[nt];
  return {
    nvIndex: 0x01500000 + from.below(8),
    nameAlg: 'sha256',
    attributes: {
      nt,
      ownerread: true,
      ownerwrite: true,
      authread: true,
      ...(nt === 'pinFail' ? {} : { authwrite: !nt.startsWith('pin') }),
      noDa: true,
      ...Object.fromEntries(
        [
          'writedefine',
          'writeStclear',
          'readStclear',
          'globallock',
          'orderly',
          'writeall',
          'clearStclear',
          'policyread',
        ]
          .filter(() => from.oneIn(5))
          .map((bit) => [bit, true]),
      ),
    },
    authPolicy: none,
    dataSize: from.oneIn(12) ? from.below(80) : size,
  };
}
