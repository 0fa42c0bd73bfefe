import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { ResourceManager } from './message-bus.ts';
import { startResourceManager } from './message-bus.ts';
import { libraryOf, present } from './present.ts';
import type { Shell } from './shell.ts';
import { openShell } from './shell.ts';
import type { ProvidedTpm } from './tpm-provider.ts';
import { provideTpm, subject } from './tpm-provider.ts';

const library = libraryOf('libtpm2_pkcs11.so.1');
const there =
  present('tpm2_ptool', 'pkcs11-tool', 'tpm2-abrmd', 'dbus-daemon', 'openssl') && library !== undefined;

/** tpm2_ptool's ids are text, pkcs11-tool's hexadecimal: `1` is `31`. `token …`: pkcs11-tool, logged in as the user. `public ID`: that key's public half in DER. */
const words = `
token() { pkcs11-tool --module ${library} --token-label robot -l -p user "$@" 2> token.log || { cat token.log >&2 ; return 1; }; }
public() { token --read-object --type pubkey --id $1 -o $1.der; }
`;

// Each leaves objects in the TPM and counts on a resource manager to take them out.
describe.skipIf(!there)(`a PKCS #11 token in ${subject}`, { timeout: 60_000 }, () => {
  let directory: string;
  let tpm: ProvidedTpm;
  let manager: ResourceManager;
  let sh: Shell;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fealty-pkcs11-'));
    await mkdir(join(directory, 'store'));
    tpm = await provideTpm(3);
    manager = await startResourceManager(tpm.tcti);
    sh = await openShell(directory, words, {
      ...manager.environment,
      TPM2_PKCS11_STORE: join(directory, 'store'),
    });
    await sh(`
    echo -n 'a message' > msg
    openssl dgst -sha256 -binary -out digest msg
    tpm2_ptool init
    tpm2_ptool addtoken --pid 1 --label robot --sopin so --userpin user`);
  });
  afterAll(async () => {
    await manager.close();
    await tpm.close();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  });

  it('signs with an ECC key what openssl verifies', async () => {
    await sh(`
    tpm2_ptool addkey --algorithm ecc256 --label robot --key-label key --id 1 --userpin user > /dev/null
    says key token -O
    token -s -m ECDSA --id 31 -i digest -o sig -f openssl
    public 31
    openssl dgst -sha256 -keyform DER -verify 31.der -signature sig msg
    # and verifies it itself
    token -s -m ECDSA --id 31 -i digest -o raw
    says 'Signature is valid' token --verify -m ECDSA --id 31 -i digest --signature-file raw
    head -c 16 /dev/zero > zeros
    grep -qE '^[0-9a-f]{32}$' <<< "$(token --generate-random 16 | hex)"
    # a wrong PIN is noticed, and counted
    fails pkcs11-tool --module ${library} --token-label robot -l -p other -O
    token -O > /dev/null`);
  });

  it('signs and decrypts with an RSA key', async () => {
    await sh(`
    tpm2_ptool addkey --algorithm rsa2048 --label robot --key-label rsa --id 2 --userpin user > /dev/null
    public 32
    token -s -m SHA256-RSA-PKCS --id 32 -i msg -o ssa
    openssl dgst -sha256 -keyform DER -verify 32.der -signature ssa msg
    openssl pkeyutl -encrypt -pubin -keyform DER -inkey 32.der -in msg -out cipher
    token --decrypt -m RSA-PKCS --id 32 -i cipher -o plain ; cmp plain msg`);
  });

  it('makes keys itself, and takes those of others', async () => {
    await sh(`
    token --keypairgen --key-type EC:prime256v1 --label made --id 33 > /dev/null
    token -s -m ECDSA --id 33 -i digest -o made -f openssl
    public 33
    openssl dgst -sha256 -keyform DER -verify 33.der -signature made msg
    openssl ecparam -name prime256v1 -genkey -noout -out soft.pem
    tpm2_ptool import --privkey soft.pem --algorithm ecc --label robot --key-label taken --id 4 --userpin user > /dev/null
    token -s -m ECDSA --id 34 -i digest -o taken -f openssl
    openssl ec -in soft.pem -pubout -out soft.pub
    openssl dgst -sha256 -verify soft.pub -signature taken msg
    # another PIN
    tpm2_ptool changepin --label robot --user user --old user --new other
    fails pkcs11-tool --module ${library} --token-label robot -l -p user -O
    pkcs11-tool --module ${library} --token-label robot -l -p other -O`);
  });
});
