import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, hex, u32 } from '../../src/core/bytes.ts';
import { encode } from '../../src/tpm/codec.ts';
import {
  TPM2_FlushContext,
  TPM2_LoadExternal,
  TPM2_NV_DefineSpace,
  TPM2_NV_UndefineSpace,
  TPM2_NV_Write,
  TPM2_PolicyAuthorize,
  TPM2_PolicyAuthorizeNV,
  TPM2_PolicyAuthValue,
  TPM2_PolicyCommandCode,
  TPM2_PolicyCounterTimer,
  TPM2_PolicyCpHash,
  TPM2_PolicyDuplicationSelect,
  TPM2_PolicyGetDigest,
  TPM2_PolicyLocality,
  TPM2_PolicyNameHash,
  TPM2_PolicyNV,
  TPM2_PolicyNvWritten,
  TPM2_PolicyOR,
  TPM2_PolicyPassword,
  TPM2_PolicyPCR,
  TPM2_PolicyPhysicalPresence,
  TPM2_PolicySecret,
  TPM2_PolicySigned,
  TPM2_PolicyTemplate,
} from '../../src/tpm/commands.ts';
import type { Transport } from '../../src/tpm/index.ts';
import { ldevidTemplate, Policy, srkTemplate, TPM_RH } from '../../src/tpm/index.ts';
import { digest, digestSize } from '../../src/tpm/kdf.ts';
import type { TPM_EO as Operation } from '../../src/tpm/structures.ts';
import { TPM_EO, TPMT_PUBLIC } from '../../src/tpm/structures.ts';
import { send } from './raw.ts';
import { flushAll, startKeyless } from './raw-sessions.ts';

const none = new Uint8Array();
const index = 0x01500003;
const nvPublic = {
  nvIndex: index,
  nameAlg: 'sha256',
  attributes: { nt: 'ordinary', ownerread: true, ownerwrite: true, noDa: true, written: true },
  authPolicy: none,
  dataSize: 8,
} as const;
/** A public key: in a trial nobody signs. */
const signer = {
  ...ldevidTemplate,
  objectAttributes: { sign: true, userWithAuth: true },
  unique: {
    // The generator of P-256.
    x: Uint8Array.from(
      Buffer.from('6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296', 'hex'),
    ),
    y: Uint8Array.from(
      Buffer.from('4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5', 'hex'),
    ),
  },
} as const;
const forged = {
  sigAlg: 'ecdsa',
  hash: 'sha256',
  signatureR: Uint8Array.of(1),
  signatureS: Uint8Array.of(1),
} as const;

/** One assertion: as the calculator knows it, and as a command. */
interface Step {
  readonly name: string;
  add(policy: Policy): Policy;
  run(chip: Transport, policySession: number): Promise<number>;
}

/** An assertion may contradict an earlier one (CPHASH, VALUE, RANGE, COMMAND_CODE): it then changes nothing. */
const contradictions: ReadonlySet<number> = new Set([0x151, 0x1c4, 0x1cd, 0x143]);

type Hash = Policy['hash'];
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const upTo = (maxLength: number) => fc.uint8Array({ maxLength });
const operation = fc.constantFrom(...(Object.keys(TPM_EO.values) as Operation[]));
const nameOfKey = bytes(32).map((value) => concat(Uint8Array.of(0, 11), value));

/** Steps by name; `run` answers the response code. */
function stepOf(hash: Hash, authObject: number, keyName: Uint8Array): fc.Arbitrary<Step> {
  const size = digestSize(hash);
  const step = <T>(
    name: string,
    values: fc.Arbitrary<T>,
    add: (policy: Policy, value: T) => Policy,
    run: (chip: Transport, policySession: number, value: T) => Promise<{ readonly code: number }>,
  ): fc.Arbitrary<Step> =>
    values.map((value) => ({
      name,
      add: (policy) => add(policy, value),
      run: async (chip, policySession) => (await run(chip, policySession, value)).code,
    }));
  const free = { nonceTPM: none, cpHashA: none, expiration: 0 };
  const plain = fc.constant(undefined);
  const compared = fc.record({ operandB: upTo(8), offset: fc.nat(17), operation });
  const pcrs = [{ hash: 'sha256', pcrSelect: [0, 7, 23] }] as const;
  return fc.oneof(
    step(
      'signed',
      upTo(64),
      (policy, policyRef) => policy.signed(keyName, policyRef),
      (chip, policySession, policyRef) =>
        send(chip, TPM2_PolicySigned, { ...free, authObject, policySession, policyRef, auth: forged }),
    ),
    step(
      'secret',
      fc.record({
        authHandle: fc.constantFrom(TPM_RH.owner, TPM_RH.endorsement, TPM_RH.platform, TPM_RH.lockout),
        policyRef: upTo(64),
      }),
      (policy, { authHandle, policyRef }) => policy.secret(u32(authHandle), policyRef),
      (chip, policySession, value) => send(chip, TPM2_PolicySecret, { ...free, ...value, policySession }),
    ),
    step(
      'or',
      fc.array(upTo(64), { minLength: 2, maxLength: 8 }),
      (policy, branches) => policy.or(branches),
      (chip, policySession, pHashList) => send(chip, TPM2_PolicyOR, { policySession, pHashList }),
    ),
    step(
      'pcr',
      bytes(size),
      (policy, value) => policy.pcr(pcrs, value),
      (chip, policySession, pcrDigest) => send(chip, TPM2_PolicyPCR, { policySession, pcrDigest, pcrs }),
    ),
    step(
      'locality',
      fc.integer({ min: 1, max: 255 }),
      (policy, locality) => policy.locality(locality),
      (chip, policySession, locality) => send(chip, TPM2_PolicyLocality, { policySession, locality }),
    ),
    step(
      'nv',
      compared,
      (policy, value) => policy.nv(nvPublic, value),
      (chip, policySession, value) =>
        send(chip, TPM2_PolicyNV, { authHandle: TPM_RH.owner, nvIndex: index, policySession, ...value }),
    ),
    step(
      'counterTimer',
      compared,
      (policy, value) => policy.counterTimer(value),
      (chip, policySession, value) => send(chip, TPM2_PolicyCounterTimer, { policySession, ...value }),
    ),
    step(
      'commandCode',
      fc.constantFrom(0x148, 0x15d, 0x15e),
      (policy, code) => policy.commandCode(code),
      (chip, policySession, code) => send(chip, TPM2_PolicyCommandCode, { policySession, code }),
    ),
    step(
      'physicalPresence',
      plain,
      (policy) => policy.physicalPresence(),
      (chip, policySession) => send(chip, TPM2_PolicyPhysicalPresence, { policySession }),
    ),
    step(
      'cpHash',
      bytes(size),
      (policy, cpHashA) => policy.cpHash(cpHashA),
      (chip, policySession, cpHashA) => send(chip, TPM2_PolicyCpHash, { policySession, cpHashA }),
    ),
    step(
      'nameHash',
      fc.array(upTo(68), { minLength: 1, maxLength: 3 }),
      (policy, names) => policy.nameHash(names),
      (chip, policySession, names) =>
        send(chip, TPM2_PolicyNameHash, { policySession, nameHash: digest(hash, ...names) }),
    ),
    step(
      'duplicationSelect',
      fc.record({ objectName: upTo(66), newParentName: upTo(66), included: fc.boolean() }),
      (policy, { objectName, newParentName, included }) =>
        included
          ? policy.duplicationSelect(newParentName, objectName)
          : policy.duplicationSelect(newParentName),
      (chip, policySession, { included, ...names }) =>
        send(chip, TPM2_PolicyDuplicationSelect, {
          policySession,
          ...names,
          includeObject: included ? 'yes' : 'no',
        }),
    ),
    step(
      'authorize',
      fc.record({ keySign: nameOfKey, policyRef: upTo(64) }),
      (policy, { keySign, policyRef }) => policy.authorize(keySign, policyRef),
      (chip, policySession, value) =>
        send(chip, TPM2_PolicyAuthorize, {
          policySession,
          approvedPolicy: none,
          ...value,
          checkTicket: { tag: 'verified', hierarchy: TPM_RH.null, digest: none },
        }),
    ),
    step(
      'authValue',
      fc.boolean(),
      (policy) => policy.authValue(),
      (chip, policySession, asPassword) =>
        send(chip, asPassword ? TPM2_PolicyPassword : TPM2_PolicyAuthValue, { policySession }),
    ),
    step(
      'nvWritten',
      fc.boolean(),
      (policy, written) => policy.nvWritten(written),
      (chip, policySession, written) =>
        send(chip, TPM2_PolicyNvWritten, { policySession, writtenSet: written ? 'yes' : 'no' }),
    ),
    step(
      'template',
      fc.constantFrom(ldevidTemplate, srkTemplate),
      (policy, template) => policy.template(template),
      (chip, policySession, template) =>
        send(chip, TPM2_PolicyTemplate, {
          policySession,
          templateHash: digest(hash, encode(TPMT_PUBLIC, template)),
        }),
    ),
    step(
      'authorizeNv',
      plain,
      (policy) => policy.authorizeNv(nvPublic),
      (chip, policySession) =>
        send(chip, TPM2_PolicyAuthorizeNV, { authHandle: TPM_RH.owner, nvIndex: index, policySession }),
    ),
  );
}

/** The offline calculator against a TPM: random policies in trial sessions. */
export function policyCalculatorStories(open: () => Transport): void {
  describe('the policy calculator', () => {
    it.each(['sha1', 'sha256', 'sha384', 'sha512'] as const)(
      'computes whatever policy as the TPM does, %s',
      async (authHash) => {
        const chip = open();
        await flushAll(chip);
        const onIndex = { authHandle: TPM_RH.owner, nvIndex: index };
        await send(chip, TPM2_NV_UndefineSpace, onIndex);
        const { written: _, ...attributes } = nvPublic.attributes;
        const publicInfo = { ...nvPublic, attributes };
        await send(chip, TPM2_NV_DefineSpace, { authHandle: TPM_RH.owner, auth: none, publicInfo });
        await send(chip, TPM2_NV_Write, { ...onIndex, data: new Uint8Array(8), offset: 0 });
        const key = await send(chip, TPM2_LoadExternal, {
          inPrivate: undefined,
          inPublic: signer,
          hierarchy: TPM_RH.owner,
        });
        expect(key.code).toBe(0);
        const seen = new Set<string>();
        const steps = fc.array(stepOf(authHash, key.response.objectHandle, key.response.name), {
          minLength: 1,
          maxLength: 6,
        });
        await fc.assert(
          fc.asyncProperty(steps, async (all) => {
            const { handle: policySession } = await startKeyless(chip, 'trial', { authHash });
            let policy = Policy.start(authHash);
            for (const one of all) {
              const code = await one.run(chip, policySession);
              if (code === 0) policy = one.add(policy);
              else if (!contradictions.has(code)) throw new Error(`${one.name}: 0x${code.toString(16)}`);
              if (code === 0) seen.add(one.name);
            }
            const { response } = await send(chip, TPM2_PolicyGetDigest, { policySession });
            await send(chip, TPM2_FlushContext, { flushHandle: policySession });
            expect(hex(policy.digest)).toBe(hex(response.policyDigest));
          }),
          { seed: 23, numRuns: 100 },
        );
        // All 17 kinds of assertion were among them.
        expect(seen.size).toBe(17);
        await send(chip, TPM2_NV_UndefineSpace, onIndex);
      },
    );

    it.each([1, 2, 8, 9, 16, 17, 64, 65, 100])(
      'chooses among %i policies by PolicyORs that a TPM follows from each',
      async (count) => {
        const chip = open();
        await flushAll(chip);
        const branches = Array.from({ length: count }, (_, i) =>
          Policy.start('sha256').authValue().signed(u32(i)),
        );
        for (const at of new Set([0, Math.floor(count / 2), count - 1])) {
          // The empty policy in the place of one branch: a fresh session has it already.
          const { policy, lists } = Policy.any(branches.with(at, Policy.start('sha256')));
          const { handle: policySession } = await startKeyless(chip, 'policy');
          for (const pHashList of lists(at))
            expect((await send(chip, TPM2_PolicyOR, { policySession, pHashList })).code).toBe(0);
          const { response } = await send(chip, TPM2_PolicyGetDigest, { policySession });
          expect(response.policyDigest).toEqual(policy.digest);
          await send(chip, TPM2_FlushContext, { flushHandle: policySession });
        }
      },
    );
  });
}
