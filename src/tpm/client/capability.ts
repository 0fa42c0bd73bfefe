import { TPM2_GetCapability } from '../commands/startup.ts';
import { TpmMalformed } from '../errors.ts';
import type { TPM_CAP, TPMS_CAPABILITY_DATA } from '../structures/capabilities.ts';
import { run } from './run.ts';
import type { Tpm } from './tpm.ts';

/** What TPM2_GetCapability lists of one kind. */
export type CapabilityOf<K extends TPM_CAP> = Extract<
  TPMS_CAPABILITY_DATA,
  { readonly capability: K }
>['data'];

/** One page of a capability, from `property` on, at most `count` of it (Part 3 §30.2). @throws {TpmMalformed} */
export async function capability<K extends TPM_CAP>(
  tpm: Tpm,
  kind: K,
  property: number,
  count: number,
): Promise<{ readonly more: boolean; readonly data: CapabilityOf<K> }> {
  const request = { capability: kind, property, propertyCount: count };
  const { moreData, capabilityData } = await run(tpm, TPM2_GetCapability, request);
  return { more: moreData === 'yes', data: dataOf(capabilityData, kind) };
}

/** The data of an answer, which must be of the kind that was asked for. @throws {TpmMalformed} */
export function dataOf<K extends TPM_CAP>(answer: TPMS_CAPABILITY_DATA, kind: K): CapabilityOf<K> {
  if (answer.capability !== kind) throw new TpmMalformed('not the capability that was asked for');
  return answer.data as CapabilityOf<K>;
}
