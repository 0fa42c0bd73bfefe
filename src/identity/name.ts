import type { DerElement } from '../core/der.ts';
import { childrenOf, expectTag, readOid, readSequence, readText, TAG } from '../core/der.ts';
import { oid, printableString, sequence, set, utf8String } from '../core/der-writer.ts';
import { Malformed } from '../core/errors.ts';
import { OID } from './oids.ts';

/** A distinguished name: what the profile looks at. Comparison is by DER, not by this. */
export interface DistinguishedName {
  readonly commonName?: string | undefined;
  /** The product's serial number (TCG profile). */
  readonly serialNumber?: string | undefined;
  readonly organization?: string | undefined;
  /** Every attribute, in order, as object identifier and text. */
  readonly attributes: readonly (readonly [oid: string, value: string])[];
}

/** A Name (RFC 5280 §4.1.2.4). @throws {Malformed} */
export function readName(element: DerElement): DistinguishedName {
  const attributes: [string, string][] = [];
  for (const rdn of readSequence(element)) {
    for (const pair of childrenOf(expectTag(rdn, TAG.set))) {
      const [type, value, more] = readSequence(pair);
      if (more !== undefined) throw new Malformed('a name attribute of three parts');
      attributes.push([readOid(type), readText(value)]);
    }
  }
  const one = (wanted: string) => {
    const found = attributes.filter(([name]) => name === wanted);
    return found.length === 1 ? found[0]?.[1] : undefined; // two serial numbers are no serial number
  };
  return {
    commonName: one(OID.commonName),
    serialNumber: one(OID.serialNumber),
    organization: one(OID.organization),
    attributes,
  };
}

/** What a name is made from. */
export interface NameParts {
  readonly organization?: string | undefined;
  readonly commonName?: string | undefined;
  /** PrintableString characters only (RFC 5280 appendix A). */
  readonly serialNumber?: string | undefined;
}

/** DER of a Name: one attribute in each RDN. */
export function writeName(parts: NameParts): Uint8Array {
  const rdn = (type: string, value: Uint8Array) => set(sequence(oid(type), value));
  return sequence(
    ...(parts.organization === undefined ? [] : [rdn(OID.organization, utf8String(parts.organization))]),
    ...(parts.commonName === undefined ? [] : [rdn(OID.commonName, utf8String(parts.commonName))]),
    ...(parts.serialNumber === undefined ? [] : [rdn(OID.serialNumber, printableString(parts.serialNumber))]),
  );
}
