import type { Clock, Random, Store } from '../../src/core/platform.ts';
import type { Faults } from './faults.ts';
import type { HardwareProfile } from './hardware.ts';

/** What a software TPM is made from. */
export interface SoftwareTpmOptions {
  /** Where nonces, keys and (without `seed`) hierarchy seeds come from. */
  readonly random: Random;
  readonly clock: Clock;
  /** Where everything that a power cut leaves is kept, under the names `tpm` and `tpm.journal`. Default: nowhere. */
  readonly store?: Store | undefined;
  /**
   * Makes the hierarchy seeds, and so all primary keys, from this text: the same text, the same TPM.
   * Such a TPM reports {@link SoftwareTpm.simulated}. Ignored when `store` already holds a TPM. Default: by `random`.
   */
  readonly seed?: string | undefined;
  /** Transient objects and loaded sessions it has room for, each. Default: 3, as in hardware. */
  readonly slots?: number | undefined;
  /**
   * Whether TPM2_Startup(CLEAR) has been done, as firmware does before an operating system sees a TPM; a later
   * TPM2_Startup is then answered TPM_RC_INITIALIZE. Default: `clear`.
   */
  readonly startup?: 'clear' | 'none' | undefined;
  /** What goes wrong. Default: nothing. */
  readonly faults?: Faults | undefined;
  /** The chip whose slowness it has, for example `hardwareProfiles.slb9670`; time passes on `clock`. Default: none. */
  readonly profile?: HardwareProfile | undefined;
}
