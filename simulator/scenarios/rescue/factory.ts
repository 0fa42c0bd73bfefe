import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Papers } from 'fealty';
import { nodePlatform } from 'fealty';
import { openTpm, openTransport } from 'fealty/tpm';
import { base64url } from '../../../src/core/bytes.ts';
import { sha256 } from '../../../src/core/hash.ts';
import { canonicalBytes } from '../../../src/core/json.ts';
import type { MakerLine, Manufactured } from '../../../src/provisioning/maker.ts';
import { anchorsOf, createMakerLine, makeVoucher, manufacture } from '../../../src/provisioning/maker.ts';
import { signBinding, signEndorsement } from '../../../src/provisioning/papers.ts';
import { SoftwareTpm } from '../../tpm/index.ts';
import { measurementsOf } from './body.ts';
import type { Cast } from './cast.ts';
import { productOf } from './cast.ts';
import type { RobotName } from './words.ts';
import { idOf, ROBOTS } from './words.ts';

const YEAR_S = 365 * 86_400;

/** The maker, and what the owner is told of it. */
export async function openLine(cast: Cast): Promise<MakerLine> {
  const line = await createMakerLine(cast.platform, 'Robotics Works');
  const { maker, ekVendor, provider } = anchorsOf(line);
  const { client } = cast.owner;
  const before = await client.anchors();
  await client.setAnchors({ ...before, ekVendors: [ekVendor], makers: [maker], providers: [provider] });
  return line;
}

/** The maker's line gives a robot's TPM its identity. The TPM is off again afterwards. */
export async function make(cast: Cast, line: MakerLine, name: RobotName): Promise<Manufactured> {
  const { random, clock } = cast.platform;
  const spec = await cast.tpmOf(name);
  const chip =
    spec === 'software'
      ? await SoftwareTpm.create({
          random,
          clock,
          store: nodePlatform({ directory: join(cast.folder(name), 'tpm') }).store,
        })
      : undefined;
  const tpm = await openTpm({ transport: chip ?? openTransport(spec), random, clock });
  try {
    return await manufacture(tpm, line, productOf(name));
  } finally {
    await tpm.close();
    await chip?.close();
  }
}

/** What goes with the robot on paper: bill of materials, endorsement, and the owner's binding; and the sale. */
export async function sell(cast: Cast, line: MakerLine, name: RobotName): Promise<Papers> {
  const { clock, random } = cast.platform;
  const iat = Math.floor(clock.now() / 1000);
  const { serial, model } = productOf(name);
  const aibom = canonicalBytes({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', name: 'fealty', version: '0.1.0' } },
    components: (await measurementsOf(name)).map((one) => ({
      type: 'file',
      name: one.name,
      hashes: [{ alg: 'SHA-256', content: one.digest }],
    })),
  });
  const capabilities = [...ROBOTS[name].capabilities];
  const endorsement = await signEndorsement(line.providerKey, {
    iss: line.name,
    iat,
    exp: iat + YEAR_S,
    maker: line.name,
    model,
    aibom: base64url(sha256(aibom)),
    capabilities,
  });
  const { client, key } = cast.owner;
  const binding = await signBinding(key, {
    iss: 'owner',
    iat,
    exp: iat + YEAR_S,
    jti: base64url(random.bytes(16)),
    maker: line.name,
    serial,
    agent: idOf(name),
    owner: 'fire-brigade',
  });
  await client.addBinding(binding);
  const voucher = await makeVoucher(line, {
    serial,
    owner: await cast.ownersCertificate(),
    ownership: 1,
    at: clock.now(),
  });
  await client.addVoucher(serial, voucher);
  await mkdir(cast.folder(name), { recursive: true, mode: 0o700 });
  await writeFile(join(cast.folder(name), 'aibom.json'), aibom);
  return { aibom, endorsement, binding };
}
