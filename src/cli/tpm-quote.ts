import { fromHex, hex } from '../core/bytes.ts';
import { nodePlatform } from '../core/node.ts';
import type { Tpm, TpmObject } from '../tpm/index.ts';
import {
  encode,
  loadPersistent,
  persistentHandles,
  quotePcrs,
  TPMT_PUBLIC,
  TpmRefused,
  verifyQuote,
} from '../tpm/index.ts';
import type { Command, Input } from './command.ts';
import { flag, Misuse, oneOf, text } from './command.ts';
import { writePaper } from './files.ts';
import { authOption, handleOf, handleText, TpmCannot, tpmOption, withTpm } from './tpm.ts';
import { publicPem } from './tpm-keys.ts';
import { banks, pcrOf, readPcrs } from './tpm-pcr.ts';
import { kindOfKey, roleOfKey, timeInWords } from './tpm-words.ts';

/** `fealty tpm quote`. */
export const tpmQuote: Command = {
  about:
    'Has the TPM sign what its PCRs are (a quote), and verifies it as a verifier would: key, signature, nonce, values.\n' +
    'It changes nothing in the TPM. Whoever wants to be convinced chooses the nonce and checks the key’s certificate.',
  options: {
    tpm: tpmOption,
    key: { type: 'string', value: 'HANDLE', describe: 'the attestation key (default: the IAK, 0x81020001)' },
    'auth-file': {
      type: 'string',
      value: 'FILE',
      describe: 'the key’s auth value, - for stdin (default: empty); a wrong one may be counted',
    },
    nonce: {
      type: 'string',
      value: 'HEX',
      describe: 'what is quoted with it, up to 32 bytes (default: random)',
    },
    bank: { type: 'string', value: 'HASH', describe: 'sha256 (default), sha1, sha384 or sha512' },
    pcrs: { type: 'string', value: 'LIST', describe: 'which, for example 0,7,12 (default: 0 to 15)' },
    out: {
      type: 'string',
      value: 'DIR',
      describe: 'write quote.attest, quote.signature, key.pem and key.public into DIR',
    },
  },
  examples: [
    ['tpm quote', 'a quote by the IAK, for a look'],
    [
      'tpm quote --nonce 0123456789abcdef --pcrs 0,7,12 --out ./proof',
      'then: tpm2_checkquote -u proof/key.pem -m proof/quote.attest -s proof/quote.signature -q 0123456789abcdef',
    ],
  ],
  run: async (input, io) => {
    const { random } = nodePlatform({ directory: '.' });
    const handle = handleOf(text(input, 'key') ?? handleText(persistentHandles.iak));
    const nonce = nonceOf(input) ?? random.bytes(32);
    const bank = oneOf(input, 'bank', banks, 'sha256');
    const pcrs = pcrsOf(input);
    const auth = await authOption(input, 'auth-file');
    const selection = [{ hash: bank, pcrSelect: pcrs }];
    const { key, attest, signature, values } = await withTpm(input, async (tpm) => {
      const signer = await attestationKeyAt(tpm, handle, auth);
      await readPcrs(tpm, pcrs, bank); // says so when there is no such bank
      const quoted = await quotePcrs(tpm, signer, { qualifyingData: nonce, pcrs: selection }).catch(
        (error: unknown) => {
          throw explained(error, handle, auth);
        },
      );
      return { key: signer, ...quoted };
    });
    // throws, and says why, unless it is this key's signature over this nonce and these values
    const said = verifyQuote({
      key: key.public,
      attest,
      signature,
      qualifyingData: nonce,
      pcrs: selection,
      values,
    });
    const out = text(input, 'out');
    if (out !== undefined) {
      await writePaper(out, 'quote.attest', attest);
      await writePaper(out, 'quote.signature', signature);
      await writePaper(out, 'key.pem', publicPem(key) ?? '');
      await writePaper(out, 'key.public', encode(TPMT_PUBLIC, key.public));
    }
    const result = {
      key: handleText(handle),
      role: roleOfKey(handle, key.public),
      nonce: hex(nonce),
      bank,
      pcrs: Object.fromEntries(pcrs.map((pcr, at) => [pcr, hex(values[at] ?? new Uint8Array(0))])),
      pcrDigest: hex(said.attested.pcrDigest),
      clockMs: Number(said.clockInfo.clock),
      resets: said.clockInfo.resetCount,
      restarts: said.clockInfo.restartCount,
      safe: said.clockInfo.safe === 'yes',
    };
    if (flag(input, 'json'))
      io.json({ ...result, attest: hex(attest), signature: hex(signature), publicKey: publicPem(key) });
    else {
      io.print(`Quoted by ${result.key} (${result.role}: ${kindOfKey(key.public)})`);
      io.print(`nonce      ${result.nonce}`);
      io.print(`PCRs       ${bank}: ${pcrs.join(', ')}`);
      io.print(`digest     ${result.pcrDigest}`);
      io.print(
        `clock      ${timeInWords(result.clockMs / 1000)}; resets: ${result.resets}, restarts: ${result.restarts}` +
          `${result.safe ? '' : '; it may have gone back, for the TPM was not shut down in order'}`,
      );
      io.print('verified   the signature, the nonce, the values and the kind of key');
      if (out !== undefined) io.print(`written    ${out}/quote.attest, quote.signature, key.pem, key.public`);
    }
    return 0;
  },
};

async function attestationKeyAt(tpm: Tpm, handle: number, auth: Uint8Array | undefined): Promise<TpmObject> {
  const key = await loadPersistent(tpm, handle, auth);
  if (key === undefined)
    throw new TpmCannot(
      handle === persistentHandles.iak
        ? 'this TPM has no IAK at 0x81020001: its maker gave it none, or keeps it elsewhere; `fealty tpm keys` lists what is there, --key names another'
        : `there is no key at ${handleText(handle)}; \`fealty tpm keys\` lists what is there`,
    );
  const { restricted, sign } = key.public.objectAttributes;
  if (restricted !== true || sign !== true)
    throw new TpmCannot(
      `the key at ${handleText(handle)} is no attestation key (${roleOfKey(handle, key.public)}): only a restricted signing key proves that the TPM speaks`,
    );
  return key;
}

function explained(error: unknown, handle: number, auth: Uint8Array | undefined): unknown {
  if (!(error instanceof TpmRefused) || !/^(AUTH_FAIL|BAD_AUTH)$/.test(error.reason)) return error;
  const counted = error.reason === 'AUTH_FAIL' ? ', and that it was wrong is counted' : '';
  const wants = auth === undefined ? 'has an auth value: give it with --auth-file' : 'has another auth value';
  return new TpmCannot(`the key at ${handleText(handle)} ${wants}${counted}`, { cause: error });
}

function nonceOf(input: Input): Uint8Array | undefined {
  const word = text(input, 'nonce');
  if (word === undefined) return undefined;
  if (!/^([0-9a-f]{2}){1,32}$/i.test(word)) throw new Misuse('--nonce is hexadecimal, 1 to 32 bytes');
  return fromHex(word.toLowerCase());
}

function pcrsOf(input: Input): readonly number[] {
  const word = text(input, 'pcrs');
  if (word === undefined) return Array.from({ length: 16 }, (_, pcr) => pcr);
  const pcrs = [...new Set(word.split(',').map(pcrOf))];
  return pcrs.sort((a, b) => a - b); // a quote's digest is over them in this order
}
