import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importsOf, root } from './sources.ts';

/** Ends that a device never carries: their files, or whole folders. */
const serverSide = [
  /^src\/authority\//,
  /^src\/hub\//,
  /^src\/provisioning\/(registrar|maker)[.-]/,
  /^src\/provisioning\/(registrar|maker)\//,
  /^src\/registry\/registry[.-]/,
  /^src\/attestation\/verifier[.-]/,
  /^src\/tokens\/issuer[.-]/,
  /^src\/permissions\/pap[.-]/,
  /^src\/audit\/auditor[.-]/,
  /^src\/identity\/issue[.-]/,
  /^src\/core\/webcrypto[.-]/,
  /^src\/tpm\/webcrypto\//,
  /^simulator\//,
  /^devices\//,
];

/** What the bundled agent may carry from others. */
const devicePackages = ['mqtt', 'jose', 'valibot', 'eventemitter3', 'cborg', 'suncalc'];

/** Files that are loaded when `entry` is, following static imports that survive compilation. */
function reached(entry: string): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const open = [entry];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    if (!existsSync(join(root, file))) throw new Error(`${file} does not exist`);
    for (const { path, specifier, dynamic, typeOnly } of importsOf(file)) {
      if (dynamic || typeOnly) continue;
      if (path !== undefined) open.push(path);
      else if (!specifier.startsWith('node:'))
        packages.add(
          specifier
            .split('/')
            .slice(0, specifier.startsWith('@') ? 2 : 1)
            .join('/'),
        );
    }
  }
  return { files, packages };
}

describe.each(['src/index.ts', 'src/agent/index.ts', 'src/cli/agent.ts'])('what %s loads', (entry) => {
  const { files, packages } = reached(entry);

  it('is the device side of the steps', () => {
    expect(files.size).toBeGreaterThan(30);
    expect([...files].filter((file) => serverSide.some((pattern) => pattern.test(file)))).toEqual([]);
  });

  it('needs only the packages a device may carry', () => {
    expect([...packages].filter((name) => !devicePackages.includes(name))).toEqual([]);
  });
});
