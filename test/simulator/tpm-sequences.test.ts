import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { hashAlgorithms } from '../../simulator/tpm/crypto/hash.ts';
import { concat, hex, utf8 } from '../../src/core/bytes.ts';
import * as tpm2 from '../../src/tpm/commands.ts';
import {
  createPrimary,
  ekTemplate,
  lakTemplate,
  openTpm,
  run,
  startSession,
  using,
} from '../../src/tpm/index.ts';
import { ask } from '../tpm/raw.ts';
import { hmacKey } from './external-keys.ts';

const none = new Uint8Array();
const OWNER = 0x40000001;
const NULL = 0x40000007;
const secret = utf8('secret');
const generated = new Uint8Array([0xff, 0x54, 0x43, 0x47]);

let chip: SoftwareTpm;

beforeEach(async () => {
  chip = await SoftwareTpm.create({ random: seededRandom('sequences'), clock: virtualClock() });
});

/** Hashes pieces in a sequence; the last one completes it. */
async function hashed(
  pieces: readonly Uint8Array[],
  hashAlg: (typeof hashAlgorithms)[number],
  hierarchy = OWNER,
) {
  const { sequenceHandle } = await ask(chip, tpm2.TPM2_HashSequenceStart, { auth: none, hashAlg });
  for (const buffer of pieces.slice(0, -1))
    await ask(chip, tpm2.TPM2_SequenceUpdate, { sequenceHandle, buffer });
  const buffer = pieces.at(-1) ?? none;
  return ask(chip, tpm2.TPM2_SequenceComplete, { sequenceHandle, buffer, hierarchy });
}

describe('a hash sequence', () => {
  it('gives what TPM2_Hash gives for the same bytes, with the same ticket', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 4 }),
        fc.constantFrom(...hashAlgorithms),
        async (pieces, hashAlg) => {
          const data = concat(...pieces);
          const once = await ask(chip, tpm2.TPM2_Hash, { data, hashAlg, hierarchy: OWNER });
          const { result, validation } = await hashed(pieces, hashAlg);
          expect(result).toEqual(once.outHash);
          // A first piece shorter than TPM_GENERATED_VALUE cannot be judged.
          const judged = (pieces[0]?.length ?? 0) >= 4;
          expect(validation.digest).toEqual(judged ? once.validation.digest : none);
        },
      ),
      { seed: 1, numRuns: 60 },
    );
  });

  it('has no ticket for what begins like an attestation, nor in the null hierarchy', async () => {
    const forged = await hashed([concat(generated, utf8('quote')), none], 'sha256');
    expect(forged.validation).toEqual({ tag: 'hashcheck', hierarchy: NULL, digest: none });
    const unjudged = await hashed([generated.subarray(0, 2), generated.subarray(2)], 'sha256');
    expect(unjudged.validation.digest).toEqual(none);
    const later = await hashed([utf8('safe'), generated], 'sha256');
    expect(later.validation.digest).not.toEqual(none);
    expect((await hashed([utf8('safe')], 'sha256', NULL)).validation.digest).toEqual(none);
  });

  it('gets long data signed by a restricted key, and only with its ticket', async () => {
    const lak = await createPrimary(
      await openTpm({ transport: chip, random: seededRandom('client'), clock: virtualClock() }),
      { hierarchy: 'owner', template: lakTemplate },
    );
    const { result, validation } = await hashed([new Uint8Array(1024), new Uint8Array(1024)], 'sha256');
    const asked = { keyHandle: lak.handle, digest: result, inScheme: { scheme: 'null' } } as const;
    const { signature } = await ask(chip, tpm2.TPM2_Sign, { ...asked, validation });
    await ask(chip, tpm2.TPM2_VerifySignature, { keyHandle: lak.handle, digest: result, signature });
    const other = await hashed([new Uint8Array(8)], 'sha256');
    await expect(ask(chip, tpm2.TPM2_Sign, { ...asked, validation: other.validation })).rejects.toThrow(
      '3e0',
    );
  });

  it('has its own auth value, does not count wrong ones, and is gone when complete', async () => {
    const started = await ask(chip, tpm2.TPM2_HashSequenceStart, { auth: secret, hashAlg: 'sha256' });
    const update = { sequenceHandle: started.sequenceHandle, buffer: utf8('data') };
    for (let i = 0; i < 5; i++)
      await expect(ask(chip, tpm2.TPM2_SequenceUpdate, update)).rejects.toThrow('9a2');
    await ask(chip, tpm2.TPM2_SequenceUpdate, update, [secret]);
    const complete = { ...update, buffer: none, hierarchy: NULL };
    const { result } = await ask(chip, tpm2.TPM2_SequenceComplete, complete, [secret]);
    expect(hex(result)).toBe(createHash('sha256').update('data').digest('hex'));
    await expect(ask(chip, tpm2.TPM2_SequenceUpdate, update, [secret])).rejects.toThrow('910');
  });

  it('can be used in an HMAC session, also for its last command', async () => {
    const tpm = await openTpm({ transport: chip, random: seededRandom('client'), clock: virtualClock() });
    const ek = await createPrimary(tpm, { hierarchy: 'endorsement', template: ekTemplate });
    const session = await startSession(tpm, { kind: 'hmac', saltedTo: ek, cipher: 'aes-128-cfb' });
    const { sequenceHandle } = await run(tpm, tpm2.TPM2_HashSequenceStart, {
      auth: secret,
      hashAlg: 'sha256',
    });
    const sequence = { handle: sequenceHandle, name: none };
    const { result } = await run(
      tpm,
      tpm2.TPM2_SequenceComplete,
      { sequenceHandle: sequence, buffer: utf8('data'), hierarchy: NULL },
      { authorizations: [using(session, { auth: secret, encryptResponse: true })] },
    );
    expect(hex(result)).toBe(createHash('sha256').update('data').digest('hex'));
  });

  it('takes the slot of an object and gives it back when flushed', async () => {
    const start = () => ask(chip, tpm2.TPM2_HashSequenceStart, { auth: none, hashAlg: 'sha1' });
    const handles = [await start(), await start(), await start()].map((one) => one.sequenceHandle);
    expect(handles).toEqual([0x80000000, 0x80000001, 0x80000002]);
    await expect(start()).rejects.toThrow('902');
    const { capabilityData } = await ask(chip, tpm2.TPM2_GetCapability, {
      capability: 'handles',
      property: 0x80000000,
      propertyCount: 10,
    });
    expect(capabilityData.data).toEqual(handles);
    await ask(chip, tpm2.TPM2_FlushContext, { flushHandle: 0x80000001 });
    expect((await start()).sequenceHandle).toBe(0x80000001);
  });

  it('is no object: nothing signs, seals or reads with it', async () => {
    await ask(chip, tpm2.TPM2_HashSequenceStart, { auth: none, hashAlg: 'sha256' });
    const handle = 0x80000000;
    const noTicket = { tag: 'hashcheck', hierarchy: NULL, digest: none } as const;
    const sign = {
      keyHandle: handle,
      digest: new Uint8Array(32),
      inScheme: { scheme: 'null' },
      validation: noTicket,
    } as const;
    await expect(ask(chip, tpm2.TPM2_ReadPublic, { objectHandle: handle })).rejects.toThrow('103');
    await expect(ask(chip, tpm2.TPM2_Sign, sign)).rejects.toThrow('19c');
    await expect(ask(chip, tpm2.TPM2_Unseal, { itemHandle: handle })).rejects.toThrow('18a');
    await expect(ask(chip, tpm2.TPM2_HMAC, { handle, buffer: none, hashAlg: 'sha256' })).rejects.toThrow(
      '18a',
    );
  });

  it('refuses more than TPM_PT_INPUT_BUFFER at once', async () => {
    const { sequenceHandle } = await ask(chip, tpm2.TPM2_HashSequenceStart, {
      auth: none,
      hashAlg: 'sha256',
    });
    const buffer = new Uint8Array(1025);
    await expect(ask(chip, tpm2.TPM2_SequenceUpdate, { sequenceHandle, buffer })).rejects.toThrow('1d5');
    const hash = { data: buffer, hashAlg: 'sha256', hierarchy: NULL } as const;
    await expect(ask(chip, tpm2.TPM2_Hash, hash)).rejects.toThrow('1d5');
  });
});

describe('the saved context of a sequence', () => {
  it.each(['sha1', 'sha256', 'sha384', 'sha512', 'null'] as const)(
    'goes on where it was, as often as it is loaded: %s',
    async (hashAlg) => {
      const { sequenceHandle } = await ask(chip, tpm2.TPM2_HashSequenceStart, { auth: secret, hashAlg });
      await ask(chip, tpm2.TPM2_SequenceUpdate, { sequenceHandle, buffer: new Uint8Array(700).fill(7) }, [
        secret,
      ]);
      const saved = await ask(chip, tpm2.TPM2_ContextSave, { saveHandle: sequenceHandle });
      expect(saved.context).toMatchObject({ savedHandle: 0x80000001, hierarchy: NULL });
      await ask(chip, tpm2.TPM2_SequenceUpdate, { sequenceHandle, buffer: utf8('lost') }, [secret]);
      await ask(chip, tpm2.TPM2_FlushContext, { flushHandle: sequenceHandle });
      const data = concat(new Uint8Array(700).fill(7), utf8('end'));
      for (let i = 0; i < 2; i++) {
        const { loadedHandle } = await ask(chip, tpm2.TPM2_ContextLoad, saved);
        const last = { sequenceHandle: loadedHandle, buffer: utf8('end') };
        if (hashAlg === 'null') {
          const { results } = await ask(chip, tpm2.TPM2_EventSequenceComplete, { pcrHandle: NULL, ...last }, [
            none,
            secret,
          ]);
          expect(results.map(({ digest }) => hex(digest))).toEqual(
            hashAlgorithms.map((hash) => createHash(hash).update(data).digest('hex')),
          );
        } else {
          const { result } = await ask(chip, tpm2.TPM2_SequenceComplete, { ...last, hierarchy: OWNER }, [
            secret,
          ]);
          expect(hex(result)).toBe(createHash(hashAlg).update(data).digest('hex'));
        }
      }
    },
  );

  it('keeps whether a ticket may be given', async () => {
    const { sequenceHandle } = await ask(chip, tpm2.TPM2_HashSequenceStart, {
      auth: none,
      hashAlg: 'sha256',
    });
    await ask(chip, tpm2.TPM2_SequenceUpdate, { sequenceHandle, buffer: generated });
    const saved = await ask(chip, tpm2.TPM2_ContextSave, { saveHandle: sequenceHandle });
    const { loadedHandle } = await ask(chip, tpm2.TPM2_ContextLoad, saved);
    const complete = { sequenceHandle: loadedHandle, buffer: utf8('rest'), hierarchy: OWNER };
    const { validation } = await ask(chip, tpm2.TPM2_SequenceComplete, complete);
    expect(validation.digest).toEqual(none);
  });

  it('ends with a TPM reset, as the sequence does', async () => {
    const { sequenceHandle } = await ask(chip, tpm2.TPM2_HashSequenceStart, {
      auth: none,
      hashAlg: 'sha256',
    });
    const saved = await ask(chip, tpm2.TPM2_ContextSave, { saveHandle: sequenceHandle });
    await chip.powerCycle();
    await ask(chip, tpm2.TPM2_Startup, { startupType: 'clear' });
    await expect(ask(chip, tpm2.TPM2_SequenceUpdate, { sequenceHandle, buffer: none })).rejects.toThrow(
      '910',
    );
    await expect(ask(chip, tpm2.TPM2_ContextLoad, saved)).rejects.toThrow('1df');
  });
});

describe('an event sequence', () => {
  it('extends its PCR as TPM2_PCR_Event does, and tells every digest', async () => {
    const data = new Uint8Array(1500).fill(3);
    const read = { pcrSelectionIn: hashAlgorithms.map((hash) => ({ hash, pcrSelect: [16] })) };
    const { sequenceHandle } = await ask(chip, tpm2.TPM2_HashSequenceStart, { auth: none, hashAlg: 'null' });
    await ask(chip, tpm2.TPM2_SequenceUpdate, { sequenceHandle, buffer: data.subarray(0, 1000) });
    const { results } = await ask(chip, tpm2.TPM2_EventSequenceComplete, {
      pcrHandle: 16,
      sequenceHandle,
      buffer: data.subarray(1000),
    });
    expect(results.map(({ digest }) => hex(digest))).toEqual(
      hashAlgorithms.map((hash) => createHash(hash).update(data).digest('hex')),
    );
    const { pcrValues } = await ask(chip, tpm2.TPM2_PCR_Read, read);
    expect(pcrValues.map(hex)).toEqual(
      results.map(({ hashAlg, digest }) =>
        createHash(hashAlg).update(new Uint8Array(digest.length)).update(digest).digest('hex'),
      ),
    );
  });

  it('and a hash sequence do not end with each other’s command', async () => {
    const event = await ask(chip, tpm2.TPM2_HashSequenceStart, { auth: none, hashAlg: 'null' });
    const hash = await ask(chip, tpm2.TPM2_HashSequenceStart, { auth: none, hashAlg: 'sha256' });
    const complete = { ...event, buffer: none, hierarchy: NULL };
    await expect(ask(chip, tpm2.TPM2_SequenceComplete, complete)).rejects.toThrow('189');
    const asked = { pcrHandle: 16, ...hash, buffer: none };
    await expect(ask(chip, tpm2.TPM2_EventSequenceComplete, asked)).rejects.toThrow('289');
  });

  it('refuses a PCR that the locality may not extend, and stays', async () => {
    const { sequenceHandle } = await ask(chip, tpm2.TPM2_HashSequenceStart, { auth: none, hashAlg: 'null' });
    const asked = { pcrHandle: 17, sequenceHandle, buffer: utf8('once') };
    await expect(ask(chip, tpm2.TPM2_EventSequenceComplete, asked)).rejects.toThrow('907');
    const { results } = await ask(chip, tpm2.TPM2_EventSequenceComplete, { ...asked, pcrHandle: NULL });
    expect(hex(results[1]?.digest ?? none)).toBe(createHash('sha256').update('once').digest('hex'));
  });
});

describe('HMACs of the TPM', () => {
  it('are the same at once and in a sequence, for keys of every length', async () => {
    for (const length of [1, 63, 64, 65, 127, 128])
      for (const hashAlg of hashAlgorithms) {
        const bits = new Uint8Array(length).fill(length);
        const key = await ask(chip, tpm2.TPM2_LoadExternal, { ...hmacKey(bits), hierarchy: NULL });
        const data = new Uint8Array(300).fill(9);
        const expected = createHmac(hashAlg, bits).update(data).digest('hex');
        const { outHMAC } = await ask(chip, tpm2.TPM2_HMAC, {
          handle: key.objectHandle,
          buffer: data,
          hashAlg,
        });
        expect(hex(outHMAC)).toBe(expected);
        const started = await ask(chip, tpm2.TPM2_HMAC_Start, {
          handle: key.objectHandle,
          auth: none,
          hashAlg,
        });
        await ask(chip, tpm2.TPM2_SequenceUpdate, { ...started, buffer: data.subarray(0, 111) });
        const saved = await ask(chip, tpm2.TPM2_ContextSave, { saveHandle: started.sequenceHandle });
        await ask(chip, tpm2.TPM2_FlushContext, { flushHandle: started.sequenceHandle });
        const { loadedHandle } = await ask(chip, tpm2.TPM2_ContextLoad, saved);
        const { result, validation } = await ask(chip, tpm2.TPM2_SequenceComplete, {
          sequenceHandle: loadedHandle,
          buffer: data.subarray(111),
          hierarchy: OWNER,
        });
        expect(hex(result)).toBe(expected);
        expect(validation.digest).toEqual(none);
        await ask(chip, tpm2.TPM2_FlushContext, { flushHandle: key.objectHandle });
      }
  });

  it('use the hash of the key, or without one the one asked for', async () => {
    const own = await ask(chip, tpm2.TPM2_LoadExternal, { ...hmacKey(secret, 'sha384'), hierarchy: NULL });
    const open = await ask(chip, tpm2.TPM2_LoadExternal, { ...hmacKey(secret), hierarchy: NULL });
    const mac = (handle: number, hashAlg: 'sha256' | 'sha384' | 'null') =>
      ask(chip, tpm2.TPM2_HMAC, { handle, buffer: none, hashAlg });
    expect((await mac(own.objectHandle, 'null')).outHMAC).toHaveLength(48);
    expect((await mac(own.objectHandle, 'sha384')).outHMAC).toHaveLength(48);
    await expect(mac(own.objectHandle, 'sha256')).rejects.toThrow('2c4');
    expect((await mac(open.objectHandle, 'sha256')).outHMAC).toHaveLength(32);
    await expect(mac(open.objectHandle, 'null')).rejects.toThrow('2c4');
  });
});
