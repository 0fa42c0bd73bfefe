import { hex, u32, utf8 } from '../../src/core/bytes.ts';
import { firmwareVersion } from './attest.ts';
import { rsaSizes } from './template.ts';

/** Who made it (TPM_PT_MANUFACTURER). */
export const manufacturer = 'FLTY';

/** What libtpms tells of itself in JSON (TPMLIB_GetInfo), told of ours: bit 0 specification, 1 attributes, 2 features. */
export function tpmInfo(flags: number): Readonly<Record<string, unknown>> {
  return {
    ...(flags & 1 ? { TPMSpecification: { family: '2.0', level: 0, revision: 164 } } : {}),
    ...(flags & 2 ? { TPMAttributes: attributes } : {}),
    ...(flags & 4 ? { TPMFeatures: { RSAKeySizes: rsaSizes } } : {}),
  };
}

const attributes = {
  manufacturer: `id:${hex(utf8(manufacturer)).toUpperCase()}`,
  version: `id:${hex(u32(Number(firmwareVersion >> 32n))).toUpperCase()}`,
  model: 'fealty',
};
