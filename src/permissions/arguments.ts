import type { ActionDescription, Arguments, Grant } from '../grants/index.ts';
import { passes } from '../grants/index.ts';

/** What is wrong with the arguments of a request by the device's description; `undefined` when nothing is. */
export function argumentFault(action: ActionDescription, given: Arguments): string | undefined {
  const input = action.input ?? noInput;
  for (const name of Object.keys(given))
    if (!Object.hasOwn(input, name)) return `\`${name.slice(0, 64)}\` is not an argument`;
  for (const name in input) {
    const schema = input[name];
    if (schema === undefined || !Object.hasOwn(input, name)) continue;
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value === undefined) {
      if (schema.optional === true) continue;
      return `\`${name}\` is missing`;
    }
    if (!hasType(value, schema.type)) return `\`${name}\` is not of type \`${schema.type}\``;
    if (schema.enum !== undefined && !schema.enum.some((one) => one === value))
      return `\`${name}\` is not one of the choices`;
    if (schema.minimum !== undefined && !((value as number) >= schema.minimum))
      return `\`${name}\` is below ${schema.minimum}`;
    if (schema.maximum !== undefined && !((value as number) <= schema.maximum))
      return `\`${name}\` is above ${schema.maximum}`;
  }
  return undefined;
}

const noInput: NonNullable<ActionDescription['input']> = {};

/** The first argument that a grant does not cover; an argument it limits must be given. */
export function outsideGrant(grant: Grant, action: string, given: Arguments): string | undefined {
  const limits = grant.arguments?.[action];
  if (limits === undefined) return undefined;
  for (const name in limits) {
    const limit = limits[name];
    if (limit !== undefined && !passes(limit, Object.hasOwn(given, name) ? given[name] : undefined))
      return name;
  }
  return undefined;
}

function hasType(value: unknown, type: string): boolean {
  switch (type) {
    case 'integer':
      return Number.isSafeInteger(value);
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'string':
      return typeof value === 'string' && value.length <= 4_096;
    default:
      return typeof value === type;
  }
}
