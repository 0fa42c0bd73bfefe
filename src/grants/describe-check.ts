import { v } from '../core/schema.ts';
import { DashedName, Finite, Name, read, Text } from './check.ts';
import type { Condition, Source, StateCondition } from './condition.ts';
import type { ActionDescription, DeviceDescription, PropertyDescription, ValueSchema } from './device.ts';
import { GrantMalformed, GrantMismatch } from './errors.ts';
import type { ArgumentLimit, Grant, Prohibition } from './grant.ts';

/** A device description from outside (another maker's file, a converter). @throws {GrantMalformed} */
export function readDescription(json: unknown): DeviceDescription {
  return read(DescriptionSchema, json, checkDescription);
}

/**
 * Checks that everything `grant` names exists and has the right type: refused, never skipped.
 *
 * @param devices descriptions of every device of the agent: conditions may look at more than the granted one.
 * @throws {GrantMismatch} naming the member, with a "did you mean" where one is near.
 */
export function checkAgainst(grant: Grant, devices: DeviceDescription | readonly DeviceDescription[]): void {
  const all = Array.isArray(devices)
    ? (devices as readonly DeviceDescription[])
    : [devices as DeviceDescription];
  const device = deviceOf(grant.device, all, 'device');
  for (const [index, name] of grant.actions.entries()) {
    const action = oneOf(device.actions, name, `actions.${index}`, 'action', device.name);
    for (const [argument, limit] of Object.entries(grant.arguments?.[name] ?? {}))
      checkArgumentLimit(limit, action, argument, `arguments.${name}.${argument}`, device.name);
    for (const [at, limit] of (grant.limits ?? []).entries()) {
      if (limit.kind !== 'volume' || limit.argument === undefined) continue;
      const path = `limits.${at}.argument`;
      const schema = oneOf(action.input ?? {}, limit.argument, path, 'argument', `${device.name}.${name}`);
      if (!isNumeric(schema)) throw new GrantMismatch(path, `\`${limit.argument}\` is not a number`);
      if (schema.optional === true)
        throw new GrantMismatch(path, `\`${limit.argument}\` may be absent, so it cannot be summed`);
    }
  }
  if (grant.condition !== undefined) checkCondition(grant.condition, 'condition', all);
}

/** As {@link checkAgainst}, for a house rule; `*` fits every device. @throws {GrantMismatch} */
export function checkProhibition(rule: Prohibition, devices: readonly DeviceDescription[]): void {
  const concerned = rule.device === '*' ? devices : [deviceOf(rule.device, devices, 'device')];
  if (rule.actions !== '*')
    for (const [index, name] of rule.actions.entries())
      if (!concerned.some((device) => Object.hasOwn(device.actions, name)))
        throw new GrantMismatch(
          `actions.${index}`,
          unknown(
            'action',
            name,
            concerned.flatMap((device) => Object.keys(device.actions)),
          ),
        );
  if (rule.condition !== undefined) checkCondition(rule.condition, 'condition', devices);
}

function checkCondition(condition: Condition, path: string, devices: readonly DeviceDescription[]): void {
  switch (condition.op) {
    case 'and':
    case 'or':
      for (const [index, child] of condition.of.entries())
        checkCondition(child, `${path}.of.${index}`, devices);
      break;
    case 'not':
      checkCondition(condition.of, `${path}.of`, devices);
      break;
    case 'event': {
      const device = sourceOf(condition.source, path, devices);
      if (device !== undefined) oneOf(device.events, condition.event, `${path}.event`, 'event', device.name);
      break;
    }
    case 'state': {
      const device = sourceOf(condition.source, path, devices);
      if (device === undefined) break;
      const property = oneOf(
        device.properties,
        condition.property,
        `${path}.property`,
        'property',
        device.name,
      );
      checkComparison(condition, property, path);
      break;
    }
    case 'geo': {
      const device = sourceOf(condition.source, path, devices);
      if (device !== undefined && device.properties['position']?.type !== 'position')
        throw new GrantMismatch(
          `${path}.source`,
          `\`${device.name}\` has no property \`position\` of type \`position\``,
        );
      break;
    }
    case 'window':
    case 'sun':
    case 'posture':
    case 'domain':
    case 'expires':
    case 'confirm':
      break;
  }
}

/** The description behind a source; none for a peer, whose stream is typed by what it says. */
function sourceOf(
  source: Source,
  path: string,
  devices: readonly DeviceDescription[],
): DeviceDescription | undefined {
  return 'device' in source ? deviceOf(source.device, devices, `${path}.source.device`) : undefined;
}

function checkComparison(condition: StateCondition, property: PropertyDescription, path: string): void {
  for (const member of ['lt', 'le', 'gt', 'ge'] as const)
    if (condition[member] !== undefined && !isNumeric(property))
      throw new GrantMismatch(
        `${path}.${member}`,
        `\`${condition.property}\` is of type \`${property.type}\``,
      );
  if (condition.is !== undefined) checkValue(condition.is, property, `${path}.is`);
  for (const [index, value] of (condition.in ?? []).entries())
    checkValue(value, property, `${path}.in.${index}`);
}

function checkArgumentLimit(
  limit: ArgumentLimit,
  action: ActionDescription,
  name: string,
  path: string,
  device: string,
): void {
  const schema = oneOf(action.input ?? {}, name, path, 'argument', device);
  if ((limit.min !== undefined || limit.max !== undefined) && !isNumeric(schema))
    throw new GrantMismatch(
      path,
      `\`${name}\` is of type \`${schema.type}\`, so it has no \`min\` or \`max\``,
    );
  for (const [index, value] of (limit.oneOf ?? []).entries())
    checkValue(value, schema, `${path}.oneOf.${index}`);
}

function checkValue(
  value: string | number | boolean,
  schema: Omit<ValueSchema, 'type'> & { readonly type: string },
  path: string,
): void {
  const fits =
    schema.type === 'integer'
      ? Number.isInteger(value)
      : isNumeric(schema)
        ? typeof value === 'number'
        : typeof value === schema.type;
  if (!fits) throw new GrantMismatch(path, `expects \`${schema.type}\`, not \`${typeof value}\``);
  if (schema.enum !== undefined && !schema.enum.some((one) => one === value))
    throw new GrantMismatch(path, unknown('value', String(value).slice(0, 64), schema.enum.map(String)));
}

function isNumeric(schema: { readonly type: string }): boolean {
  return schema.type === 'number' || schema.type === 'integer';
}

function deviceOf(name: string, devices: readonly DeviceDescription[], path: string): DeviceDescription {
  const device = devices.find((one) => one.name === name);
  if (device === undefined)
    throw new GrantMismatch(
      path,
      unknown(
        'device',
        name,
        devices.map((one) => one.name),
      ),
    );
  return device;
}

function oneOf<T>(
  members: Readonly<Record<string, T>>,
  name: string,
  path: string,
  what: string,
  where: string,
): T {
  const found = Object.hasOwn(members, name) ? members[name] : undefined;
  if (found === undefined)
    throw new GrantMismatch(path, `${unknown(what, name, Object.keys(members))} (of \`${where}\`)`);
  return found;
}

function unknown(what: string, name: string, known: readonly string[]): string {
  const near = known
    .map((one) => ({ one, far: distance(one.slice(0, 64), name.slice(0, 64)) }))
    .filter(({ far }) => far <= 2)
    .sort((a, b) => a.far - b.far)[0];
  return `unknown ${what} \`${name}\`${near === undefined ? '' : `, did you mean \`${near.one}\`?`}`;
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}

/** What `defineDevice` demands of our own devices, and that numbers and enumerations agree with their types. */
function checkDescription(description: DeviceDescription): void {
  if (description.risk === 'motion' && description.deadMan !== true)
    throw new GrantMalformed('deadMan', 'a device that moves must have `deadMan: true`');
  for (const [name, action] of Object.entries(description.actions)) {
    if (action.risk === 'motion' && description.deadMan !== true)
      throw new GrantMalformed(`actions.${name}.risk`, 'a device that moves must have `deadMan: true`');
    for (const [argument, schema] of Object.entries(action.input ?? {}))
      checkSchema(schema, `actions.${name}.input.${argument}`);
  }
  for (const [name, schema] of Object.entries(description.properties))
    checkSchema(schema, `properties.${name}`);
  for (const [name, event] of Object.entries(description.events))
    for (const [member, schema] of Object.entries(event.data ?? {}))
      checkSchema(schema, `events.${name}.data.${member}`);
}

function checkSchema(schema: Omit<ValueSchema, 'type'> & { readonly type: string }, path: string): void {
  if ((schema.minimum !== undefined || schema.maximum !== undefined) && !isNumeric(schema))
    throw new GrantMalformed(path, `a \`${schema.type}\` has no minimum or maximum`);
  if (schema.minimum !== undefined && schema.maximum !== undefined && schema.minimum > schema.maximum)
    throw new GrantMalformed(path, '`minimum` must not exceed `maximum`');
  for (const value of schema.enum ?? [])
    if (isNumeric(schema) ? typeof value !== 'number' : typeof value !== schema.type)
      throw new GrantMalformed(`${path}.enum`, `expects only \`${schema.type}\``);
}

const Risk = v.picklist(['info', 'comfort', 'access', 'safety', 'motion']);
const value = {
  unit: v.exactOptional(Text),
  minimum: v.exactOptional(Finite),
  maximum: v.exactOptional(Finite),
  enum: v.exactOptional(v.pipe(v.array(v.union([v.string(), Finite])), v.minLength(1), v.maxLength(256))),
  description: v.exactOptional(Text),
};
const scalarTypes = ['boolean', 'integer', 'number', 'string'] as const;

const DescriptionSchema: v.GenericSchema<unknown, DeviceDescription> = v.strictObject({
  name: DashedName,
  title: Text,
  risk: Risk,
  properties: v.record(
    Name,
    v.strictObject({
      type: v.picklist([...scalarTypes, 'position']),
      ...value,
      observable: v.exactOptional(v.boolean()),
    }),
  ),
  actions: v.record(
    DashedName,
    v.strictObject({
      description: v.exactOptional(Text),
      input: v.exactOptional(
        v.record(
          Name,
          v.strictObject({ type: v.picklist(scalarTypes), ...value, optional: v.exactOptional(v.boolean()) }),
        ),
      ),
      risk: v.exactOptional(Risk),
      safe: v.exactOptional(v.boolean()),
      continuous: v.exactOptional(v.boolean()),
    }),
  ),
  events: v.record(
    Name,
    v.strictObject({
      description: v.exactOptional(Text),
      data: v.exactOptional(v.record(Name, v.strictObject({ type: v.picklist(scalarTypes), ...value }))),
    }),
  ),
  controlPeriodMs: v.exactOptional(v.pipe(v.number(), v.minValue(1), v.maxValue(10_000))),
  deadMan: v.exactOptional(v.boolean()),
});
