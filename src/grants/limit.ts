/** How often, or how much: counted at one enforcement point, keyed by the root grant, shared by all descendants. */
export interface Limit {
  /** `count`: uses; `volume`: sum of a numeric argument. */
  readonly kind: 'count' | 'volume';
  /** Name of the argument that is summed; only for `volume`. */
  readonly argument?: string | undefined;
  readonly max: number;
  /** Sliding window in milliseconds; without it, for the life of the grant. */
  readonly perMs?: number | undefined;
}
