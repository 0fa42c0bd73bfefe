import type { Command } from '../../src/tpm/command.ts';
import type {
  TPMS_CONTEXT as Context,
  TPMS_NV_PUBLIC as NvPublic,
  TPMS_ECC_POINT as Point,
  TPMT_PUBLIC as Public,
  TPMT_SIGNATURE as Signature,
  TPMT_TK as Ticket,
} from '../../src/tpm/structures.ts';
import { handleType } from '../../src/tpm/structures.ts';
import type { Dice } from './dice.ts';

/** A key that a TPM gave out. */
export interface Wrapped {
  readonly private: Uint8Array;
  readonly public: Public;
}

/** Things of one kind that a stream has met: the newest dozen, and sometimes an older one is worth nothing any more. */
export class Shelf<T> {
  readonly #things: T[] = [];

  get size(): number {
    return this.#things.length;
  }

  put(thing: T): void {
    this.#things.push(thing);
    if (this.#things.length > 12) this.#things.shift();
  }

  drop(test: (thing: T) => boolean): void {
    const at = this.#things.findIndex(test);
    if (at >= 0) this.#things.splice(at, 1);
  }

  /** The newest that is as asked for. */
  newest(test: (thing: T) => boolean): T | undefined {
    return this.#things.findLast(test);
  }

  /** One of them, the newest most often. */
  take(from: Dice): T | undefined {
    if (this.size === 0) return undefined;
    return from.oneIn(2) ? this.#things.at(-1) : this.#things[from.below(this.size)];
  }
}

type Values = Readonly<Record<string, unknown>>;

/** What the answers of one TPM have told: a stream goes on with it, as a program would. */
export class Memory {
  readonly objects = new Shelf<number>();
  /** Those of them that can be parents. */
  readonly parents = new Shelf<number>();
  /** RSA keys, which few are. */
  readonly rsa = new Shelf<number>();
  readonly sequences = new Shelf<number>();
  readonly sessions = new Shelf<number>();
  readonly policySessions = new Shelf<number>();
  readonly wrapped = new Shelf<Wrapped>();
  readonly publics = new Shelf<Public>();
  readonly contexts = new Shelf<Context>();
  readonly tickets = new Shelf<Ticket>();
  readonly signatures = new Shelf<Signature>();
  /** Signatures with what was signed. */
  readonly signed = new Shelf<{
    readonly key: number;
    readonly digest: Uint8Array;
    readonly signature: Signature;
  }>();
  readonly credentials = new Shelf<{ readonly blob: Uint8Array; readonly secret: Uint8Array }>();
  readonly duplicates = new Shelf<{ readonly duplicate: Uint8Array; readonly seed: Uint8Array }>();
  readonly digests = new Shelf<Uint8Array>();
  readonly names = new Shelf<Uint8Array>();
  readonly nonces = new Shelf<Uint8Array>();
  readonly timeouts = new Shelf<Uint8Array>();
  readonly points = new Shelf<Point>();
  readonly ciphertexts = new Shelf<Uint8Array>();
  readonly indices = new Shelf<number>();

  /** Takes in what a successful answer says. */
  learn(command: Command, request: Values, response: Values): void {
    for (const value of Object.values(request)) if (isPublic(value)) this.publics.put(value);
    for (const key of Object.keys(command.responseHandles))
      this.#handle(Number(response[key]), key, response['outPublic'] ?? request['inPublic']);
    const bytes = (key: string) => response[key] as Uint8Array | undefined;
    const { outPrivate, outPublic } = response;
    const made = (isPublic(outPublic) ? outPublic : request['inPublic']) as Public | undefined;
    if (isPublic(outPublic)) this.publics.put(outPublic);
    if (outPrivate instanceof Uint8Array && isPublic(made))
      this.wrapped.put({ private: outPrivate, public: made });
    if (response['context'] !== undefined) this.contexts.put(response['context'] as Context);
    for (const key of ['creationTicket', 'validation', 'policyTicket'])
      if (response[key] !== undefined) this.tickets.put(response[key] as Ticket);
    if (response['signature'] !== undefined) this.signatures.put(response['signature'] as Signature);
    if (command.name === 'TPM2_Sign')
      this.signed.put({
        key: Number(request['keyHandle']),
        digest: request['digest'] as Uint8Array,
        signature: response['signature'] as Signature,
      });
    const blob = bytes('credentialBlob');
    const secret = bytes('secret');
    if (blob && secret) this.credentials.put({ blob, secret });
    const duplicate = bytes('duplicate') ?? bytes('outDuplicate');
    const seed = bytes('outSymSeed');
    if (duplicate && seed) this.duplicates.put({ duplicate, seed });
    for (const key of ['creationHash', 'outHash', 'result', 'policyDigest', 'outHMAC'])
      if (response[key] !== undefined) this.digests.put(response[key] as Uint8Array);
    for (const key of ['name', 'nvName', 'qualifiedName'])
      if (response[key] !== undefined) this.names.put(response[key] as Uint8Array);
    if (response['nonceTPM'] !== undefined) this.nonces.put(response['nonceTPM'] as Uint8Array);
    if (response['timeout'] !== undefined) this.timeouts.put(response['timeout'] as Uint8Array);
    for (const key of ['pubPoint', 'zPoint', 'Q', 'K', 'L', 'E'])
      if (response[key] !== undefined) this.points.put(response[key] as Point);
    if (command.name === 'TPM2_RSA_Encrypt') this.ciphertexts.put(response['outData'] as Uint8Array);
    if (command.name === 'TPM2_NV_DefineSpace') this.indices.put((request['publicInfo'] as NvPublic).nvIndex);
    if (command.name === 'TPM2_FlushContext' || command.name === 'TPM2_ContextSave')
      this.forget(Number(request['flushHandle'] ?? request['saveHandle']));
  }

  #handle(handle: number, key: string, area: unknown): void {
    this.forget(handle); // whatever was there is gone
    const kind = handleType(handle);
    if (kind === 'hmacSession') this.sessions.put(handle);
    else if (kind === 'policySession') this.policySessions.put(handle);
    else if (key === 'sequenceHandle') this.sequences.put(handle);
    else {
      this.objects.put(handle);
      const { restricted, decrypt } = isPublic(area) ? area.objectAttributes : {};
      if (restricted && decrypt) this.parents.put(handle);
      if (isPublic(area) && area.type === 'rsa') this.rsa.put(handle);
    }
  }

  /** There is nothing under this handle any more. */
  forget(handle: number): void {
    for (const shelf of [
      this.objects,
      this.parents,
      this.rsa,
      this.sequences,
      this.sessions,
      this.policySessions,
    ])
      shelf.drop((one) => one === handle);
  }
}

function isPublic(value: unknown): value is Public {
  return typeof value === 'object' && value !== null && 'nameAlg' in value && 'objectAttributes' in value;
}
