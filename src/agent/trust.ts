import { FealtyError } from '../core/errors.ts';
import type { Clock, TlsOptions } from '../core/platform.ts';
import { validateChain } from '../identity/index.ts';
import { ServerRefused } from './errors.ts';

/**
 * Judges the certificates of a server of the owner's (authority, broker): a chain to one of the owner's anchors, and the
 * host it was reached at among its names.
 *
 * @param host as in the URL: a DNS name or an address.
 */
export function ownersServer(
  anchors: () => readonly Uint8Array[],
  host: string,
  clock: Clock,
): TlsOptions['verifyPeer'] {
  return (chain) => {
    const [leaf, ...rest] = chain;
    if (leaf === undefined) throw new ServerRefused('certificate', 'the server shows no certificate');
    // A server may send its root along; it is judged by the anchor we hold, not by the one it shows.
    const intermediates = rest.filter(
      (shown) => !anchors().some((anchor) => Buffer.compare(anchor, shown) === 0),
    );
    try {
      const { leaf: certificate } = validateChain({
        leaf,
        intermediates,
        anchors: anchors(),
        at: clock.now(),
        purpose: 'server',
      });
      const names = certificate.subjectAltName;
      if (!names?.dns.includes(host) && !names?.ips.includes(host))
        throw new ServerRefused('host', `the server's certificate is not for \`${host}\``);
    } catch (cause) {
      if (cause instanceof ServerRefused || !(cause instanceof FealtyError)) throw cause;
      throw new ServerRefused('certificate', `the server's certificate is refused: ${cause.message}`, {
        cause,
      });
    }
  };
}

/** Host and port of a URL such as `https://127.0.0.1:8443` or `mqtts://broker.example:8883`. */
export function hostOf(url: string): { readonly host: string; readonly port: number } {
  const parsed = new URL(url);
  const standard = parsed.protocol === 'mqtts:' ? 8883 : 443;
  return { host: parsed.hostname.replace(/^\[|\]$/g, ''), port: Number(parsed.port || standard) };
}
