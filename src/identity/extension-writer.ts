import { fromHex, utf8 } from '../core/bytes.ts';
import {
  boolean,
  constructed,
  integer,
  namedBits,
  octetString,
  oid,
  primitive,
  sequence,
  utf8String,
} from '../core/der-writer.ts';
import type { KeyUsage } from './extensions.ts';
import { KEY_USAGES } from './extensions.ts';
import { OID } from './oids.ts';

/** One extension to be put into a certificate. */
export interface ExtensionValue {
  readonly id: string;
  readonly critical: boolean;
  /** DER inside the extension's OCTET STRING. */
  readonly value: Uint8Array;
}

/** basicConstraints, critical. Without `pathLength`, no bound; `undefined` for a leaf. */
export function basicConstraints(ca?: { readonly pathLength?: number | undefined }): ExtensionValue {
  const content =
    ca === undefined ? [] : [boolean(true), ...(ca.pathLength === undefined ? [] : [integer(ca.pathLength)])];
  return { id: OID.basicConstraints, critical: true, value: sequence(...content) };
}

/** keyUsage, critical. */
export function keyUsage(...usages: readonly KeyUsage[]): ExtensionValue {
  return {
    id: OID.keyUsage,
    critical: true,
    value: namedBits(usages.map((usage) => KEY_USAGES.indexOf(usage))),
  };
}

/** extendedKeyUsage. */
export function extendedKeyUsage(...usages: readonly string[]): ExtensionValue {
  return { id: OID.extendedKeyUsage, critical: false, value: sequence(...usages.map(oid)) };
}

/** certificatePolicies without qualifiers. */
export function certificatePolicies(...policies: readonly string[]): ExtensionValue {
  return {
    id: OID.certificatePolicies,
    critical: false,
    value: sequence(...policies.map((policy) => sequence(oid(policy)))),
  };
}

/** authorityKeyIdentifier. @param keyId hexadecimal. */
export function authorityKeyId(keyId: string): ExtensionValue {
  return { id: OID.authorityKeyIdentifier, critical: false, value: sequence(primitive(0, fromHex(keyId))) };
}

/** subjectKeyIdentifier. @param keyId hexadecimal. */
export function subjectKeyId(keyId: string): ExtensionValue {
  return { id: OID.subjectKeyIdentifier, critical: false, value: octetString(fromHex(keyId)) };
}

/** nameConstraints, critical: the CA may name agents of `trustDomain` alone (URI SANs; other forms stay free). */
export function permittedTrustDomain(trustDomain: string): ExtensionValue {
  return {
    id: OID.nameConstraints,
    critical: true,
    value: sequence(constructed(0, sequence(primitive(6, utf8(trustDomain))))),
  };
}

/** subjectAltName of the given general names. @param critical when the subject is empty (RFC 5280 §4.2.1.6). */
export function subjectAltName(names: readonly Uint8Array[], critical: boolean = false): ExtensionValue {
  return { id: OID.subjectAltName, critical, value: sequence(...names) };
}

/** GeneralName: uniformResourceIdentifier. */
export function uriName(uri: string): Uint8Array {
  return primitive(6, utf8(uri));
}

/** GeneralName: dNSName, or iPAddress when `host` is an IPv4 or IPv6 address. */
export function hostName(host: string): Uint8Array {
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)) {
    const parts = host.split('.').map(Number);
    if (parts.some((part) => part > 255)) throw new TypeError(`not an IPv4 address: \`${host}\``);
    return primitive(7, Uint8Array.from(parts));
  }
  if (host.includes(':')) return primitive(7, ipv6(host));
  if (!/^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(host))
    throw new TypeError(`not a host name: \`${host}\``);
  return primitive(2, utf8(host));
}

/** GeneralName: directoryName. @param name DER of a Name. */
export function directoryName(name: Uint8Array): Uint8Array {
  return constructed(4, name);
}

/** GeneralName: otherName hardwareModuleName {TPM 2.0, serial} (TCG profile). */
export function hardwareModuleName(serial: string): Uint8Array {
  return otherName(OID.hardwareModuleName, sequence(oid(OID.tpm20), octetString(utf8(serial))));
}

/** GeneralName: otherName permanentIdentifier {value, tcg-on-ekPermIdSha256}. */
export function permanentIdentifier(value: string): Uint8Array {
  return otherName(OID.permanentIdentifier, sequence(utf8String(value), oid(OID.ekPermIdSha256)));
}

function otherName(type: string, value: Uint8Array): Uint8Array {
  return constructed(0, oid(type), constructed(0, value));
}

function ipv6(host: string): Uint8Array {
  const [head = '', tail, more] = host.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const before = groups(head);
  const after = groups(tail ?? '');
  const missing = 8 - before.length - after.length;
  const all = [
    ...before,
    ...Array<string>(tail === undefined ? 0 : Math.max(0, missing)).fill('0'),
    ...after,
  ];
  if (more !== undefined || all.length !== 8 || !all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)))
    throw new TypeError(`not an IPv6 address: \`${host}\``);
  return fromHex(all.map((group) => group.padStart(4, '0')).join(''));
}
