import { OUTCOME } from '../core/audit-intent.ts';
import { CHECKPOINT, CHECKPOINT_EVIDENCE, DENIALS } from './record.ts';

/** Kinds that a full log still takes: without them an action that runs could not be stopped or accounted for. */
const ALWAYS: readonly string[] = [
  OUTCOME,
  'stop',
  'revocation',
  'demotion',
  'end',
  'recovery',
  DENIALS,
  CHECKPOINT,
  CHECKPOINT_EVIDENCE,
];
/** Kept free for the outcome of each intent that is open. */
const OUTCOME_BYTES = 1_024;

/** How large a log may become. */
export interface LogBounds {
  readonly maxBytes: number;
  /** How much of it only the kinds may use that a full log still takes. */
  readonly reserveBytes: number;
}

/** How many bytes a record of `kind` may still take in a log of `size` bytes, in which `open` intents await their outcome. */
export function roomFor(kind: string, size: number, open: number, bounds: LogBounds): number {
  const left = bounds.maxBytes - size;
  if (kind === OUTCOME) return left;
  const unpromised = left - open * OUTCOME_BYTES;
  return ALWAYS.includes(kind) ? unpromised : unpromised - bounds.reserveBytes;
}
