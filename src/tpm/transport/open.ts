import { deviceTransport } from './device.ts';
import { mssimTransport } from './mssim.ts';
import { swtpmTransport } from './socket.ts';
import type { Transport } from './transport.ts';

/**
 * The transport that a configuration names: `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`,
 * `swtpm:path=/run/swtpm/sock` or `mssim:host=127.0.0.1,port=2321` (the notation of tpm2-tools). Nothing is opened before
 * the first command.
 *
 * @throws {TypeError} when `spec` is none of these.
 */
export function openTransport(spec: string): Transport {
  if (!spec.startsWith('mssim:') && spec !== 'mssim') return openRobotTransport(spec);
  return mssimTransport(addressOf(spec, optionsOf(spec, ['host', 'port'])));
}

/** As {@link openTransport}, of what a robot has: a device or swtpm, no simulator of Microsoft's kind. */
export function openRobotTransport(spec: string): Transport {
  const [kind = '', rest = ''] = cut(spec);
  if (kind === 'device') {
    if (rest !== '' && !rest.startsWith('/')) throw unknown(spec);
    return deviceTransport(rest === '' ? undefined : rest);
  }
  if (kind !== 'swtpm') throw unknown(spec);
  const options = optionsOf(spec, ['host', 'port', 'path']);
  const path = options.get('path');
  if (path === undefined) return swtpmTransport(addressOf(spec, options));
  if (options.size > 1 || path === '') throw unknown(spec);
  return swtpmTransport({ path });
}

function cut(spec: string): readonly string[] {
  const colon = spec.indexOf(':');
  return colon < 0 ? [spec] : [spec.slice(0, colon), spec.slice(colon + 1)];
}

function optionsOf(spec: string, known: readonly string[]): ReadonlyMap<string, string> {
  const [, rest = ''] = cut(spec);
  const options = new Map<string, string>();
  for (const part of rest === '' ? [] : rest.split(',')) {
    const equals = part.indexOf('=');
    const key = part.slice(0, Math.max(equals, 0));
    if (!known.includes(key) || options.has(key)) throw unknown(spec);
    options.set(key, part.slice(equals + 1));
  }
  return options;
}

function addressOf(
  spec: string,
  options: ReadonlyMap<string, string>,
): { readonly host: string; readonly port: number } {
  const port = Number(options.get('port') ?? '2321');
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw unknown(spec);
  return { host: options.get('host') ?? '127.0.0.1', port };
}

function unknown(spec: string): TypeError {
  return new TypeError(
    `\`${spec}\` is no transport: \`device:/dev/tpmrm0\`, \`swtpm:host=…,port=…\` or \`swtpm:path=…\``,
  );
}
