import * as cborg from 'cborg';
import { Malformed, messageOf } from './errors.ts';

/** Deterministic CBOR (RFC 8949 §4.2.1). Maps are given as `Map` or plain objects; `undefined` is refused. */
export function encodeCbor(value: unknown): Uint8Array {
  return cborg.encode(value, cborg.rfc8949EncodeOptions);
}

/**
 * Decodes *deterministic* CBOR only: shortest forms, no indefinite lengths, no duplicate keys, nothing after the item.
 *
 * @param options.useMaps maps become `Map` (needed for integer keys, as in COSE). Default: false.
 * @throws {Malformed}
 */
export function decodeCbor(
  bytes: Uint8Array,
  options: {
    readonly useMaps?: boolean;
    readonly tags?: Readonly<Record<number, (inner: unknown) => unknown>>;
  } = {},
): unknown {
  try {
    return cborg.decode(bytes, {
      strict: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowNaN: false,
      allowInfinity: false,
      rejectDuplicateMapKeys: true,
      useMaps: options.useMaps ?? false,
      tags: Object.fromEntries(
        Object.entries(options.tags ?? {}).map(([tag, read]) => [
          tag,
          (inner: () => unknown) => read(inner()),
        ]),
      ),
    } as cborg.DecodeOptions);
  } catch (cause) {
    throw new Malformed(`not deterministic CBOR: ${messageOf(cause)}`, { cause });
  }
}
