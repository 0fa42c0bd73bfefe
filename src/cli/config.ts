import { dirname, resolve } from 'node:path';
import type { StreamOptions } from '../agent/index.ts';
import { BadConfiguration } from '../agent/index.ts';
import { messageOf } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { v } from '../core/schema.ts';
import type { Grant, Prohibition } from '../grants/index.ts';
import { parseCondition, readGrant, readProhibition } from '../grants/index.ts';
import { millisecondsOf } from './duration.ts';
import { readBytes } from './files.ts';

/** Where a device's code is, and how it is opened. */
export interface DeviceConfig {
  /** Absolute. */
  readonly folder: string;
  /** Its simulated body instead of its driver. */
  readonly twin: boolean;
  /** Given to the driver. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** The effective configuration of an agent: defaults filled in, paths absolute, durations in milliseconds. */
export interface AgentConfig {
  /** The file it was read from. */
  readonly file: string;
  readonly state: string;
  readonly tpm: string;
  readonly authority: string;
  readonly broker: string | undefined;
  readonly brokerKind: 'embedded' | 'mosquitto';
  readonly title: string | undefined;
  readonly papers: {
    readonly aibom: string;
    readonly endorsement: string;
    readonly binding: string | undefined;
  };
  readonly devices: readonly DeviceConfig[];
  readonly streams: Readonly<Record<string, StreamOptions>>;
  readonly houseRules: readonly Prohibition[];
  /** What it asks for; `undefined`: everything the owner granted. */
  readonly grants: readonly Grant[] | undefined;
  readonly join: 'own' | 'nobody';
  readonly trustClock: boolean;
  readonly syncMs: number;
}

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(512));
const path = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const duration = v.pipe(
  v.string(),
  v.check((given) => millisecondsOf(given) !== undefined, 'a duration such as `20 min`'),
  v.transform((given) => millisecondsOf(given) ?? 0),
);
const url = (scheme: string) =>
  v.pipe(
    v.string(),
    v.maxLength(512),
    v.check(
      (given) => given.startsWith(`${scheme}://`) && URL.canParse(given),
      `an address that begins with ${scheme}://`,
    ),
  );
const names = v.pipe(v.array(text), v.maxLength(64));

const schema = v.strictObject({
  /** For the editor; not read. */
  $schema: v.optional(text),
  state: v.optional(path, './state'),
  tpm: v.optional(text, 'device:/dev/tpmrm0'),
  authority: url('https'),
  broker: v.optional(url('mqtts')),
  brokerKind: v.optional(v.picklist(['embedded', 'mosquitto']), 'embedded'),
  title: v.optional(v.pipe(text, v.maxLength(128))),
  papers: v.optional(
    v.strictObject({
      aibom: v.optional(path, './papers/aibom.json'),
      endorsement: v.optional(path, './papers/endorsement.jwt'),
      binding: v.optional(path),
    }),
    {},
  ),
  devices: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          folder: path,
          twin: v.optional(v.boolean(), false),
          options: v.optional(v.record(text, v.unknown()), {}),
        }),
      ),
      v.maxLength(64),
    ),
    [],
  ),
  streams: v.optional(
    v.record(
      text,
      v.strictObject({
        device: text,
        properties: names,
        events: v.optional(names, []),
        life: v.optional(duration, '2 s'),
      }),
    ),
    {},
  ),
  houseRules: v.optional(v.pipe(v.array(v.looseObject({})), v.maxLength(256)), []),
  grants: v.optional(v.pipe(v.array(v.looseObject({})), v.maxLength(64))),
  join: v.optional(v.picklist(['own', 'nobody']), 'own'),
  trustClock: v.optional(v.boolean(), false),
  sync: v.optional(duration, '30 s'),
});

/** Reads `fealty.json`. @throws {BadFile} @throws {BadConfiguration} with the path of what is wrong. */
export async function readConfigFile(file: string): Promise<AgentConfig> {
  return readConfig(await readBytes(file), resolve(file));
}

/**
 * The configuration in the bytes of `file`. Unknown members are refused: a rule that is misspelt must not be silently off.
 *
 * @throws {BadConfiguration} with the path of what is wrong.
 */
export function readConfig(bytes: Uint8Array, file: string): AgentConfig {
  const read = parsed(bytes, file);
  const folder = dirname(file);
  const at = (name: string) => resolve(folder, name);
  const { papers } = read;
  return {
    file,
    state: at(read.state),
    tpm: read.tpm,
    authority: read.authority.replace(/\/$/, ''),
    broker: read.broker,
    brokerKind: read.brokerKind,
    title: read.title,
    papers: {
      aibom: at(papers.aibom),
      endorsement: at(papers.endorsement),
      binding: papers.binding === undefined ? undefined : at(papers.binding),
    },
    devices: read.devices.map((device) => ({ ...device, folder: at(device.folder) })),
    streams: Object.fromEntries(
      Object.entries(read.streams).map(([name, { life, ...stream }]) => [name, { ...stream, lifeMs: life }]),
    ),
    houseRules: read.houseRules.map((rule, index) =>
      inPlace(file, `houseRules.${index}`, () => readProhibition(withCondition(rule))),
    ),
    grants: read.grants?.map((grant, index) =>
      inPlace(file, `grants.${index}`, () => readGrant(withCondition(grant))),
    ),
    join: read.join,
    trustClock: read.trustClock,
    syncMs: read.sync,
  };
}

function parsed(bytes: Uint8Array, file: string): v.InferOutput<typeof schema> {
  const json = inPlace(file, '', () => parseJson(bytes, { maxBytes: 1 << 20 }));
  const result = v.safeParse(schema, json, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = v.getDotPath(issue) ?? '';
  if (issue.type === 'strict_object' && issue.expected === 'never')
    throw new BadConfiguration(`\`${file}\`: there is no option \`${where}\``);
  const { received, expected, message } = issue as v.BaseIssue<unknown>;
  const what = received === 'undefined' ? 'is missing' : `expects ${expected ?? message}`;
  throw new BadConfiguration(`\`${file}\`: \`${where}\` ${what}`);
}

/** `when` is the condition as text. */
function withCondition(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (!('when' in value)) return value;
  const { when, ...rest } = value;
  if ('condition' in rest || typeof when !== 'string')
    throw new BadConfiguration('`when` is the condition as text, instead of `condition`');
  return { ...rest, condition: parseCondition(when) };
}

function inPlace<T>(file: string, where: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new BadConfiguration(`\`${file}\`: ${where === '' ? '' : `\`${where}\`: `}${messageOf(cause)}`, {
      cause,
    });
  }
}
