import { hex } from '../core/bytes.ts';
import type { DerElement } from '../core/der.ts';
import {
  asciiOf,
  childrenOf,
  expectTag,
  readBoolean,
  readDer,
  readNamedBits,
  readOid,
  readSequence,
  readSmallInteger,
  readText,
  TAG,
} from '../core/der.ts';
import { Malformed } from '../core/errors.ts';
import type { DistinguishedName } from './name.ts';
import { readName } from './name.ts';
import { OID } from './oids.ts';

/** Bits of keyUsage by name (RFC 5280 §4.2.1.3). */
export type KeyUsage =
  | 'digitalSignature'
  | 'nonRepudiation'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign'
  | 'encipherOnly'
  | 'decipherOnly';

/** Names of keyUsage bits, by bit number. */
export const KEY_USAGES: readonly KeyUsage[] = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
];

/** id-on-hardwareModuleName (RFC 4108 §5). */
export interface HardwareModuleName {
  readonly type: string;
  /** For a TPM: `<manufacturer>:<AKI of the EK certificate>:<serial of the EK certificate>`, hexadecimal. */
  readonly serial: string;
}

/** id-on-permanentIdentifier (RFC 4043). */
export interface PermanentIdentifier {
  readonly value?: string | undefined;
  readonly assigner?: string | undefined;
}

/** The subjectAltName of a certificate. */
export interface SubjectAltName {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
  /** As the host of a URL writes them: `127.0.0.1`, `::1` (RFC 5952). */
  readonly ips: readonly string[];
  readonly directoryNames: readonly DistinguishedName[];
  readonly hardwareModules: readonly HardwareModuleName[];
  readonly permanentIdentifiers: readonly PermanentIdentifier[];
  /** Object identifiers of other names, and `[n]` of forms the profile does not read. */
  readonly others: readonly string[];
}

/** nameConstraints (RFC 5280 §4.2.1.10), for the two forms the profile constrains. */
export interface NameConstraints {
  readonly permittedUris: readonly string[];
  readonly excludedUris: readonly string[];
  readonly permittedDns: readonly string[];
  readonly excludedDns: readonly string[];
  /** A constraint of another form, or with a minimum or maximum: the validator refuses such a CA. */
  readonly others: boolean;
}

/** The extensions the profile reads. */
export interface CertificateExtensions {
  readonly subjectAltName?: SubjectAltName | undefined;
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number | undefined } | undefined;
  readonly keyUsage?: ReadonlySet<KeyUsage> | undefined;
  /** Object identifiers. */
  readonly extendedKeyUsage?: readonly string[] | undefined;
  /** Object identifiers. */
  readonly policies?: readonly string[] | undefined;
  /** Lower-case hexadecimal. */
  readonly authorityKeyId?: string | undefined;
  /** Lower-case hexadecimal. */
  readonly subjectKeyId?: string | undefined;
  readonly nameConstraints?: NameConstraints | undefined;
  /** Object identifiers of critical extensions nobody here understands. */
  readonly unknownCritical: readonly string[];
}

/** Reads the list of extensions; one extension may stand in it once. @throws {Malformed} */
export function readExtensions(list: readonly DerElement[]): CertificateExtensions {
  const out: Partial<Record<keyof CertificateExtensions, unknown>> = {};
  const unknownCritical: string[] = [];
  const seen = new Set<string>();
  for (const extension of list) {
    const parts = readSequence(extension);
    const id = readOid(parts[0]);
    if (seen.has(id)) throw new Malformed(`extension ${id} appears twice`);
    seen.add(id);
    const critical = parts.length === 3 && readBoolean(parts[1]);
    if (parts.length < 2 || parts.length > 3 || (parts.length === 3 && !critical))
      throw new Malformed(`extension ${id} is not DER`); // FALSE is the default and is left out
    const { content } = expectTag(parts.at(-1), TAG.octetString);
    const reader = READERS[id];
    if (reader === undefined) {
      if (critical) unknownCritical.push(id);
      continue;
    }
    const [name, read] = reader;
    out[name] = read(readDer(content));
  }
  return { ...(out as CertificateExtensions), unknownCritical };
}

const READERS: Readonly<
  Record<string, readonly [keyof CertificateExtensions, (value: DerElement) => unknown]>
> = {
  [OID.subjectAltName]: ['subjectAltName', readSubjectAltName],
  [OID.basicConstraints]: ['basicConstraints', readBasicConstraints],
  [OID.keyUsage]: ['keyUsage', readKeyUsage],
  [OID.extendedKeyUsage]: ['extendedKeyUsage', (value) => someOids(readSequence(value))],
  [OID.certificatePolicies]: ['policies', readPolicies],
  [OID.authorityKeyIdentifier]: ['authorityKeyId', readAuthorityKeyId],
  [OID.subjectKeyIdentifier]: ['subjectKeyId', (value) => hex(expectTag(value, TAG.octetString).content)],
  [OID.nameConstraints]: ['nameConstraints', readNameConstraints],
};

function readBasicConstraints(value: DerElement): CertificateExtensions['basicConstraints'] {
  const parts = readSequence(value);
  if (parts.length === 0) return { ca: false };
  const [ca, pathLength, more] = parts;
  // Some vendors write FALSE out; it is the default and harmless.
  if (more !== undefined) throw new Malformed('basicConstraints of three parts');
  const isCa = readBoolean(ca);
  if (pathLength === undefined) return { ca: isCa };
  if (!isCa) throw new Malformed('a path length without the CA flag');
  return { ca: true, pathLength: readSmallInteger(pathLength) };
}

function readKeyUsage(value: DerElement): ReadonlySet<KeyUsage> {
  return new Set(
    readNamedBits(value).map((bit) => {
      const usage = KEY_USAGES[bit];
      if (usage === undefined) throw new Malformed('a key usage nobody defined');
      return usage;
    }),
  );
}

function someOids(elements: readonly DerElement[]): readonly string[] {
  if (elements.length === 0) throw new Malformed('an empty list of object identifiers');
  return elements.map(readOid);
}

function readPolicies(value: DerElement): readonly string[] {
  const policies = readSequence(value).map((information) => readOid(readSequence(information)[0]));
  if (policies.length === 0) throw new Malformed('certificatePolicies without a policy');
  if (new Set(policies).size !== policies.length) throw new Malformed('a policy appears twice');
  return policies;
}

function readAuthorityKeyId(value: DerElement): string | undefined {
  const id = readSequence(value).find(({ tag }) => tag === 0x80);
  return id === undefined ? undefined : hex(id.content);
}

function readSubjectAltName(value: DerElement): SubjectAltName {
  const names = readSequence(value);
  if (names.length === 0) throw new Malformed('subjectAltName without a name');
  const uris: string[] = [];
  const dns: string[] = [];
  const ips: string[] = [];
  const directoryNames: DistinguishedName[] = [];
  const hardwareModules: HardwareModuleName[] = [];
  const permanentIdentifiers: PermanentIdentifier[] = [];
  const others: string[] = [];
  for (const name of names) {
    switch (name.tag) {
      case 0x86:
        uris.push(asciiOf(name.content));
        break;
      case 0x82:
        dns.push(asciiOf(name.content).toLowerCase());
        break;
      case 0x87:
        ips.push(ipText(name.content));
        break;
      case 0xa4: {
        const [inner, ...more] = childrenOf(name);
        if (inner === undefined || more.length > 0) throw new Malformed('a directoryName of several parts');
        directoryNames.push(readName(inner));
        break;
      }
      case 0xa0: {
        const [type, wrapped, more] = childrenOf(name);
        const id = readOid(type);
        const [inner, extra] = childrenOf(expectTag(wrapped, 0xa0));
        if (inner === undefined || more !== undefined || extra !== undefined)
          throw new Malformed('an otherName of several values');
        if (id === OID.hardwareModuleName) hardwareModules.push(readHardwareModule(inner));
        else if (id === OID.permanentIdentifier) permanentIdentifiers.push(readPermanentIdentifier(inner));
        else others.push(id);
        break;
      }
      default:
        others.push(`[${name.tag & 0x1f}]`);
    }
  }
  return { uris, dns, ips, directoryNames, hardwareModules, permanentIdentifiers, others };
}

function readHardwareModule(element: DerElement): HardwareModuleName {
  const [type, serial, more] = readSequence(element);
  if (more !== undefined) throw new Malformed('a hardwareModuleName of three parts');
  return { type: readOid(type), serial: asciiOf(expectTag(serial, TAG.octetString).content) };
}

function readPermanentIdentifier(element: DerElement): PermanentIdentifier {
  const parts = readSequence(element);
  const value = parts[0]?.tag === TAG.oid ? undefined : parts[0];
  const rest = value === undefined ? parts : parts.slice(1);
  if (rest.length > 1) throw new Malformed('a permanentIdentifier of three parts');
  return {
    value: value === undefined ? undefined : readText(value),
    assigner: rest[0] === undefined ? undefined : readOid(rest[0]),
  };
}

function readNameConstraints(value: DerElement): NameConstraints {
  const out = {
    permittedUris: [] as string[],
    excludedUris: [] as string[],
    permittedDns: [] as string[],
    excludedDns: [] as string[],
    others: false,
  };
  const parts = readSequence(value);
  if (parts.length === 0) throw new Malformed('nameConstraints without a constraint');
  for (const part of parts) {
    if (part.tag !== 0xa0 && part.tag !== 0xa1) throw new Malformed('nameConstraints of another form');
    const permitted = part.tag === 0xa0;
    for (const subtree of childrenOf(part)) {
      const [base, ...bounds] = readSequence(subtree);
      if (base === undefined) throw new Malformed('an empty subtree');
      if (bounds.length > 0) out.others = true;
      else if (base.tag === 0x86)
        (permitted ? out.permittedUris : out.excludedUris).push(asciiOf(base.content).toLowerCase());
      else if (base.tag === 0x82)
        (permitted ? out.permittedDns : out.excludedDns).push(asciiOf(base.content).toLowerCase());
      else out.others = true;
    }
  }
  return out;
}

function ipText(content: Uint8Array): string {
  if (content.length === 4) return [...content].join('.');
  if (content.length !== 16) throw new Malformed('an IP address of 4 or 16 bytes');
  const groups = (hex(content).match(/.{4}/g) ?? []).join(':');
  return new URL(`http://[${groups}]`).hostname.slice(1, -1); // RFC 5952, as the host of a URL is written
}
