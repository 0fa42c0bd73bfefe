import { equal, utf8 } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { canonicalBytes, parseJson } from '../core/json.ts';
import type { Store } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import { oneAfterTheOther } from '../core/turns.ts';
import type { Tpm, TpmObject } from '../tpm/index.ts';
import { pcrDigest, pcrExtend, pcrRead, quote, readAttest, readSignature } from '../tpm/index.ts';
import type { CmwRecord } from './cmw.ts';
import { RuntimeLogFull } from './errors.ts';
import { encodeEvidence } from './evidence.ts';
import type { Measurement, MeasurementKind } from './runtime-log.ts';
import {
  measure,
  measurementDigest,
  measurementSchema,
  NO_DIGEST,
  RUNTIME_LOG_MAX,
  RUNTIME_PCR,
  replay,
} from './runtime-log.ts';

const FILE = 'attestation/runtime-log.json';

const fileSchema = v.strictObject({
  version: v.literal(1),
  pcr: v.pipe(v.number(), v.integer()),
  entries: v.pipe(v.array(measurementSchema), v.maxLength(RUNTIME_LOG_MAX)),
});

/** What an attester needs. */
export interface AttesterOptions {
  readonly store: Store;
  readonly tpm: Tpm;
  /** PCR of the runtime log, 8 to 15. Default: 12. Never 16 to 23: software can reset those. */
  readonly pcr?: number | undefined;
}

/** The device's end of attestation: measures what the agent uses, keeps the log of it, and quotes. */
export class Attester {
  readonly pcr: number;
  readonly #store: Store;
  readonly #tpm: Tpm;
  #entries: readonly Measurement[];
  #broken: boolean;
  readonly #inTurn = oneAfterTheOther();

  private constructor(
    options: AttesterOptions,
    pcr: number,
    entries: readonly Measurement[],
    broken: boolean,
  ) {
    this.pcr = pcr;
    this.#store = options.store;
    this.#tpm = options.tpm;
    this.#entries = entries;
    this.#broken = broken;
  }

  /**
   * Takes up the log where the last start of the agent left it, or begins a new one after the machine was reset (the
   * PCR is zero then). An entry that was stored but not yet extended when power failed is extended now.
   */
  static async open(options: AttesterOptions): Promise<Attester> {
    const pcr = options.pcr ?? RUNTIME_PCR;
    if (!Number.isInteger(pcr) || pcr < 8 || pcr > 15)
      throw new TypeError('`pcr` must be from 8 to 15: others belong to the firmware or can be reset');
    const [value = new Uint8Array(32)] = await pcrRead(options.tpm, [pcr]);
    const stored = await readLog(options.store, pcr);
    const zero = value.every((byte) => byte === 0);
    if (zero) {
      if (stored.length > 0) await writeLog(options.store, pcr, []);
      return new Attester(options, pcr, [], false);
    }
    const length = prefixOf(stored, value);
    // Somebody else extended the PCR, or the log is lost: the verifier will refuse, and only a reset of the machine helps.
    if (length === undefined) return new Attester(options, pcr, stored, true);
    for (const entry of stored.slice(length))
      await pcrExtend(options.tpm, pcr, { sha256: measurementDigest(entry) });
    return new Attester(options, pcr, stored, false);
  }

  /** What was measured since the machine started. */
  get log(): readonly Measurement[] {
    return this.#entries;
  }

  /** False when the log no longer explains the PCR: evidence will be refused until the machine is reset. */
  get intact(): boolean {
    return !this.#broken;
  }

  /** Marks a start of the agent: what was measured before runs no more. */
  start(version: string): Promise<void> {
    return this.#append({ kind: 'start', name: version, digest: NO_DIGEST });
  }

  /** Measures `content` before it is used. @throws {RuntimeLogFull} */
  measure(
    kind: Exclude<MeasurementKind, 'start'>,
    name: string,
    content: Uint8Array | string,
  ): Promise<void> {
    return this.#append(measure(kind, name, typeof content === 'string' ? utf8(content) : content));
  }

  /** The same for something whose SHA-256 (hex) is known. @throws {RuntimeLogFull} */
  measured(kind: Exclude<MeasurementKind, 'start'>, name: string, digest: string): Promise<void> {
    return this.#append({ kind, name, digest });
  }

  /**
   * Evidence for a verifier: a quote by `key` over the PCRs it chose.
   *
   * @param request.qualifier what the quote is about, 32 bytes; the verifier computes the same from its nonce.
   */
  evidence(request: {
    readonly key: TpmObject;
    readonly qualifier: Uint8Array;
    readonly pcrs: readonly number[];
    /** SHA-256 of the AIBOM. */
    readonly aibom: Uint8Array;
  }): Promise<CmwRecord> {
    return this.#inTurn(async () => {
      const indices = [...new Set(request.pcrs)].sort((a, b) => a - b);
      // Others may extend a PCR between reading and quoting; the pair must fit, so it is tried again.
      for (let attempt = 1; ; attempt++) {
        const values = await pcrRead(this.#tpm, indices);
        const { attest, signature } = await quote(this.#tpm, request.key, {
          qualifyingData: request.qualifier,
          pcrs: [{ hash: 'sha256', pcrSelect: indices }],
        });
        if (attempt < 5 && !fits(attest, signature, values)) continue;
        return encodeEvidence({
          quote: attest,
          signature,
          pcrs: new Map(indices.map((index, i) => [index, values[i] ?? new Uint8Array(32)])),
          runtimeLog: this.#entries,
          aibom: request.aibom,
        });
      }
    });
  }

  #append(entry: Measurement): Promise<void> {
    return this.#inTurn(async () => {
      const checked = check(measurementSchema, entry, 'measurement');
      if (this.#entries.length >= RUNTIME_LOG_MAX)
        throw new RuntimeLogFull(`the runtime log has ${RUNTIME_LOG_MAX} entries`);
      const entries = [...this.#entries, checked];
      // Stored first: an entry that is in the log and not in the PCR can be extended later, one that is in the PCR alone
      // is lost for ever.
      await writeLog(this.#store, this.pcr, entries);
      this.#entries = entries;
      try {
        await pcrExtend(this.#tpm, this.pcr, { sha256: measurementDigest(checked) });
      } catch (error) {
        this.#broken = true; // whether the TPM did it is unknown; the next start finds out
        throw error;
      }
    });
  }
}

/** Whether a quote is about these values. */
function fits(attest: Uint8Array, signature: Uint8Array, values: readonly Uint8Array[]): boolean {
  const quoted = readAttest(attest);
  const signed = readSignature(signature);
  if (quoted.type !== 'attestQuote' || !('hash' in signed)) return false;
  return equal(quoted.attested.pcrDigest, pcrDigest(signed.hash, values));
}

/** How many entries of `entries` the PCR has seen; `undefined` when its value is none of theirs. */
function prefixOf(entries: readonly Measurement[], value: Uint8Array): number | undefined {
  for (let length = entries.length; length > 0; length--)
    if (equal(replay(entries.slice(0, length)), value)) return length;
  return undefined;
}

async function readLog(store: Store, pcr: number): Promise<readonly Measurement[]> {
  const bytes = await store.read(FILE);
  if (bytes === undefined) return [];
  try {
    const file = check(fileSchema, parseJson(bytes, { maxBytes: 1 << 20 }), 'runtime log');
    return file.pcr === pcr ? file.entries : [];
  } catch (error) {
    if (error instanceof Malformed) return []; // the PCR decides whether anything is missing
    throw error;
  }
}

async function writeLog(store: Store, pcr: number, entries: readonly Measurement[]): Promise<void> {
  await store.write(FILE, canonicalBytes({ version: 1, pcr, entries }));
}
