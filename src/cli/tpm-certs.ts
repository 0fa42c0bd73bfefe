import { equal, hex } from '../core/bytes.ts';
import { readDerPrefix } from '../core/der.ts';
import { messageOf } from '../core/errors.ts';
import { nodePlatform } from '../core/node.ts';
import { pem } from '../core/pem.ts';
import type { Certificate } from '../identity/index.ts';
import { parseCertificate } from '../identity/index.ts';
import type { Tpm } from '../tpm/index.ts';
import { listHandles, nvReadPublic, spkiOfPublic } from '../tpm/index.ts';
import type { Command, Io } from './command.ts';
import { flag } from './command.ts';
import { handleOf, handleText, TpmCannot, tpmOption, withTpm } from './tpm.ts';
import { keysAt } from './tpm-keys.ts';
import { openRead } from './tpm-nv.ts';
import { dayOf, nameInWords, policyInWords, roleOfIndex } from './tpm-words.ts';

/** `fealty tpm certs`. */
export const tpmCerts: Command = {
  arguments: '[INDEX …]',
  count: [0, 64],
  about:
    'The certificates in the NV of a TPM: of its endorsement key, of its device identity, and their chains. They are shown,\n' +
    'not verified: a registrar does that. It reads and changes nothing.',
  options: { tpm: tpmOption, pem: { type: 'boolean', describe: 'print the certificates alone, as PEM' } },
  examples: [
    ['tpm certs', 'every certificate'],
    ['tpm certs 0x01c90200 --pem | openssl x509 -noout -text', 'the IDevID, in full'],
  ],
  run: async (input, io) => {
    const only = input.positionals.map(handleOf);
    const found = await withTpm(input, (tpm) => certificatesIn(tpm, only));
    const missing = only.find((index) => !found.some((one) => one.index === index));
    if (missing !== undefined) throw new TpmCannot(`there is no certificate at ${handleText(missing)}`);
    const now = nodePlatform({ directory: '.' }).clock.now();
    if (flag(input, 'json')) io.json({ certificates: found.map((one) => asData(one)) });
    else if (flag(input, 'pem')) printPem(found, io);
    else if (found.length === 0) io.print('The TPM holds no certificate.');
    else for (const line of found.flatMap((one) => asWords(one, now))) io.print(line);
    return 0;
  },
};

/** A certificate in NV, or why what is there cannot be shown. */
export type FoundCertificate = { readonly index: number } & (
  | {
      readonly certificate: Certificate;
      /** The persistent key of the TPM that it is for, if one is. */
      readonly key: number | undefined;
    }
  | { readonly unreadable: string }
);

/** The certificates in the indices that TCG sets apart for them, or in those named. */
export async function certificatesIn(
  tpm: Tpm,
  only: readonly number[] = [],
): Promise<readonly FoundCertificate[]> {
  const keys = (await keysAt(tpm, 'persistent')).flatMap((key) => {
    const type = 'object' in key ? key.object.public.type : undefined;
    return 'object' in key && (type === 'ecc' || type === 'rsa')
      ? [{ handle: key.handle, spki: spkiOfPublic(key.object.public) }]
      : [];
  });
  const found: FoundCertificate[] = [];
  for (const index of await listHandles(tpm, 'nvIndex')) {
    if (only.length > 0 ? !only.includes(index) : !mayHoldCertificates(index)) continue;
    const at = await nvReadPublic(tpm, index);
    if (at === undefined || at.public.attributes.nt !== 'ordinary') continue;
    const content = await openRead(tpm, at);
    if (content === undefined) {
      found.push({ index, unreadable: 'it was never written, or wants an auth value' });
      continue;
    }
    for (const read of certificatesOf(content))
      if (typeof read === 'string') found.push({ index, unreadable: read });
      else {
        const key = keys.find(({ spki }) => equal(spki, read.spki))?.handle;
        found.push({ index, certificate: read, key });
      }
  }
  return found;
}

/** Ranges of EK certificates and of device identity, without the EK's nonces and templates and without policies. */
function mayHoldCertificates(index: number): boolean {
  if (index >= 0x01c00000 && index <= 0x01c001ff)
    return !/nonce|template/.test(roleOfIndex(index) ?? '') && !(index >= 0x01c00020 && index <= 0x01c000ff);
  return index >= 0x01c90000 && index <= 0x01c9ffff && !(index >= 0x01c90010 && index <= 0x01c9001f);
}

/** The certificates that stand one behind the other, up to the padding; a text says why one cannot be read. */
function certificatesOf(content: Uint8Array): readonly (Certificate | string)[] {
  const found: (Certificate | string)[] = [];
  for (let rest = content; rest[0] === 0x30 || found.length === 0; )
    try {
      const { raw } = readDerPrefix(rest);
      found.push(parseCertificate(raw.slice()));
      rest = rest.subarray(raw.length);
    } catch (error) {
      return [...found, messageOf(error)];
    }
  return found;
}

function printPem(found: readonly FoundCertificate[], io: Io): void {
  for (const one of found)
    if ('certificate' in one)
      io.print(`# ${handleText(one.index)}\n${pem('CERTIFICATE', one.certificate.der).trimEnd()}`);
    else io.note(`fealty: ${handleText(one.index)} holds no certificate that can be read: ${one.unreadable}`);
}

function asWords(found: FoundCertificate, now: number): readonly string[] {
  const head = `${handleText(found.index)}  ${roleOfIndex(found.index) ?? 'certificate'}`;
  if ('unreadable' in found) return [`${head}`, `            not readable: ${found.unreadable}`];
  const { certificate, key } = found;
  const { notBefore, notAfter, subjectAltName: names } = certificate;
  const validity = notBefore > now ? ', not valid yet' : notAfter < now ? ', not valid any more' : '';
  const modules = names?.hardwareModules.map(({ serial }) => serial) ?? [];
  const line = (name: string, text: string) => `            ${name.padEnd(9)} ${text}`;
  return [
    head,
    line('subject', nameInWords(certificate.subject)),
    line('issuer', nameInWords(certificate.issuer)),
    line('valid', `${dayOf(notBefore)} to ${dayOf(notAfter)}${validity}`),
    ...(certificate.policies ?? []).map((policy) => line('policy', policyInWords(policy))),
    ...modules.map((serial) => line('module', serial)),
    ...(names?.directoryNames ?? []).map((name) => line('TPM', nameInWords(name))),
    line('key', `${kindOf(certificate)}${key === undefined ? '' : `, at ${handleText(key)}`}`),
  ];
}

function asData(found: FoundCertificate): object {
  const index = handleText(found.index);
  const role = roleOfIndex(found.index);
  if ('unreadable' in found) return { index, role, unreadable: found.unreadable };
  const { certificate, key } = found;
  return {
    index,
    role,
    subject: nameInWords(certificate.subject),
    issuer: nameInWords(certificate.issuer),
    serial: certificate.serial,
    notBefore: new Date(certificate.notBefore).toISOString(),
    notAfter: new Date(certificate.notAfter).toISOString(),
    policies: certificate.policies ?? [],
    hardwareModules: certificate.subjectAltName?.hardwareModules ?? [],
    subjectKeyId: certificate.subjectKeyId,
    spki: hex(certificate.spki),
    key: key === undefined ? undefined : handleText(key),
    pem: pem('CERTIFICATE', certificate.der),
  };
}

function kindOf({ publicKey }: Certificate): string {
  if (publicKey.kind === 'rsa') return `RSA ${publicKey.modulus.length * 8}`;
  return { p256: 'P-256', p384: 'P-384', p521: 'P-521' }[publicKey.kind];
}
