import type { Papers } from 'fealty';
import type { OwnerClient } from 'fealty/authority';
import { openTpm } from 'fealty/tpm';
import type { Measurement } from '../../../src/attestation/index.ts';
import { base64url } from '../../../src/core/bytes.ts';
import { sha256 } from '../../../src/core/hash.ts';
import { canonicalBytes } from '../../../src/core/json.ts';
import type { Platform, Store } from '../../../src/core/platform.ts';
import type { SoftwareKey } from '../../../src/core/signer.ts';
import type { MakerLine, Manufactured } from '../../../src/provisioning/maker.ts';
import { anchorsOf, createMakerLine, makeVoucher, manufacture } from '../../../src/provisioning/maker.ts';
import { signBinding, signEndorsement } from '../../../src/provisioning/papers.ts';
import { SoftwareTpm } from '../../tpm/index.ts';
import { HUB_ID, PRODUCT } from './words.ts';

const YEAR_S = 365 * 86_400;

/** The maker's line gives the hub's TPM its identity; the TPM is off again afterwards, its state in `store`. */
export async function make(
  platform: Platform,
  store: Store,
): Promise<{ readonly line: MakerLine; readonly made: Manufactured }> {
  const { random, clock } = platform;
  const line = await createMakerLine(platform, 'Home Works');
  const chip = await SoftwareTpm.create({ random, clock, store });
  const tpm = await openTpm({ transport: chip, random, clock });
  try {
    return { line, made: await manufacture(tpm, line, PRODUCT) };
  } finally {
    await tpm.close();
    await chip.close();
  }
}

/** Who buys the hub. */
export interface Buyer {
  readonly client: OwnerClient;
  readonly key: SoftwareKey;
  /** The owner's certificate authority, DER. */
  readonly certificate: Uint8Array;
}

/** The sale: bill of materials, endorsement, binding, voucher; and the owner learns of the maker. */
export async function sell(
  platform: Platform,
  line: MakerLine,
  buyer: Buyer,
  measurements: readonly Measurement[],
): Promise<Papers> {
  const { clock, random } = platform;
  const iat = Math.floor(clock.now() / 1000);
  const { serial, model } = PRODUCT;
  const aibom = canonicalBytes({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', name: 'fealty hub', version: '0.1.0' } },
    components: measurements.map(({ name, digest }) => ({
      type: 'file',
      name,
      hashes: [{ alg: 'SHA-256', content: digest }],
    })),
  });
  const signed = { iss: line.name, iat, exp: iat + YEAR_S, maker: line.name };
  const endorsement = await signEndorsement(line.providerKey, {
    ...signed,
    model,
    aibom: base64url(sha256(aibom)),
    capabilities: ['home'],
  });
  const binding = await signBinding(buyer.key, {
    iss: 'owner',
    iat,
    exp: iat + YEAR_S,
    jti: base64url(random.bytes(16)),
    maker: line.name,
    serial,
    agent: HUB_ID,
    owner: 'family',
  });
  const { maker, ekVendor, provider } = anchorsOf(line);
  const before = await buyer.client.anchors();
  await buyer.client.setAnchors({ ...before, ekVendors: [ekVendor], makers: [maker], providers: [provider] });
  await buyer.client.addBinding(binding);
  await buyer.client.addVoucher(
    serial,
    await makeVoucher(line, { serial, owner: buyer.certificate, ownership: 1, at: clock.now() }),
  );
  return { aibom, endorsement, binding };
}
