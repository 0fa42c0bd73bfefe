import type { AttestationResult } from '../attestation/results.ts';
import { isAtLeast } from '../attestation/results.ts';
import type { Papers } from './papers.ts';
import type { TenureState } from './tenure.ts';
import type { Mode } from './types.ts';
import { MODES } from './types.ts';

/** Whether `mode` is at least `least`. */
export function modeAtLeast(mode: Mode, least: Mode): boolean {
  return MODES.indexOf(mode) >= MODES.indexOf(least);
}

/** The lowest of `modes`; `actuate` when there are none. */
export function lowest(modes: readonly Mode[]): Mode {
  return MODES[Math.min(...modes.map((mode) => MODES.indexOf(mode)), MODES.length - 1)] ?? 'ended';
}

/** What a tenure allows at most. */
export const tenureModes: Readonly<Record<TenureState, Mode>> = {
  held: 'actuate',
  overdue: 'observe',
  lost: 'ended',
};

/**
 * What papers allow at most: `observe` when WIT or attestation result is not current, or the result is bad; `suggest`
 * when it is not as good as the group grant asks.
 */
export function modeOfPapers(
  papers: Pick<Papers, 'currentUntil' | 'ear'>,
  posture: 'affirming' | 'warning',
  now: number,
): 'observe' | 'suggest' | 'actuate' {
  if (now >= papers.currentUntil) return 'observe';
  return modeOfPosture(papers.ear, posture);
}

/** What an attestation result allows at most. */
export function modeOfPosture(
  ear: Pick<AttestationResult, 'status'>,
  posture: 'affirming' | 'warning',
): 'observe' | 'suggest' | 'actuate' {
  if (isAtLeast(ear.status, posture)) return 'actuate';
  return isAtLeast(ear.status, 'warning') ? 'suggest' : 'observe';
}
