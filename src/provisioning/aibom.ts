import { base64url } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { parseJson } from '../core/json.ts';
import { check, v } from '../core/schema.ts';
import { EnrolmentRefused } from './errors.ts';
import { LIMITS } from './messages.ts';

const text = (max: number) => v.pipe(v.string(), v.minLength(1), v.maxLength(max));

const hash = v.object({
  alg: text(16),
  content: v.pipe(v.string(), v.regex(/^[0-9a-f]{32,128}$/)),
});

const component = v.object({
  type: v.picklist([
    'application',
    'framework',
    'library',
    'container',
    'platform',
    'operating-system',
    'device',
    'device-driver',
    'firmware',
    'file',
    'machine-learning-model',
    'data',
    'cryptographic-asset',
  ]),
  name: text(256),
  version: v.optional(v.pipe(v.string(), v.maxLength(128))),
  hashes: v.optional(v.pipe(v.array(hash), v.maxLength(16)), []),
  modelCard: v.optional(v.looseObject({})),
  licenses: v.optional(v.pipe(v.array(v.looseObject({})), v.maxLength(32))),
});

/** The subset of CycloneDX that is looked at; what else the standard allows may be there and is not judged. */
const schema = v.object({
  bomFormat: v.literal('CycloneDX'),
  specVersion: v.picklist(['1.6', '1.7']),
  serialNumber: v.optional(v.pipe(v.string(), v.regex(/^urn:uuid:[0-9a-f-]{36}$/))),
  version: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  metadata: v.object({ component }),
  components: v.optional(v.pipe(v.array(component), v.maxLength(2048)), []),
  /** External parts would be outside the digest. */
  externalReferences: v.optional(v.array(v.looseObject({}))),
});

/** What an agent is made of: software, models, data, configuration (requirement PV-05). */
export interface Aibom {
  /** SHA-256 of the very bytes, 32 bytes. */
  readonly digest: Uint8Array;
  readonly specVersion: '1.6' | '1.7';
  /** The agent's own software. */
  readonly subject: string;
  readonly components: readonly AibomComponent[];
}

/** One part. */
export interface AibomComponent {
  readonly type: string;
  readonly name: string;
  readonly version?: string | undefined;
  /** Lower-case hex, where it is given. */
  readonly sha256?: string | undefined;
}

/** The owner's rules for AIBOMs. */
export interface AibomRules {
  /** Names of components that must not be there. */
  readonly forbidden?: readonly string[] | undefined;
  /** Types of which each component must carry a SHA-256. Default: `machine-learning-model` and `firmware`. */
  readonly hashed?: readonly string[] | undefined;
}

/** SHA-256 of an AIBOM as endorsements name it, base64url. */
export function aibomDigest(bytes: Uint8Array): string {
  return base64url(sha256(bytes));
}

/** Reads CycloneDX 1.6 or 1.7 JSON. @throws {Malformed} */
export function readAibom(bytes: Uint8Array): Aibom {
  const bom = check(schema, parseJson(bytes, { maxBytes: LIMITS.aibom, maxDepth: 64 }), 'AIBOM');
  const components = [bom.metadata.component, ...bom.components].map((part) => ({
    type: part.type,
    name: part.name,
    version: part.version,
    sha256: part.hashes.find((one) => one.alg === 'SHA-256')?.content,
  }));
  for (const part of components)
    if (part.sha256 !== undefined && part.sha256.length !== 64)
      throw new Malformed('the AIBOM is refused: a SHA-256 has 64 digits');
  return {
    digest: sha256(bytes),
    specVersion: bom.specVersion,
    subject: bom.metadata.component.name,
    components,
  };
}

/** Judges an AIBOM by the owner's rules. @throws {EnrolmentRefused} `aibom` */
export function judgeAibom(bytes: Uint8Array, rules: AibomRules = {}): Aibom {
  let aibom: Aibom;
  try {
    aibom = readAibom(bytes);
  } catch (cause) {
    if (cause instanceof Malformed) throw new EnrolmentRefused('aibom', cause.message, { cause });
    throw cause;
  }
  const hashed = rules.hashed ?? ['machine-learning-model', 'firmware'];
  for (const part of aibom.components) {
    if (rules.forbidden?.includes(part.name))
      throw new EnrolmentRefused('aibom', `component \`${part.name}\` is forbidden here`);
    if (hashed.includes(part.type) && part.sha256 === undefined)
      throw new EnrolmentRefused('aibom', `${part.type} \`${part.name}\` has no SHA-256`);
  }
  return aibom;
}
