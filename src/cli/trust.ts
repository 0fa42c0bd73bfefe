import { join, resolve } from 'node:path';
import { anchorsFrom, anchorsToJson } from '../authority/index.ts';
import { base64url } from '../core/bytes.ts';
import { v } from '../core/schema.ts';
import { isAgentId } from '../identity/index.ts';
import { voucherSchema } from '../provisioning/messages.ts';
import { signBinding } from '../provisioning/papers.ts';
import type { Command } from './command.ts';
import { flag, list, Misuse, need, text } from './command.ts';
import { durationOption } from './duration.ts';
import { pretty, readJsonFile, writePaper } from './files.ts';
import { makerAnchorsSchema, makerFingerprints } from './maker-anchors.ts';
import { measurementsSchema } from './measure.ts';
import { openOwner, ownerOptions } from './owner.ts';

const productSchema = v.strictObject({
  version: v.literal(1),
  maker: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  serial: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  model: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  capabilities: v.array(v.string()),
  /** SHA-256 of the IDevID certificate, hexadecimal. */
  idevid: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});

/** `fealty authority trust`. */
export const authorityTrust: Command = {
  arguments: 'ANCHORS',
  count: [1, 1],
  about:
    'Trusts a maker, by the anchors.json it handed over: its device CA, its voucher keys, the vendors of its TPMs, and the keys that\n' +
    'endorse its software. Each counts for its own role alone. Compare the fingerprints that are shown with the maker’s first.',
  options: { ...ownerOptions },
  examples: [['authority trust ./maker/anchors.json', 'devices of this maker may be bound from now on']],
  run: async (input, io) => {
    const file = resolve(input.positionals[0] ?? '');
    const trusted = await readJsonFile(file, makerAnchorsSchema, 'anchors of a maker');
    const { client } = await openOwner(input);
    const before = anchorsToJson(await client.anchors());
    await client.setAnchors(
      anchorsFrom({
        ...before,
        makers: [...before.makers.filter(({ name }) => name !== trusted.maker.name), trusted.maker],
        ekVendors: merged(before.ekVendors, trusted.ekVendors),
        providers: merged(before.providers, trusted.providers),
      }),
    );
    const fingerprints = makerFingerprints(trusted);
    if (flag(input, 'json')) io.json({ maker: trusted.maker.name, fingerprints });
    else {
      io.print(`${trusted.maker.name} is trusted as a maker:`);
      for (const [what, print] of Object.entries(fingerprints))
        io.print(`  ${what.padEnd(12)} SHA-256 ${print}`);
      if (trusted.ekVendors.some(({ simulated }) => simulated))
        io.note(
          'its EK vendor is a simulator’s, which counts only where the authority was made for simulation',
        );
    }
    return 0;
  },
};

/** `fealty authority bind`. */
export const authorityBind: Command = {
  arguments: 'PAPERS',
  count: [1, 1],
  about:
    'Takes a device into the fleet, by its papers: keeps its voucher at the authority, and says, signed with the owner’s key, which\n' +
    'identifier it gets and for whom it acts. The device enrols by itself when its agent is started.',
  options: {
    agent: { type: 'string', value: 'ID', describe: 'its identifier: spiffe://<trust domain>/agent/<name>' },
    for: { type: 'string', value: 'NAME', describe: 'the person or role it acts for (default: owner)' },
    can: {
      type: 'string',
      value: 'NAME',
      multiple: true,
      describe: 'only these of its endorsed capabilities; repeat it (default: all)',
    },
    life: {
      type: 'string',
      value: 'TIME',
      describe: 'how long it may enrol and renew by it (default: 365 d)',
    },
    ...ownerOptions,
  },
  examples: [
    [
      'authority bind ./dog --agent spiffe://fleet.example/agent/dog',
      'the device is mine, and is called dog',
    ],
  ],
  run: async (input, io) => {
    const papers = resolve(input.positionals[0] ?? '');
    const agent = need(input, 'agent');
    if (!isAgentId(agent))
      throw new Misuse(
        `--agent is an identifier such as \`spiffe://fleet.example/agent/dog\`, not \`${agent}\``,
      );
    const lifeMs = durationOption('life', text(input, 'life') ?? '365 d');
    const product = await readJsonFile(join(papers, 'product.json'), productSchema, 'product of a maker');
    const voucher = await readJsonFile(join(papers, 'voucher.json'), voucherSchema, 'voucher');
    const { client, key, platform } = await openOwner(input);
    const iat = Math.floor(platform.clock.now() / 1000);
    const can = list(input, 'can');
    const { maker, serial } = product;
    const binding = await signBinding(key, {
      iss: 'owner',
      iat,
      exp: iat + Math.floor(lifeMs / 1000),
      jti: base64url(platform.random.bytes(16)),
      maker,
      serial,
      agent,
      owner: text(input, 'for') ?? 'owner',
      ...(can.length > 0 ? { capabilities: [...can] } : {}),
    });
    await client.addVoucher(serial, voucher);
    await client.addBinding(binding);
    await writePaper(papers, 'binding.jwt', `${binding}\n`);
    if (flag(input, 'json')) io.json({ agent, maker, serial, model: product.model, papers });
    else {
      io.print(`${product.model} ${serial} of ${maker} is ${agent} when it enrols`);
      io.note(
        'next, with its fealty.json: fealty agent measure --config fealty.json --out measurements.json; fealty authority reference measurements.json',
      );
    }
    return 0;
  },
};

/** `fealty authority reference`. */
export const authorityReference: Command = {
  arguments: 'FILE…',
  count: [1, 64],
  about:
    'Says what a good machine measures: adds the measurements in these files (of `fealty agent measure`) to the reference values of the\n' +
    'verifier. What is measured and not known here is refused at enrolment and at each renewal. --replace forgets all others.',
  options: {
    replace: { type: 'boolean', describe: 'only what is in these files counts from now on' },
    ...ownerOptions,
  },
  examples: [
    ['authority reference dog.json vehicle.json', 'before a new configuration is rolled out'],
    ['authority reference --replace dog.json vehicle.json', 'when every machine has it'],
  ],
  run: async (input, io) => {
    const files = await Promise.all(
      input.positionals.map((path) =>
        readJsonFile(resolve(path), measurementsSchema, 'list of measurements'),
      ),
    );
    const { client } = await openOwner(input);
    const before = flag(input, 'replace') ? undefined : await client.reference();
    const known = new Map<string, { kind: string; name: string; digests: string[] }>();
    const add = (kind: string, name: string, digests: readonly string[]) => {
      const entry = known.get(`${kind}\n${name}`) ?? { kind, name, digests: [] };
      for (const digest of digests) if (!entry.digests.includes(digest)) entry.digests.push(digest);
      known.set(`${kind}\n${name}`, entry);
    };
    for (const { kind, name, digests } of before?.measurements ?? []) add(kind, name, digests);
    for (const { measurements } of files)
      for (const { kind, name, digest } of measurements) add(kind, name, [digest]);
    const measurements = [...known.values()];
    await client.setReference({ version: 1, pcrs: before?.pcrs ?? {}, measurements });
    if (flag(input, 'json')) io.json({ measurements });
    else
      for (const { kind, name, digests } of measurements)
        io.print(
          `${kind} ${name}: ${digests.length === 1 ? digests[0] : `${digests.length} accepted digests`}`,
        );
    return 0;
  },
};

function merged<T>(before: readonly T[], added: readonly T[]): T[] {
  const seen = new Map<string, T>();
  for (const one of [...before, ...added]) seen.set(pretty(one), one);
  return [...seen.values()];
}
