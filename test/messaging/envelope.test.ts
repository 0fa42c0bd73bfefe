import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, equal, fromHex } from '../../src/core/bytes.ts';
import { decodeCbor, encodeCbor } from '../../src/core/cbor.ts';
import { generateKey } from '../../src/core/signer.ts';
import type { MessageCheck, Opened, OpenOptions } from '../../src/messaging/index.ts';
import {
  EpochKeys,
  inboxTopic,
  lifeTopic,
  MessageRefused,
  multicastTopic,
  OwnSession,
  open,
  Peer,
  SessionEnded,
  seal,
  sessionKeyId,
} from '../../src/messaging/index.ts';
import { cast, dogSlug, domain, now, receiver, truckSlug } from './cast.ts';

const state = multicastTopic(domain, dogSlug, 'state');
const message = { type: 'state', ts: now, exp: now + 10_000, body: { battery: 0.8, legs: [1, 2, 3, 4] } };

/** The check that refuses it, or `accepted`; anything but a MessageRefused fails the test. */
function verdict(bytes: Uint8Array, options: OpenOptions): MessageCheck | 'accepted' {
  try {
    open(bytes, options);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof MessageRefused)) throw error;
    return error.check;
  }
}

describe('an envelope', () => {
  it('brings what was put in, and who said it where', () => {
    const { dog, epochAt } = cast();
    const keys = epochAt(3);
    const content = { ...message, reply: inboxTopic(domain, dogSlug, truckSlug), corr: 'c-1', grant: 'g-1' };
    const opened = open(
      seal({ session: dog, keys, topic: state, ...content }),
      receiver([dog], [keys]).options(state),
    );
    expect(opened).toEqual({ ...content, topic: state, epoch: 3, seq: 1n, sender: expect.any(Peer) });
    expect(opened.sender.slug).toBe(dogSlug);
  });

  it('carries any content that deterministic CBOR can hold', () => {
    const { dog, epochAt } = cast();
    const keys = epochAt(1);
    const { options } = receiver([dog], [keys]);
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.string(),
        fc.maxSafeInteger(),
        fc.double({ noNaN: true, noDefaultInfinity: true }).filter((n) => !Object.is(n, -0)),
        fc.boolean(),
        fc.constant(null),
        fc.uint8Array(),
        fc.array(tie('any')),
        fc.dictionary(fc.string(), tie('any')),
      ),
    })).any;
    fc.assert(
      fc.property(value, (body) => {
        const opened = open(seal({ session: dog, keys, topic: state, ...message, body }), options(state));
        expect(encodeCbor(opened.body)).toEqual(encodeCbor(body));
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it('is a COSE_Encrypt0 with a version 2 countersignature (AN-02)', () => {
    const { dog, epochAt } = cast();
    const bytes = seal({ session: dog, keys: epochAt(300), topic: state, ...message });
    const [protectedHeader, unprotected, ciphertext] = decodeCbor(bytes, { useMaps: true }) as [
      Uint8Array,
      Map<number, unknown>,
      Uint8Array,
    ];
    expect(decodeCbor(protectedHeader, { useMaps: true })).toEqual(
      new Map<number, unknown>([
        [1, 3],
        [16, 'state'],
      ]),
    );
    expect([...unprotected.keys()]).toEqual([4, 6, 10, 11]);
    expect(unprotected.get(4)).toEqual(fromHex(dog.keyId));
    expect(unprotected.get(6)).toEqual(Uint8Array.of(1));
    expect(unprotected.get(10)).toEqual(Uint8Array.of(1, 44));
    expect(ciphertext.length).toBeGreaterThan(16);
  });

  it('adds fewer than 160 bytes to a body of 256', () => {
    const { dog, epochAt } = cast();
    const body = new Uint8Array(256);
    const bytes = seal({ session: dog, keys: epochAt(1), topic: state, ...message, body });
    expect(bytes.length).toBeLessThan(256 + 160);
  });

  it('is refused with any one bit changed, and the true one is accepted afterwards', () => {
    const { dog, truck, epochAt } = cast();
    const keys = epochAt(2);
    const bytes = seal({ session: dog, keys, topic: state, ...message });
    const { options } = receiver([dog, truck], [keys]);
    for (let at = 0; at < bytes.length; at++)
      for (const bit of [1, 0x80]) {
        const altered = bytes.slice();
        altered[at] = (altered[at] ?? 0) ^ bit;
        expect(verdict(altered, options(state)), `byte ${at}`).not.toBe('accepted');
      }
    expect(verdict(bytes, options(state))).toBe('accepted');
  });

  it('is refused cut short or prolonged at any place', () => {
    const { dog, epochAt } = cast();
    const keys = epochAt(2);
    const bytes = seal({ session: dog, keys, topic: state, ...message });
    const { options } = receiver([dog], [keys]);
    for (let length = 0; length < bytes.length; length++)
      expect(verdict(bytes.subarray(0, length), options(state))).toBe('form');
    expect(verdict(concat(bytes, Uint8Array.of(0)), options(state))).toBe('form');
  });

  it('answers hostile bytes with MessageRefused and nothing else', () => {
    const { dog, epochAt } = cast();
    const keys = epochAt(1);
    const bytes = seal({ session: dog, keys, topic: state, ...message });
    const { options } = receiver([dog], [keys]);
    const spliced = fc
      .tuple(fc.nat(bytes.length), fc.nat(bytes.length), fc.uint8Array({ maxLength: 40 }))
      .map(([a, b, middle]) =>
        concat(bytes.subarray(0, Math.min(a, b)), middle, bytes.subarray(Math.max(a, b))),
      );
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), spliced), (hostile) => {
        fc.pre(!equal(hostile, bytes));
        expect(verdict(hostile, options(state))).not.toBe('accepted');
      }),
      { seed: 8, numRuns: 2000 },
    );
  });

  it('has one encoding: headers in another order, longer lengths or extra headers are no envelope', () => {
    const { dog, epochAt } = cast();
    const keys = epochAt(1);
    const bytes = seal({ session: dog, keys, topic: state, ...message });
    const { options } = receiver([dog], [keys]);
    const [head, unprotected, ciphertext] = decodeCbor(bytes, { useMaps: true }) as [
      Uint8Array,
      Map<number, unknown>,
      Uint8Array,
    ];
    const again = (map: Map<number, unknown>) => encodeCbor([head, map, ciphertext]);
    expect(new Uint8Array(again(unprotected))).toEqual(bytes);
    expect(verdict(again(new Map([...unprotected, [5, new Uint8Array(12)]])), options(state))).toBe('form');
    expect(verdict(again(new Map([...unprotected].slice(0, 3))), options(state))).toBe('form');
    expect(verdict(again(new Map([...unprotected, [6, Uint8Array.of(0, 1)]])), options(state))).toBe('form');
    // Tagged (16), as a stranger's COSE library might send it.
    expect(verdict(concat(Uint8Array.of(0xd0), bytes), options(state))).toBe('form');
    // A protected header with another algorithm (A128GCM), or one more member.
    for (const other of [
      new Map<number, unknown>([
        [1, 1],
        [16, 'state'],
      ]),
      new Map<number, unknown>([
        [1, 3],
        [2, [16]],
        [16, 'state'],
      ]),
    ])
      expect(verdict(encodeCbor([encodeCbor(other), unprotected, ciphertext]), options(state))).toBe('form');
  });

  it('is refused when it is larger than 128 KiB, before anything is read', () => {
    const { dog, epochAt } = cast();
    const keys = epochAt(1);
    expect(verdict(new Uint8Array(128 * 1024 + 1), receiver([dog], [keys]).options(state))).toBe('size');
    const body = new Uint8Array(128 * 1024);
    expect(() => seal({ session: dog, keys, topic: state, ...message, body })).toThrow(MessageRefused);
    expect(dog.last()).toBe(0n);
  });
});

describe('a message moved by the broker or a member', () => {
  const setting = () => {
    const people = cast();
    const keys = people.epochAt(5);
    return { ...people, keys, bytes: seal({ session: people.dog, keys, topic: state, ...message }) };
  };

  it('is refused on another topic of the same sender', () => {
    const { dog, keys, bytes } = setting();
    const { options } = receiver([dog], [keys]);
    expect(verdict(bytes, options(multicastTopic(domain, dogSlug, 'pose')))).toBe('seal');
    expect(verdict(bytes, options(lifeTopic(domain, dogSlug)))).toBe('seal');
  });

  it('is refused on the topic of another member, of another domain, or of nobody', () => {
    const { dog, truck, keys, bytes } = setting();
    const { options } = receiver([dog, truck], [keys]);
    expect(verdict(bytes, options(multicastTopic(domain, truckSlug, 'state')))).toBe('topic');
    expect(verdict(bytes, options(multicastTopic('other', dogSlug, 'state')))).toBe('topic');
    expect(verdict(bytes, options('home/kitchen'))).toBe('topic');
  });

  it('is refused in another epoch, in a later one also with the same secret', () => {
    const { dog, epochAt, keys, bytes } = setting();
    expect(verdict(bytes, receiver([dog], [epochAt(6)]).options(state))).toBe('epoch');
    const moved = bytes.slice();
    const at = Buffer.from(bytes).indexOf('0a4105', 'hex') + 2; // kid context
    expect(at).toBeGreaterThan(2);
    moved[at] = 6;
    expect(verdict(moved, receiver([dog], [keys, epochAt(6)]).options(state))).toBe('seal');
  });

  it('is refused in another domain with the same secret', () => {
    const { dog, epochAt, bytes } = setting();
    const elsewhere = epochAt(5, { domain: 'rescue-8' });
    const { options } = receiver([dog], [elsewhere]);
    expect(verdict(bytes, options(multicastTopic('rescue-8', dogSlug, 'state')))).toBe('seal');
  });

  it('is refused on the other branch of a forked log', () => {
    const { dog, epochAt, bytes } = setting();
    const fork = epochAt(5, { confirmation: new Uint8Array(16) });
    expect(verdict(bytes, receiver([dog], [fork]).options(state))).toBe('seal');
  });

  it('is refused with another type', () => {
    const { dog, keys, bytes } = setting();
    const at = bytes.findIndex((_, i) => Buffer.from(bytes.subarray(i, i + 5)).toString() === 'state');
    const moved = bytes.slice();
    moved.set(Buffer.from('stale'), at);
    expect(verdict(moved, receiver([dog], [keys]).options(state))).toBe('seal');
  });

  it('is refused under the name of another member', () => {
    const { dog, truck, keys, bytes } = setting();
    const at = 1 + 1 + (bytes[1] ?? 0) - 0x40 + 3;
    expect(bytes.subarray(at, at + 8)).toEqual(fromHex(dog.keyId));
    const moved = bytes.slice();
    moved.set(fromHex(truck.keyId), at);
    const { options } = receiver([dog, truck], [keys]);
    expect(verdict(moved, options(multicastTopic(domain, truckSlug, 'state')))).toBe('seal');
    expect(verdict(moved, options(state))).toBe('topic');
  });

  it('is refused from one who is no member', () => {
    const { truck, keys, bytes } = setting();
    expect(verdict(bytes, receiver([truck], [keys]).options(state))).toBe('unknown-sender');
  });

  it('is refused when a member who knows the epoch secret seals in the name of another, and blocks nothing', () => {
    const { dog, truck, keys, random } = setting();
    // The traitor derives the dog's AEAD key, which every member can, but has only its own session key.
    const traitor = new OwnSession(dogSlug, generateKey(random));
    Object.defineProperty(traitor, 'keyHash', { value: dog.keyHash });
    Object.defineProperty(traitor, 'keyId', { value: dog.keyId });
    traitor.skipTo('group', 2n ** 40n);
    const { options } = receiver([dog, truck], [keys]);
    expect(verdict(seal({ session: traitor, keys, topic: state, ...message }), options(state))).toBe(
      'signature',
    );
    expect(verdict(seal({ session: dog, keys, topic: state, ...message }), options(state))).toBe('accepted');
  });

  it('is refused once it has expired, and once its epoch was wiped', () => {
    const { dog, keys, bytes } = setting();
    expect(verdict(bytes, receiver([dog], [keys]).options(state, message.exp + 1))).toBe('expired');
    expect(verdict(bytes, receiver([dog], [keys]).options(state, message.exp))).toBe('accepted');
    keys.close();
    expect(verdict(bytes, receiver([dog], [keys]).options(state))).toBe('epoch');
    expect(() => seal({ session: dog, keys, topic: state, ...message })).toThrow(SessionEnded);
  });
});

describe('numbers of messages', () => {
  const many = (count: number) => {
    const people = cast();
    const keys = people.epochAt(1);
    const sealed = Array.from({ length: count }, () =>
      seal({ session: people.dog, keys, topic: state, ...message }),
    );
    return { ...people, keys, sealed, ...receiver([people.dog], [keys]) };
  };

  it('let nothing count twice and any order within 1,024 count once', () => {
    const { sealed, options } = many(60);
    fc.assert(
      fc.property(fc.shuffledSubarray(sealed, { minLength: 1 }), (some) => {
        const { dog, epochAt } = cast();
        const fresh = receiver([dog], [epochAt(1)]);
        for (const each of some) expect(verdict(each, fresh.options(state))).toBe('accepted');
        for (const each of some) expect(verdict(each, fresh.options(state))).toBe('replay');
      }),
      { seed: 9, numRuns: 10 },
    );
    expect(verdict(sealed[0] ?? new Uint8Array(), options(state))).toBe('accepted');
  });

  it('refuse what fell behind the window', () => {
    const { dog, keys, sealed, options } = many(2);
    dog.skipTo('group', 1025n);
    expect(verdict(seal({ session: dog, keys, topic: state, ...message }), options(state))).toBe('accepted'); // 1026
    expect(verdict(sealed[0] ?? new Uint8Array(), options(state))).toBe('replay'); // 1
    expect(verdict(sealed[1] ?? new Uint8Array(), options(state))).toBe('replay'); // 2 = 1026 - 1024
  });

  it('continue across epochs, so that an old number is never new again', () => {
    const { dog, epochAt } = cast();
    const [first, second] = [epochAt(1), epochAt(2)];
    const { options } = receiver([dog], [first, second]);
    const one = seal({ session: dog, keys: first, topic: state, ...message });
    const two = seal({ session: dog, keys: second, topic: state, ...message });
    const opened: Opened = open(two, options(state));
    expect(opened.seq).toBe(2n);
    expect(verdict(one, options(state))).toBe('accepted');
    expect(verdict(two, options(state))).toBe('replay');
  });

  it('end at 2^64 - 1', () => {
    const { dog, keys, options } = many(0);
    dog.skipTo('group', 2n ** 64n - 2n);
    const last = seal({ session: dog, keys, topic: state, ...message });
    expect(open(last, options(state)).seq).toBe(2n ** 64n - 1n);
    expect(() => seal({ session: dog, keys, topic: state, ...message })).toThrow(SessionEnded);
    expect(() => dog.skipTo('group', 3n)).toThrow(TypeError);
  });

  it('are not spent on a message that cannot be sealed', () => {
    const { dog, keys } = many(0);
    const cases = [
      { topic: 'elsewhere' },
      { topic: multicastTopic(domain, truckSlug, 'state') },
      { type: 'With Blanks' },
      { reply: 'home/kitchen' },
      { exp: Number.NaN },
      { body: undefined },
    ];
    for (const wrong of cases)
      expect(() => seal({ session: dog, keys, topic: state, ...message, ...wrong })).toThrow(TypeError);
    expect(dog.last()).toBe(0n);
  });
});

describe('a pairwise channel', () => {
  it('carries control to one member under its own key and its own numbers', () => {
    const { dog, pair, epochAt } = cast();
    const group = epochAt(1);
    const inbox = inboxTopic(domain, truckSlug, dogSlug);
    const { options } = receiver([dog], [pair, group]);
    seal({ session: dog, keys: group, topic: state, ...message });
    const control = seal({ session: dog, keys: pair, topic: inbox, ...message, type: 'rekey' });
    expect(open(control, options(inbox))).toMatchObject({ epoch: 0, seq: 1n, type: 'rekey' });
    expect(verdict(control, options(inbox))).toBe('replay');
    expect(dog.last()).toBe(1n);
    expect(dog.last(pair.channel)).toBe(1n);
  });

  it('is for inboxes alone', () => {
    const { dog, pair } = cast();
    expect(() => seal({ session: dog, keys: pair, topic: state, ...message })).toThrow(TypeError);
  });

  it('does not open with the keys of a group, nor the other way round', () => {
    const { dog, pair, secret, confirmation } = cast();
    const inbox = inboxTopic(domain, truckSlug, dogSlug);
    const control = seal({ session: dog, keys: pair, topic: inbox, ...message });
    const sameSecret = EpochKeys.pairwise({ domain, secret, confirmation });
    expect(verdict(control, receiver([dog], [sameSecret]).options(inbox))).toBe('seal');
  });
});

describe('a session', () => {
  it('is named by the first eight bytes of the hash of its key, and signs nothing once closed', () => {
    const { dog, epochAt } = cast();
    expect(dog.keyId).toBe(sessionKeyId(dog.publicJwk));
    expect(dog.keyId).toMatch(/^[0-9a-f]{16}$/);
    dog.close();
    expect(() => seal({ session: dog, keys: epochAt(1), topic: state, ...message })).toThrow(SessionEnded);
  });
});
