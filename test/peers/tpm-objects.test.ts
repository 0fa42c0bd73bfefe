import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readHeader } from '../../src/tpm/chip-framing.ts';
import type { Fields } from '../../src/tpm/codec.ts';
import type { Command } from '../../src/tpm/command.ts';
import {
  TPM2_Create,
  TPM2_CreatePrimary,
  TPM2_FlushContext,
  TPM2_LoadExternal,
} from '../../src/tpm/commands.ts';
import { decodeFields, decodeResponse } from '../../src/tpm/framing.ts';
import { TPM_RH } from '../../src/tpm/index.ts';
import type { TPMT_PUBLIC as Public, TPMT_TK } from '../../src/tpm/structures.ts';
import { ask, bytesOf, codeOf, filled, none } from '../tpm/raw.ts';
import type { AttributeName } from '../tpm/raw-templates.ts';
import {
  aes128,
  attributes,
  cipherTemplate,
  creation,
  eccTemplate,
  fixedStorage,
  keyedHashTemplate,
  looseStorage,
  nullCipher,
  rsaTemplate,
  sealing,
} from '../tpm/raw-templates.ts';
import type { Pair } from './pair.ts';
import { startPair } from './pair.ts';
import { needs } from './present.ts';

const storageParent = 0x80000000;
const hashed = { hashAlg: 'sha256' } as const;

/** Every combination of the attributes that rules speak about, `userWithAuth` always. */
function* combinations(): Generator<readonly AttributeName[]> {
  const bits = [
    'fixedTPM',
    'fixedParent',
    'sensitiveDataOrigin',
    'restricted',
    'decrypt',
    'sign',
    'encryptedDuplication',
  ] as const;
  for (let mask = 0; mask < 2 ** bits.length; mask++)
    yield ['userWithAuth', ...bits.filter((_, bit) => mask & (1 << bit))];
}

const ciphers = [nullCipher, aes128, { ...aes128, keyBits: 256 }] as const;

/** Templates of every type with these attributes: each scheme, each cipher. */
function templates(names: readonly AttributeName[]): readonly Public[] {
  const set = attributes(...names);
  const ecc = ciphers.flatMap((symmetric) => [
    eccTemplate(set, { parameters: { symmetric } }),
    eccTemplate(set, { parameters: { symmetric, scheme: { scheme: 'ecdsa', ...hashed } } }),
    eccTemplate(set, { parameters: { symmetric, scheme: { scheme: 'ecdh', ...hashed } } }),
  ]);
  const keyedHash = [
    keyedHashTemplate(set),
    keyedHashTemplate(set, { parameters: { scheme: { scheme: 'hmac', ...hashed } } }),
    keyedHashTemplate(set, { parameters: { scheme: { scheme: 'xor', ...hashed, kdf: 'kdf2' } } }),
    keyedHashTemplate(set, { parameters: { scheme: { scheme: 'xor', ...hashed, kdf: 'kdf1_sp800_108' } } }),
  ];
  const cipher = ciphers.map((sym) => cipherTemplate(set, { parameters: { sym } }));
  return [...ecc, ...keyedHash, ...cipher];
}

/** RSA keys that are refused cost nothing; those that are made are few and short. */
function rsaTemplates(names: readonly AttributeName[]): readonly Public[] {
  const set = attributes(...names);
  return [nullCipher, aes128].flatMap((symmetric) =>
    [
      { scheme: 'null' } as const,
      { scheme: 'rsassa', ...hashed } as const,
      { scheme: 'oaep', ...hashed } as const,
      { scheme: 'rsaes' } as const,
    ].map((scheme) => rsaTemplate(set, { parameters: { symmetric, scheme, keyBits: 1024 } })),
  );
}

const describeTemplate = (template: Public) =>
  `${template.type} ${JSON.stringify(template.parameters)} ${Object.keys(template.objectAttributes)}`;

describe.skipIf(!needs('swtpm'))('objects in the software TPM and in swtpm', { timeout: 120_000 }, () => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await startPair();
  });
  afterAll(() => pair.close());

  /** Tag, code and length of both answers; the digest in a creation ticket has the length of the chip's own hash. */
  const both = async (command: Uint8Array) => {
    const shape = (answer: Uint8Array) => {
      const code = codeOf(answer);
      const length = answer.length - (code === 0 ? ticketSize(answer) : 0);
      return `tag ${(answer[1] ?? 0).toString(16)} code ${code.toString(16)} length ${length}`;
    };
    const ticketSize = (answer: Uint8Array) => {
      const declared = [TPM2_Create, TPM2_CreatePrimary].find(
        ({ code }) => code === readHeader(command).code,
      );
      if (declared === undefined) return 0;
      const { parameters } = decodeResponse(declared as unknown as Command, 1, answer);
      const fields = declared.responseParameters as Fields;
      const { creationTicket } = decodeFields(declared.name, fields, parameters);
      return (creationTicket as TPMT_TK).digest.length;
    };
    const answers = await pair.both(command);
    for (const [i, answer] of answers.entries())
      if (codeOf(answer) === 0 && answer.length > 14 && answer[10] === 0x80)
        await ask(i === 0 ? pair.ours : pair.its, TPM2_FlushContext, {
          flushHandle: new DataView(answer.buffer, answer.byteOffset).getUint32(10),
        });
    return [shape(answers[0]), shape(answers[1])];
  };

  const differences = async (
    of: (template: Public, data: number) => Uint8Array,
    { every = templates, sizes = [0, 16] } = {},
  ) => {
    const found: string[] = [];
    let tried = 0;
    for (const names of combinations())
      for (const template of every(names))
        for (const data of sizes) {
          const [ours, its] = await both(of(template, data));
          tried++;
          if (ours !== its) found.push(`${describeTemplate(template)} data ${data}: ${ours}, its ${its}`);
        }
    expect(tried).toBeGreaterThan(1000);
    return found;
  };

  const primary = (primaryHandle: number) => (inPublic: Public, data: number) =>
    bytesOf(TPM2_CreatePrimary, { primaryHandle, ...creation, inPublic, ...sealing(filled(data)) });
  const child = (inPublic: Public, data: number) =>
    bytesOf(TPM2_Create, { parentHandle: storageParent, ...creation, inPublic, ...sealing(filled(data)) });

  it('are made, or refused, for the same templates at the top of a hierarchy', async () => {
    expect(await differences(primary(TPM_RH.null))).toEqual([]);
  });

  it('are made, or refused, for the same RSA templates', async () => {
    expect(await differences(primary(TPM_RH.null), { every: rsaTemplates, sizes: [0] })).toEqual([]);
  });

  it.each([
    ['that never leaves', fixedStorage],
    ['that may leave', looseStorage],
    [
      'that may leave encrypted',
      { ...looseStorage, objectAttributes: { ...looseStorage.objectAttributes, encryptedDuplication: true } },
    ],
    [
      'with a key of 256 bits',
      { ...fixedStorage, parameters: { ...fixedStorage.parameters, symmetric: { ...aes128, keyBits: 256 } } },
    ],
    ['with another hash', { ...fixedStorage, nameAlg: 'sha384' }],
  ] as const)('are made, or refused, for the same templates below a parent %s', async (_, inPublic) => {
    const stage = bytesOf(TPM2_CreatePrimary, { primaryHandle: TPM_RH.owner, ...creation, inPublic });
    expect((await pair.both(stage)).map(codeOf)).toEqual([0, 0]);
    try {
      expect(await differences(child)).toEqual([]);
    } finally {
      const flush = bytesOf(TPM2_FlushContext, { flushHandle: storageParent });
      await pair.both(flush);
    }
  });

  it('come from outside, or are refused, with the same attributes', async () => {
    const found: string[] = [];
    for (const names of combinations())
      for (const template of [...templates(names), ...rsaTemplates(names)])
        for (const nameAlg of ['sha256', 'null'] as const)
          for (const hierarchy of [TPM_RH.owner, TPM_RH.null]) {
            const inPublic = { ...template, nameAlg };
            const [ours, its] = await both(bytesOf(TPM2_LoadExternal, { inPublic, hierarchy }));
            if (ours !== its) found.push(`${nameAlg} ${describeTemplate(template)}: ${ours}, its ${its}`);
          }
    expect(found).toEqual([]);
  });

  it('have secrets, auth values and policies of the same sizes', async () => {
    const found: string[] = [];
    const hmac = (hashAlg: 'sha1' | 'sha256' | 'sha512') =>
      keyedHashTemplate(attributes('sign'), { parameters: { scheme: { scheme: 'hmac', hashAlg } } });
    const sealed = keyedHashTemplate(attributes());
    for (const template of [hmac('sha1'), hmac('sha256'), hmac('sha512'), sealed])
      for (const size of [1, 63, 64, 65, 127, 128]) {
        const [ours, its] = await both(primary(TPM_RH.null)(template, size));
        if (ours !== its) found.push(`${describeTemplate(template)} of ${size}: ${ours}, its ${its}`);
      }
    for (const nameAlg of ['sha1', 'sha256', 'sha384', 'sha512'] as const)
      for (const size of [0, 19, 20, 21, 32, 33, 48, 49, 64])
        for (const ending of [0, 1]) {
          const inPublic = { ...fixedStorage, nameAlg };
          const userAuth = filled(size, ending);
          const asked = { primaryHandle: TPM_RH.null, ...creation, inPublic };
          const byAuth = await both(bytesOf(TPM2_CreatePrimary, { ...asked, ...sealing(none, userAuth) }));
          const authPolicy = filled(size);
          const byPolicy = await both(
            bytesOf(TPM2_CreatePrimary, { ...asked, inPublic: { ...inPublic, authPolicy } }),
          );
          if (byAuth[0] !== byAuth[1]) found.push(`auth ${nameAlg} ${size}: ${byAuth}`);
          if (byPolicy[0] !== byPolicy[1]) found.push(`policy ${nameAlg} ${size}: ${byPolicy}`);
        }
    expect(found).toEqual([]);
  });
});
