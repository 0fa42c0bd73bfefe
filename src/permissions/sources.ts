import type { HeldGrant } from '../grants/index.ts';
import type { Inputs } from './inputs.ts';
import type { TimeTrust } from './time.ts';

/** The verifier's newest attestation result of this agent; the program that runs the attester hands it in. */
export interface PostureSource {
  /** `at`: when the verifier appraised, on the elapsed clock. `undefined` when there is none. */
  current():
    | { readonly status: 'affirming' | 'warning' | 'contraindicated' | 'none'; readonly at: number }
    | undefined;
  onChange(listener: () => void): () => void;
}

/** Which task domains this agent is in, and how; the member hands it in. */
export interface DomainSource {
  /** `none` when it is surely no member; `undefined` when it cannot be told (tenure lapsed). */
  mode(task: string): 'observe' | 'suggest' | 'actuate' | 'none' | undefined;
  /** When the present mode ends by itself (tenure), on the elapsed clock. */
  until?(task: string): number | undefined;
  onChange(listener: (task: string) => void): () => void;
}

/**
 * How fresh this agent's knowledge of revocations is; whoever reads status lists hands it in. Without one (a home hub
 * that is its own authority) nothing has to be fetched and nothing can be stale.
 */
export interface StatusSource {
  /**
   * When the newest verified status that covers the grant was current, on the elapsed clock; `Infinity` when it needs
   * none; `undefined` when there is none.
   */
  freshAt(held: HeldGrant): number | undefined;
  onChange(listener: () => void): () => void;
}

/** Everything conditions look at. What is not handed in is unknown. */
export interface World {
  readonly inputs: Inputs;
  readonly time: TimeTrust;
  readonly posture?: PostureSource | undefined;
  readonly domains?: DomainSource | undefined;
  readonly status?: StatusSource | undefined;
}
