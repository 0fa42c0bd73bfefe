import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BadConfiguration } from '../agent/index.ts';
import { messageOf } from '../core/errors.ts';
import type { Device } from '../grants/index.ts';
import { defineDevice } from '../grants/index.ts';
import type { DeviceConfig } from './config.ts';

/**
 * Loads a device's code: `driver.js` with `device(options)`, or `twin.js` with `twin(options)`; `.ts` where what runs the
 * program can read it. Measure the folder first.
 *
 * @throws {BadConfiguration}
 */
export async function loadDevice({ folder, twin, options }: DeviceConfig): Promise<Device> {
  const [file, name] = twin ? (['twin', 'twin'] as const) : (['driver', 'device'] as const);
  const path = await firstOf([join(folder, `${file}.js`), join(folder, `${file}.ts`)]);
  if (path === undefined) throw new BadConfiguration(`\`${folder}\` has no \`${file}.js\``);
  try {
    const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
    const make = module[name];
    if (typeof make !== 'function') throw new TypeError(`it exports no function \`${name}\``);
    const device = make(options) as Partial<Device> | undefined;
    if (typeof device?.open !== 'function' || typeof device.description !== 'object')
      throw new TypeError(`\`${name}\` returned no device`);
    return defineDevice(device as Device);
  } catch (cause) {
    throw new BadConfiguration(`the device in \`${folder}\` cannot be used: ${messageOf(cause)}`, { cause });
  }
}

async function firstOf(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths)
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  return undefined;
}
