/**
 * `npm run verify:kernel [-- FILE…]`: the tests that need a TPM device of Linux (`test/peers/tpm-device.test.ts`, or those
 * named), in a virtual machine with Debian's kernel and swtpm as its TPMs. The machine sees the files of this one, cannot
 * change them, and has no network. It takes about five minutes.
 *
 * Needs qemu-system-x86_64, busybox, swtpm, apt-get and dpkg-deb. The kernel is unpacked below `node_modules/.cache`, not
 * installed.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const cache = join(root, 'node_modules/.cache/kernel');
const longestMs = 20 * 60_000;
const done = /^verified: (\d+)\r?$/m;
/** In the order in which they need each other. */
const modules = [
  'drivers/virtio/virtio_ring',
  'drivers/virtio/virtio',
  'drivers/virtio/virtio_pci_legacy_dev',
  'drivers/virtio/virtio_pci_modern_dev',
  'drivers/virtio/virtio_pci',
  'fs/netfs/netfs',
  'fs/fscache/fscache',
  'net/9p/9pnet',
  'net/9p/9pnet_virtio',
  'fs/9p/9p',
  'drivers/char/tpm/tpm_vtpm_proxy',
];

class Failed extends Error {}

/** Standard output of a program. @throws {Failed} when it does not end with 0. */
function output(command: string, args: readonly string[], cwd = root): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (error !== undefined) throw new Failed(`cannot run ${command}: ${error.message}`);
  if (status !== 0) throw new Failed(`${command} ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

/** Debian's newest kernel, unpacked: the folder that has `boot` and `lib/modules`. */
function kernel(): string {
  const [, name] =
    /Depends: (linux-image-\S+)/.exec(output('apt-cache', ['depends', 'linux-image-amd64'])) ?? [];
  if (name === undefined) throw new Failed('the package lists name no kernel: run `apt-get update` first');
  const folder = join(cache, name);
  mkdirSync(cache, { recursive: true });
  if (readdirSync(cache).includes(name)) return folder;
  console.error(`verify:kernel: fetching ${name}, about 70 MB`);
  const fetched = mkdtempSync(join(cache, 'fetch-'));
  try {
    output('apt-get', ['download', '-qq', name], fetched);
    const [file = ''] = readdirSync(fetched);
    output('dpkg-deb', ['-x', file, 'unpacked'], fetched);
    renameSync(join(fetched, 'unpacked'), folder);
  } finally {
    rmSync(fetched, { recursive: true, force: true });
  }
  return folder;
}

/** What the machine does: it takes this one's files for its own, runs the tests, says how they ended, and goes off. */
function init(files: readonly string[]): string {
  const tests = ['run', '--configLoader', 'runner', ...files].map((word) => `'${word}'`).join(' ');
  return `#!/busybox sh
PATH=/ ; for it in mkdir mount insmod ip chroot poweroff; do /busybox ln -s /busybox /$it; done
mkdir /proc /sys /host
mount -t proc proc /proc ; mount -t sysfs sys /sys ; mount -t devtmpfs dev /dev
for it in ${modules.map((one) => basename(one)).join(' ')}; do insmod /$it.ko; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose host /host
mount -t proc proc /host/proc ; mount -t sysfs sys /host/sys ; mount -t devtmpfs dev /host/dev
mkdir /host/dev/shm ; mount -t tmpfs shm /host/dev/shm
ip link set lo up
chroot /host '${process.execPath}' --version
CI=1 FEALTY_TEST_KERNEL=1 HOME=/dev/shm TMPDIR=/dev/shm PATH='${process.env['PATH']}' chroot /host /bin/sh -c "cd '${root}' && '${process.execPath}' node_modules/vitest/vitest.mjs ${tests}"
code=$? ; echo ; echo "verified: $code"
poweroff -f
`;
}

/** The first file system of the machine, packed. */
function firstFiles(unpacked: string, folder: string, files: readonly string[]): string {
  const [release = ''] = readdirSync(join(unpacked, 'lib/modules'));
  const content = join(folder, 'content');
  mkdirSync(content);
  copyFileSync(output('which', ['busybox']).trim(), join(content, 'busybox'));
  for (const one of modules)
    copyFileSync(
      join(unpacked, 'lib/modules', release, `kernel/${one}.ko`),
      join(content, `${basename(one)}.ko`),
    );
  writeFileSync(join(content, 'init'), init(files));
  chmodSync(join(content, 'init'), 0o755);
  output('sh', ['-c', 'find . | busybox cpio -o -H newc > ../first.cpio'], content);
  return join(folder, 'first.cpio');
}

/** Starts the machine; the exit code of its tests. */
async function boot(unpacked: string, files: string): Promise<number> {
  const [image = ''] = readdirSync(join(unpacked, 'boot')).filter((name) => name.startsWith('vmlinuz-'));
  const machine = spawn(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg', '-cpu', 'max', '-smp', '2', '-m', '3072', '-no-reboot'],
      ...['-display', 'none', '-vga', 'none', '-nic', 'none', '-monitor', 'none', '-serial', 'stdio'],
      ...['-kernel', join(unpacked, 'boot', image), '-initrd', files],
      ...['-append', 'console=ttyS0 quiet loglevel=1 panic=-1'],
      ...['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], timeout: longestMs },
  );
  let said = '';
  machine.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk);
    said += chunk.toString();
  });
  await new Promise<void>((ended, failed) => {
    machine.once('close', () => ended());
    machine.once('error', (error) => failed(new Failed(`cannot start the machine: ${error.message}`)));
  });
  const code = done.exec(said)?.[1];
  if (code === undefined) throw new Failed('the machine ended before its tests did');
  return Number(code);
}

// Ctrl-C ends the machine, or the program that runs; what is left of it is cleared away below.
process.on('SIGINT', () => {});
const named = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'fealty-kernel-'));
try {
  if (process.arch !== 'x64' || process.platform !== 'linux') throw new Failed('only for Linux on x86-64');
  const unpacked = kernel();
  const files = firstFiles(unpacked, folder, named.length > 0 ? named : ['test/peers/tpm-device.test.ts']);
  process.exitCode = await boot(unpacked, files);
} catch (error) {
  if (!(error instanceof Failed)) throw error;
  console.error(`verify:kernel: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
