import * as v from 'valibot';
import { Malformed } from './errors.ts';

/** valibot, for the schemas of everything that comes from outside. */
export * as v from 'valibot';

/**
 * `value` as `schema` describes it.
 *
 * @param what words for the error, for example `enrolment request`.
 * @throws {Malformed} naming the member that is wrong; the value itself is never in the message.
 */
export function check<const S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  what: string,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  throw new Malformed(
    `the ${what} is refused${path ? `: \`${path}\`` : ''} expects ${issue.expected ?? 'another value'}`,
  );
}
