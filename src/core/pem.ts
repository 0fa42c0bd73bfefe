import { base64, fromBase64 } from './bytes.ts';
import { Malformed } from './errors.ts';

/** PEM text (RFC 7468) of DER bytes under `label`, for example `CERTIFICATE`. */
export function pem(label: string, der: Uint8Array): string {
  const lines = base64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** PEM text of certificates, leaf first. */
export function pemOfCertificates(chain: readonly Uint8Array[]): string {
  return chain.map((der) => pem('CERTIFICATE', der)).join('');
}

/** DER of every block with `label` in `source`. @throws {Malformed} when there is none. */
export function fromPem(label: string, source: string): Uint8Array[] {
  const blocks = [
    ...source.matchAll(new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`, 'g')),
  ];
  if (blocks.length === 0) throw new Malformed(`no ${label} in the PEM text`);
  return blocks.map(([, body = '']) => fromBase64(body.replace(/\s/g, '')));
}
