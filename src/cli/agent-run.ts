import { mkdir } from 'node:fs/promises';
import type { ControlServer } from '../agent/control.ts';
import { serveControl } from '../agent/control.ts';
import { Agent, BadConfiguration } from '../agent/index.ts';
import { FealtyError } from '../core/errors.ts';
import { nodePlatform } from '../core/node.ts';
import type { Platform } from '../core/platform.ts';
import { controlHandlers } from './agent-control.ts';
import { agentOptions, measurementsOf } from './agent-options.ts';
import type { Command, Input } from './command.ts';
import { flag, Misuse, text } from './command.ts';
import type { AgentConfig } from './config.ts';
import { readConfigFile } from './config.ts';
import { pretty, writePaper } from './files.ts';
import type { Tell } from './lines.ts';
import { ended, lines } from './lines.ts';
import { describe } from './run.ts';
import { askAgent, socketOf } from './state.ts';

const configOption = {
  type: 'string',
  value: 'FILE',
  describe: 'its configuration (default: ./fealty.json)',
} as const;

/** First pause before something is tried again, and the longest, in milliseconds. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** `fealty agent run`. */
export const agentRun: Command = {
  about:
    'Runs the agent of this robot, vehicle or console: measures its program, configuration and drivers into the TPM, enrols (or renews),\n' +
    'gets its tokens, connects, and acts within them until Ctrl-C or SIGTERM. While the authority or the broker is away it tries again.\n' +
    'status, why, audit and domain reach it over a socket in its state folder, which its user alone may open.',
  options: { config: configOption },
  examples: [
    ['agent run --config fealty.json', 'in the foreground, or from a service manager'],
    ['agent run --config fealty.json --json', 'log lines as JSON'],
  ],
  run: async (input, io) => {
    const config = await readConfigFile(configPath(input));
    await mkdir(config.state, { recursive: true, mode: 0o700 });
    const plain = nodePlatform({ directory: config.state });
    const { tell, log } = lines(io, plain.clock, flag(input, 'json'));
    if ((await askAgent(config.state, 'status')) !== undefined)
      throw new BadConfiguration(`an agent runs already with the state in \`${config.state}\``);
    await runAgent(config, { ...plain, log }, tell, io.signal);
    return 0;
  },
};

/** `fealty agent check`. */
export const agentCheck: Command = {
  about:
    'Reads the configuration of an agent as agent run does, and shows it with every default filled in. It starts nothing.',
  options: { config: configOption },
  examples: [['agent check --config fealty.json', 'before it is rolled out']],
  run: async (input, io) => {
    const config = await readConfigFile(configPath(input));
    io.json(config);
    return 0;
  },
};

/** `fealty agent measure`. */
export const agentMeasure: Command = {
  about:
    'What the agent of this configuration will measure: program, configuration, drivers. The owner takes the file to\n' +
    '`fealty authority reference`. Run it with the very program that will run the agent.',
  options: {
    config: configOption,
    out: { type: 'string', value: 'FILE', describe: 'write it there (default: to stdout)' },
  },
  examples: [['agent measure --config fealty.json --out measurements.json', 'after each change']],
  run: async (input, io) => {
    const measurements = await measurementsOf(await readConfigFile(configPath(input)));
    const out = text(input, 'out');
    if (out === undefined) io.json({ version: 1, measurements });
    else {
      await writePaper('.', out, pretty({ version: 1, measurements }));
      if (flag(input, 'json')) io.json({ out, measurements });
      else for (const { kind, name, digest } of measurements) io.print(`${kind} ${name}: ${digest}`);
    }
    return 0;
  },
};

function configPath(input: Input): string {
  const path = text(input, 'config') ?? 'fealty.json';
  if (path === '') throw new Misuse('--config is needed');
  return path;
}

/** Runs until `signal`; everything is closed in order then. @throws what cannot be mended by trying again. */
async function runAgent(
  config: AgentConfig,
  platform: Platform,
  tell: Tell,
  signal: AbortSignal,
): Promise<void> {
  let agent: Agent | undefined;
  let waiting: string | undefined = 'for its TPM';
  let control: ControlServer | undefined;
  const retried = <T>(what: string, work: () => Promise<T>): Promise<T | undefined> =>
    again(platform, signal, work, (error, pauseMs) => {
      waiting = `${what}: ${describe(error)}`;
      tell('warn', `${what} does not work yet`, { error: describe(error), againInMs: pauseMs });
    });
  try {
    const options = await agentOptions(config, platform);
    for (const { kind, name, digest } of options.measurements ?? [])
      tell('info', 'measures', { kind, name, digest });
    control = await serveControl(
      socketOf(config.state),
      controlHandlers(config, () => ({ agent, waiting })),
    );
    tell('info', 'agent starts', { state: config.state, authority: config.authority, tpm: config.tpm });
    const opened = await retried('the TPM', () => Agent.open(options));
    if (opened === undefined) return;
    agent = opened;
    listen(opened, tell);
    waiting = 'for its authority';
    const starting = retried('the start', async () => {
      await opened.start();
      return true;
    });
    // Closing makes whatever still waits inside give up.
    await Promise.race([starting, ended(signal)]);
    if (!signal.aborted) {
      waiting = undefined;
      tell('info', 'agent is ready', { agent: opened.id });
      await ended(signal);
    }
    tell('info', 'agent ends');
    await opened.close();
    await starting.catch(() => {});
  } finally {
    await agent?.close();
    await control?.close();
  }
  tell('info', 'agent ended');
}

/** Tries until it works, with growing pauses; `undefined` when `signal` came first. @throws what nothing can mend. */
async function again<T>(
  { clock, random }: Platform,
  signal: AbortSignal,
  work: () => Promise<T>,
  failed: (error: unknown, pauseMs: number) => void,
): Promise<T | undefined> {
  for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) return undefined;
      // A refusal by the owner's side may be over as soon as the owner has done something about it.
      if (!(error instanceof FealtyError) || error.remedy === 'give-up') throw error;
      const jittered = Math.round(pause * (0.8 + (0.4 * (random.bytes(1)[0] ?? 0)) / 255));
      failed(error, jittered);
      await clock.sleep(jittered, signal).catch(() => {});
    }
  }
  return undefined;
}

function listen(agent: Agent, tell: Tell): void {
  const time = (ms: number) => new Date(ms).toISOString();
  agent.on('enrolled', (id, notAfter) => tell('info', 'enrolled', { agent: id, until: time(notAfter) }));
  agent.on('registered', (until) => tell('info', 'registered', { until: time(until) }));
  agent.on('authorized', (token, until) => tell('info', 'authorized', { token, until: time(until) }));
  agent.on('joined', (task, domain) => tell('info', 'joined', { task, domain }));
  agent.on('left', (task, reason) => tell('info', 'left', { task, reason }));
  agent.on('refused', (check, from) => tell('warn', 'refused', { check, from }));
  agent.on('permitted', ({ id, request }) =>
    tell('info', 'permitted', {
      id,
      device: request.device,
      action: request.action,
      by: request.subjects.join(' for '),
    }),
  );
  agent.on('denied', ({ id, reason, request }) =>
    tell('warn', 'denied', {
      id,
      reason,
      device: request.device,
      action: request.action,
      by: request.subjects.join(' for '),
    }),
  );
  agent.on('ended', ({ id, request }, { cause }) =>
    tell('info', 'action ended', { id, device: request.device, action: request.action, cause }),
  );
  agent.on('revoked', (tag, grants) => tell('info', 'revoked', { tag, grants }));
  agent.on('failed', (what, reason) => tell('warn', 'failed', { what, reason }));
}
