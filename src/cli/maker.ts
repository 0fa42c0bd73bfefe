import { join, resolve } from 'node:path';
import { base64url, hex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { nodePlatform } from '../core/node.ts';
import { fromPem } from '../core/pem.ts';
import { parseCertificate } from '../identity/index.ts';
import { readAibom } from '../provisioning/aibom.ts';
import type { MakerLine, Manufactured } from '../provisioning/maker.ts';
import {
  createMakerLine,
  loadMakerLine,
  makeVoucher,
  manufacture,
  saveMakerLine,
} from '../provisioning/maker.ts';
import { signEndorsement } from '../provisioning/papers.ts';
import { openTpm } from '../tpm/index.ts';
import type { Command, Input } from './command.ts';
import { flag, list, Misuse, need, text, whole } from './command.ts';
import { BadFile, pretty, readBytes, readText, writePaper } from './files.ts';
import { makerAnchorsJson, makerFingerprints } from './maker-anchors.ts';
import { aibomOf, measureDevice, measureProgram } from './measure.ts';
import { transportOf } from './tpm.ts';

const ENDORSEMENT_LIFE_S = 10 * 365 * 86_400;

/** `fealty maker init`. */
export const makerInit: Command = {
  arguments: 'DIR',
  count: [1, 1],
  about:
    'Makes a maker’s production line in a folder: a certificate authority for devices (IDevID, IAK), one for the endorsement keys of\n' +
    'simulated TPMs, the key that signs vouchers, and the key that endorses software. All of it is secret but `anchors.json`, which\n' +
    'says whom to trust: hand that to owners, on a way they can trust.',
  options: {
    name: { type: 'string', value: 'NAME', describe: 'the maker, as bindings and endorsements name it' },
  },
  examples: [['maker init ./maker --name "Robotics Works"', 'once']],
  run: async (input, io) => {
    const directory = folderOf(input);
    const platform = nodePlatform({ directory });
    if ((await loadMakerLine(platform.store)) !== undefined)
      throw new BadFile(directory, 'holds a maker’s line already');
    const line = await madeLine(platform, need(input, 'name'));
    await saveMakerLine(platform.store, line);
    const anchors = await writePaper(directory, 'anchors.json', pretty(makerAnchorsJson(line)));
    const fingerprints = makerFingerprints(makerAnchorsJson(line));
    if (flag(input, 'json')) io.json({ maker: line.name, directory, anchors, fingerprints });
    else {
      io.print(`The line of ${line.name} is in ${directory}: keep it secret.`);
      io.print(`For owners: ${anchors}`);
      for (const [what, print] of Object.entries(fingerprints))
        io.print(`  ${what.padEnd(12)} SHA-256 ${print}`);
      io.note(
        `next: fealty maker manufacture ${input.positionals[0]} --tpm TRANSPORT --serial S --model M --out PAPERS`,
      );
    }
    return 0;
  },
};

/** `fealty maker manufacture`. */
export const makerManufacture: Command = {
  arguments: 'DIR',
  count: [1, 1],
  about:
    'Puts EK, IAK and IDevID with their certificates (TCG profile) into a TPM, and the maker’s voucher keys beside them; then writes the\n' +
    'papers that go with the device: bill of materials, endorsement, product.json. A TPM with an EK certificate of its vendor keeps it.\n' +
    'Done again, it gives the same keys new certificates. With --owner the device is sold at once: its voucher is among the papers.',
  options: {
    tpm: {
      type: 'string',
      value: 'TRANSPORT',
      describe: 'device:/dev/tpmrm0 (default), swtpm:host=127.0.0.1,port=2321 or swtpm:path=/run/swtpm/sock',
    },
    serial: { type: 'string', value: 'S', describe: 'serial number of the device' },
    model: { type: 'string', value: 'M', describe: 'what it is' },
    out: { type: 'string', value: 'PAPERS', describe: 'folder for the papers' },
    can: {
      type: 'string',
      value: 'NAME',
      multiple: true,
      describe: 'a capability that is endorsed, for example lidar; repeat it',
    },
    device: {
      type: 'string',
      value: 'FOLDER',
      multiple: true,
      describe: 'a device folder whose driver is in the bill of materials; repeat it',
    },
    aibom: {
      type: 'string',
      value: 'FILE',
      describe:
        'bill of materials, CycloneDX 1.6 or 1.7 JSON (default: this program and the --device folders)',
    },
    owner: { type: 'string', value: 'FILE', describe: 'the buyer’s certificate (aca.pem of the authority)' },
    ownership: {
      type: 'string',
      value: 'N',
      describe: 'how often it was sold, this sale included (default: 1)',
    },
  },
  examples: [
    [
      'maker manufacture ./maker --tpm swtpm:host=127.0.0.1,port=2321 --serial DOG-1 --model "Quadruped 3" --can lidar --out ./dog',
      'a robot with a software TPM',
    ],
    [
      'maker manufacture ./maker --serial DOG-1 --model "Quadruped 3" --out ./dog --owner aca.pem',
      'the TPM of this machine, sold at once',
    ],
  ],
  run: async (input, io) => {
    const { line, platform } = await lineOf(input);
    const product = { serial: need(input, 'serial'), model: need(input, 'model') };
    const out = resolve(need(input, 'out'));
    const capabilities = [...list(input, 'can')];
    const owner = await ownerOf(input);
    const aibomFile = text(input, 'aibom');
    const aibom =
      aibomFile === undefined
        ? aibomOf([
            await measureProgram(),
            ...(await Promise.all(list(input, 'device').map((folder) => measureDevice(resolve(folder))))),
          ])
        : await readBytes(aibomFile);
    readAibom(aibom); // before anything is written into the TPM
    const { random, clock } = platform;
    const transport = transportOf(text(input, 'tpm') ?? 'device:/dev/tpmrm0');
    const tpm = await openTpm({ transport, random, clock });
    let made: Manufactured;
    try {
      made = await manufacture(tpm, line, product);
    } finally {
      await tpm.close();
    }
    const iat = Math.floor(clock.now() / 1000);
    const endorsement = await signEndorsement(line.providerKey, {
      iss: line.name,
      iat,
      exp: iat + ENDORSEMENT_LIFE_S,
      maker: line.name,
      model: product.model,
      aibom: base64url(sha256(aibom)),
      capabilities,
    });
    const idevid = hex(sha256(made.idevidCertificate));
    await writePaper(out, 'aibom.json', aibom);
    await writePaper(out, 'endorsement.jwt', `${endorsement}\n`);
    await writePaper(
      out,
      'product.json',
      pretty({ version: 1, maker: line.name, ...product, capabilities, idevid }),
    );
    const sold =
      owner === undefined ? undefined : await sell(line, input, product.serial, owner, clock.now());
    if (sold !== undefined) await writePaper(out, 'voucher.json', pretty(sold));
    if (flag(input, 'json'))
      io.json({ maker: line.name, ...product, capabilities, idevid, papers: out, sold: sold !== undefined });
    else {
      io.print(`${product.model} ${product.serial} has its identity: IDevID certificate SHA-256 ${idevid}`);
      io.print(
        `Its papers are in ${out}: aibom.json, endorsement.jwt, product.json${sold ? ', voucher.json' : ''}`,
      );
      io.note(
        sold
          ? `for the owner: fealty authority trust ${join(folderOf(input), 'anchors.json')}; fealty authority bind ${out} --agent spiffe://…`
          : `when it is sold: fealty maker voucher ${input.positionals[0]} --serial ${product.serial} --owner aca.pem --out ${out}`,
      );
    }
    return 0;
  },
};

/** `fealty maker voucher`. */
export const makerVoucher: Command = {
  arguments: 'DIR',
  count: [1, 1],
  about:
    'Signs a voucher (RFC 8366): the maker’s word to one device that it belongs to the owner with this certificate. It goes into the\n' +
    'device’s papers, and `fealty authority bind` takes it to the authority. A device that is sold again needs a higher --ownership.',
  options: {
    serial: { type: 'string', value: 'S', describe: 'serial number of the device' },
    owner: { type: 'string', value: 'FILE', describe: 'the buyer’s certificate (aca.pem of the authority)' },
    out: { type: 'string', value: 'PAPERS', describe: 'folder with the papers of the device' },
    ownership: {
      type: 'string',
      value: 'N',
      describe: 'how often it was sold, this sale included (default: 1)',
    },
  },
  examples: [['maker voucher ./maker --serial DOG-1 --owner aca.pem --out ./dog', 'sell it']],
  run: async (input, io) => {
    const { line, platform } = await lineOf(input);
    const serial = need(input, 'serial');
    const out = resolve(need(input, 'out'));
    need(input, 'owner');
    const owner = await ownerOf(input);
    if (owner === undefined) throw new Misuse('--owner is needed');
    const voucher = await sell(line, input, serial, owner, platform.clock.now());
    const path = await writePaper(out, 'voucher.json', pretty(voucher));
    if (flag(input, 'json')) io.json({ maker: line.name, serial, voucher: path });
    else {
      io.print(`The voucher of ${serial} is ${path}`);
      io.note(`for the owner: fealty authority bind ${out} --agent spiffe://…`);
    }
    return 0;
  },
};

function folderOf(input: Input): string {
  return resolve(input.positionals[0] ?? '.');
}

async function lineOf(input: Input) {
  const directory = folderOf(input);
  const platform = nodePlatform({ directory });
  const line = await loadMakerLine(platform.store);
  if (line === undefined) throw new BadFile(directory, 'holds no maker’s line: fealty maker init makes one');
  return { line, platform };
}

async function madeLine(platform: Parameters<typeof createMakerLine>[0], name: string): Promise<MakerLine> {
  try {
    return await createMakerLine(platform, name);
  } catch (cause) {
    if (cause instanceof TypeError) throw new Misuse(`--name: ${cause.message}`, { cause });
    throw cause;
  }
}

/** The buyer's certificate, DER, when there is a buyer. @throws {BadFile} */
async function ownerOf(input: Input): Promise<Uint8Array | undefined> {
  const path = text(input, 'owner');
  if (path === undefined) return undefined;
  try {
    const [certificate = new Uint8Array()] = fromPem('CERTIFICATE', await readText(path));
    parseCertificate(certificate);
    return certificate;
  } catch (cause) {
    if (cause instanceof BadFile) throw cause;
    throw new BadFile(path, 'is no certificate in PEM', { cause });
  }
}

function sell(line: MakerLine, input: Input, serial: string, owner: Uint8Array, at: number) {
  const ownership = whole(input, 'ownership', { min: 1, max: 1_000_000 }) ?? 1;
  return makeVoucher(line, { serial, owner, ownership, at });
}
