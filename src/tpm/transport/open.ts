import { deviceTransport } from './device.ts';
import { swtpmTransport } from './socket.ts';
import type { Transport } from './transport.ts';

/**
 * The transport that a configuration names: `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321` or
 * `swtpm:path=/run/swtpm/sock` (the notation of tpm2-tools). Nothing is opened before the first command.
 *
 * @throws {TypeError} when `spec` is none of these.
 */
export function openTransport(spec: string): Transport {
  const colon = spec.indexOf(':');
  const kind = colon < 0 ? spec : spec.slice(0, colon);
  const rest = colon < 0 ? '' : spec.slice(colon + 1);
  if (kind === 'device') {
    if (rest !== '' && !rest.startsWith('/')) throw unknown(spec);
    return deviceTransport(rest === '' ? undefined : rest);
  }
  if (kind !== 'swtpm') throw unknown(spec);
  const options = new Map<string, string>();
  for (const part of rest === '' ? [] : rest.split(',')) {
    const equals = part.indexOf('=');
    const key = part.slice(0, Math.max(equals, 0));
    if (!['host', 'port', 'path'].includes(key) || options.has(key)) throw unknown(spec);
    options.set(key, part.slice(equals + 1));
  }
  const path = options.get('path');
  if (path !== undefined) {
    if (options.size > 1 || path === '') throw unknown(spec);
    return swtpmTransport({ path });
  }
  const port = Number(options.get('port') ?? '2321');
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw unknown(spec);
  return swtpmTransport({ host: options.get('host') ?? '127.0.0.1', port });
}

function unknown(spec: string): TypeError {
  return new TypeError(
    `\`${spec}\` is no transport: \`device:/dev/tpmrm0\`, \`swtpm:host=…,port=…\` or \`swtpm:path=…\``,
  );
}
