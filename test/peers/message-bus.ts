import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** tpm2-abrmd in front of a TPM, on a D-Bus of its own. */
export interface ResourceManager {
  /** The environment in which programs on top of tpm2-tss use it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Ends both processes. */
  close(): Promise<void>;
}

/** The D-Bus name of tpm2-abrmd. */
const name = 'com.intel.tss2.Tabrmd';

/**
 * Starts a private D-Bus that starts tpm2-abrmd when it is first asked for, so that nobody has to wait for it: the first
 * call does. It ends with its bus.
 */
export async function startResourceManager(tcti: string): Promise<ResourceManager> {
  const directory = await mkdtemp(join(tmpdir(), 'fealty-bus-'));
  const address = `unix:path=${join(directory, 'bus')}`;
  const configuration = join(directory, 'bus.conf');
  await writeFile(
    configuration,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
      "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
    <busconfig><type>session</type><keep_umask/><listen>${address}</listen><auth>EXTERNAL</auth>
      <servicedir>${directory}</servicedir>
      <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
        <allow own="*"/></policy></busconfig>`,
  );
  await writeFile(
    join(directory, `${name}.service`),
    `[D-BUS Service]\nName=${name}\nExec=/usr/sbin/tpm2-abrmd --session --allow-root --tcti=${tcti}\n`,
  );
  const bus = spawn(
    'dbus-daemon',
    [`--config-file=${configuration}`, '--nofork', '--nopidfile', '--print-address'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const ended = once(bus, 'exit');
  // it prints its address once it listens
  await Promise.race([once(bus.stdout, 'data'), ended]);
  if (bus.exitCode !== null) throw new Error(`dbus-daemon ended with ${bus.exitCode}`);
  const manager = 'tabrmd:bus_type=session';
  const environment = {
    DBUS_SESSION_BUS_ADDRESS: address,
    TPM2TOOLS_TCTI: manager,
    TPM2_PKCS11_TCTI: manager,
  };
  const close = async () => {
    bus.kill();
    await ended;
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    await untilServed({ ...process.env, ...environment, TSS2_LOG: 'all+NONE' });
  } catch (error) {
    await close();
    throw error;
  }
  return { environment, close };
}

/** It takes its name on the bus a moment before it answers there, so the first calls may find nobody. */
async function untilServed(env: NodeJS.ProcessEnv): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      await exec('tpm2_getrandom', ['1'], { env, timeout: 20_000 });
      return;
    } catch (error) {
      if (attempt === 100) throw error;
    }
}
