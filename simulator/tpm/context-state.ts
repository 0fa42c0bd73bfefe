import { freshHierarchy } from './hierarchy.ts';
import type { Machine } from './machine.ts';
import type { KeptContexts } from './state.ts';

/** What saved contexts need to be loaded again after TPM2_Shutdown(STATE) (Part 1 §30.4). */
export function keptContexts(chip: Machine): KeptContexts {
  return {
    sessions: [...chip.saved].map(([handle, number]) => ({ handle, number: number.toString() })),
    contextCounter: chip.contextCounter.toString(),
    objectContextCounter: chip.objectContextCounter.toString(),
    clearCount: chip.clearCount,
    nullSeed: chip.hierarchies.null.seed,
    nullProof: chip.hierarchies.null.proof,
  };
}

/**
 * TPM2_Startup, as far as contexts go: a TPM reset ends all of them, a restart those of stClear objects, a resume none.
 *
 * @param kept what TPM2_Shutdown(STATE) left; `undefined` makes it a reset.
 */
export function startContexts(chip: Machine, kept: KeptContexts | undefined, type: 'clear' | 'state'): void {
  chip.saved = new Map(kept?.sessions.map(({ handle, number }) => [handle, BigInt(number)]));
  chip.contextCounter = BigInt(kept?.contextCounter ?? 0);
  chip.objectContextCounter = BigInt(kept?.objectContextCounter ?? 0);
  chip.clearCount = kept === undefined ? 0 : kept.clearCount + (type === 'clear' ? 1 : 0);
  const fresh = freshHierarchy('null', chip.random, undefined);
  chip.hierarchies.null =
    kept === undefined ? fresh : { ...fresh, seed: kept.nullSeed, proof: kept.nullProof };
}
