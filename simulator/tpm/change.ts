import { u32At } from '../../src/core/bytes.ts';
import { check, v } from '../../src/core/schema.ts';
import { copyOf, decodePlain, encodePlain, same } from './plain.ts';
import type { TpmSnapshot } from './state.ts';

/** The members of a state that are lists: what each entry is told by. */
const lists = {
  persistent: (entry: unknown) => (entry as TpmSnapshot['persistent'][number]).handle,
  // TPMS_NV_PUBLIC begins with the handle.
  nv: (entry: unknown) => {
    const { publicArea } = entry as TpmSnapshot['nv'][number];
    return u32At(publicArea, 0);
  },
};

type ListName = keyof typeof lists;
const listNames = Object.keys(lists) as ListName[];

const entryChanges = v.array(v.tuple([v.number(), v.unknown()]));
const changeSchema = v.strictObject({
  /** Counts the changes in the life of a TPM. */
  sequence: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** Members that are no lists, whole. */
  set: v.record(v.string(), v.unknown()),
  persistent: v.optional(entryChanges, []),
  nv: v.optional(entryChanges, []),
});

/** What differs between two states: the members that changed, and of lists the entries. */
export type Change = v.InferOutput<typeof changeSchema>;

/** What has to be done to `before` to make it `after`. Of `after` nothing is kept: all is copied. */
export function changeBetween(before: TpmSnapshot, after: TpmSnapshot, sequence: number): Change {
  const set: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(after))
    if (!(key in lists) && !same(before[key as keyof TpmSnapshot], value)) set[key] = copyOf(value);
  const [persistent = [], nv = []] = listNames.map((name) => entriesBetween(name, before[name], after[name]));
  return { sequence, set, persistent, nv };
}

/** `before` with a change made; `before` itself stays as it is. */
export function changed<S>(before: S, change: Change): S {
  const after: Record<string, unknown> = { ...before, ...change.set };
  for (const name of listNames) {
    if (change[name].length === 0) continue;
    const idOf = lists[name];
    const entries = new Map((after[name] as unknown[]).map((entry) => [idOf(entry), entry]));
    for (const [id, entry] of change[name])
      if (entry === null) entries.delete(id);
      else entries.set(id, entry);
    after[name] = [...entries.values()];
  }
  return after as S;
}

/** A change as bytes: lists without a change are left out. */
export function encodeChange(change: Change): Uint8Array {
  const { persistent, nv, ...rest } = change;
  return encodePlain({
    ...rest,
    persistent: persistent.length > 0 ? persistent : undefined,
    nv: nv.length > 0 ? nv : undefined,
  });
}

/** The inverse of {@link encodeChange}. @throws {Malformed} */
export function decodeChange(bytes: Uint8Array): Change {
  return check(changeSchema, decodePlain(bytes), 'change of the software TPM');
}

function entriesBetween(
  name: ListName,
  before: readonly unknown[],
  after: readonly unknown[],
): [id: number, entry: unknown][] {
  const idOf = lists[name];
  const old = new Map(before.map((entry) => [idOf(entry), entry]));
  const out: [number, unknown][] = [];
  for (const entry of after) {
    const id = idOf(entry);
    if (!same(old.get(id), entry)) out.push([id, copyOf(entry)]);
    old.delete(id);
  }
  for (const id of old.keys()) out.push([id, null]);
  return out;
}
