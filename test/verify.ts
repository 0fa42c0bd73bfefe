/**
 * `npm run verify`: installs the Debian packages of the real peers when they are missing, then runs `npm test`.
 * Without root or `sudo -n` nothing is installed, and the tests that need a peer are skipped with a line that says so.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Program → Debian package it comes in. */
const peers: Readonly<Record<string, string>> = {
  swtpm: 'swtpm',
  swtpm_setup: 'swtpm-tools',
  tpm2_getrandom: 'tpm2-tools',
  'tpm2-abrmd': 'tpm2-abrmd',
  'dbus-daemon': 'dbus-daemon',
  tssgetrandom: 'tss2',
  tpm2_ptool: 'libtpm2-pkcs11-tools',
  'pkcs11-tool': 'opensc',
  xxd: 'xxd',
  mosquitto: 'mosquitto',
  mosquitto_pub: 'mosquitto-clients',
  openssl: 'openssl',
  curl: 'curl',
};
/** Needed beside them, and found by file, not by program. */
const libraries = [
  'libtss2-tcti-swtpm0',
  'libtss2-tcti-device0',
  'libtss2-tcti-mssim0',
  'libtss2-tcti-tabrmd0',
  'tpm2-openssl',
  'libtpm2-pkcs11-1',
];

const present = (program: string) =>
  `${process.env['PATH'] ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

const run = (command: string, args: readonly string[]) => {
  const { status, error } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (error) console.error(`verify: cannot run ${command}: ${error.message}`);
  return status ?? 1;
};

const missing = Object.entries(peers).filter(([program]) => !present(program));
if (missing.length > 0) {
  const packages = [...new Set([...missing.map(([, name]) => name), ...libraries])];
  console.error(
    `verify: missing ${missing.map(([program]) => program).join(', ')}; installing ${packages.join(', ')}`,
  );
  const asRoot = process.getuid?.() === 0;
  const sudo = !asRoot && present('sudo') && spawnSync('sudo', ['-n', 'true']).status === 0;
  if (!present('apt-get') || !(asRoot || sudo)) {
    console.error(
      'verify: no apt-get, or neither root nor `sudo -n`: tests against these peers will be skipped',
    );
  } else {
    const prefix = asRoot ? [] : ['sudo', '-n'];
    const apt = (...args: string[]) => {
      const [command = 'apt-get', ...rest] = [...prefix, 'apt-get', ...args];
      return run(command, rest);
    };
    if (apt('update', '-qq') !== 0)
      console.error('verify: apt-get update failed; trying with the lists that are here');
    if (apt('install', '-y', '-qq', '--no-install-recommends', ...packages) !== 0)
      console.error('verify: the packages could not be installed; tests against these peers will be skipped');
  }
}
process.exitCode = run('npm', ['test']);
