import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'vitest';
import { libraryOf, present } from './present.ts';
import type { Shell } from './shell.ts';
import { openShell } from './shell.ts';
import type { ProvidedTpm } from './tpm-provider.ts';
import { provideTpm, subject } from './tpm-provider.ts';

/** `tpm COMMAND …`: openssl with the provider of tpm2-openssl before its own. */
const words = `
tpm() { local command=$1 ; shift ; openssl $command -provider tpm2 -provider default -propquery '?provider=tpm2' "$@"; }
echo -n 'a message' > msg
`;

/** The TPM signs; digests, ciphers and random numbers are openssl's own, or a handshake would need a hundred commands. */
const tlsConfiguration = `openssl_conf = all
[all]
providers = providers
alg_section = algorithms
random = random
[providers]
default = active
tpm2 = active
[active]
activate = 1
[algorithms]
default_properties = ?provider=tpm2,tpm2.digest!=yes,tpm2.cipher!=yes
[random]
random = CTR-DRBG
properties = provider=default
cipher = AES-256-CTR
seed_properties = provider=default
`;

describe.skipIf(!present('openssl', 'tpm2_getrandom') || libraryOf('ossl-modules/tpm2.so') === undefined)(
  `openssl with keys in ${subject}`,
  { timeout: 60_000 },
  () => {
    let directory: string;
    let tpm: ProvidedTpm;
    let sh: Shell;

    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'fealty-openssl-'));
      tpm = await provideTpm(64);
      sh = await openShell(directory, words, { TPM2OPENSSL_TCTI: tpm.tcti, TPM2TOOLS_TCTI: tpm.tcti });
    });
    afterEach(async () => {
      await tpm.close();
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    });

    it('makes random numbers', async () => {
      await sh(`
      a=$(openssl rand -provider tpm2 -hex 24) ; b=$(openssl rand -provider tpm2 -hex 24)
      grep -qE '^[0-9a-f]{48}$' <<< "$a" ; [ "$a" != "$b" ]`);
    });

    it('makes ECC keys that sign, and that agree on secrets with keys of its own', async () => {
      await sh(`
      for curve in P-256 P-384; do
        tpm genpkey -algorithm EC -pkeyopt group:$curve -out key.pem
        grep -q 'BEGIN TSS2 PRIVATE KEY' key.pem
        tpm pkey -in key.pem -pubout -out pub.pem
        tpm dgst -sha256 -sign key.pem -out sig msg
        openssl dgst -sha256 -verify pub.pem -signature sig msg
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:$curve -out soft.pem
        openssl pkey -in soft.pem -pubout -out soft.pub
        tpm pkeyutl -derive -inkey key.pem -peerkey soft.pub -out z1
        openssl pkeyutl -derive -inkey soft.pem -peerkey pub.pem -out z2
        cmp z1 z2
      done`);
    });

    it('makes RSA keys that sign by both schemes, and decrypt', async () => {
      await sh(`
      tpm genpkey -algorithm RSA -pkeyopt bits:2048 -out key.pem
      tpm pkey -in key.pem -pubout -out pub.pem
      openssl dgst -sha256 -binary -out digest msg
      tpm pkeyutl -sign -inkey key.pem -in digest -pkeyopt digest:sha256 -out sig
      openssl pkeyutl -verify -pubin -inkey pub.pem -in digest -pkeyopt digest:sha256 -sigfile sig
      tpm dgst -sha256 -sigopt rsa_padding_mode:pss -sign key.pem -out pss msg
      openssl dgst -sha256 -verify pub.pem -sigopt rsa_padding_mode:pss -signature pss msg
      openssl pkeyutl -encrypt -pubin -inkey pub.pem -in msg -out cipher
      tpm pkeyutl -decrypt -inkey key.pem -in cipher -out plain ; cmp plain msg`);
    });

    it('signs certificates, by a key in a file or in persistent memory', async () => {
      await sh(`
      tpm genpkey -algorithm EC -pkeyopt group:P-256 -out key.pem
      tpm req -x509 -key key.pem -subj /CN=robot -days 1 -out cert.pem
      openssl verify -CAfile cert.pem cert.pem
      tpm2_createprimary -C o -G ecc -c primary.ctx
      tpm2_create -C primary.ctx -G ecc -u k.pub -r k.priv ; tpm2_flushcontext -t
      tpm2_load -C primary.ctx -u k.pub -r k.priv -c k.ctx ; tpm2_flushcontext -t
      tpm2_evictcontrol -C o -c k.ctx 0x81000010 ; tpm2_flushcontext -t
      tpm req -new -key handle:0x81000010 -subj /CN=robot -out request.pem
      openssl req -verify -in request.pem -noout
      tpm pkey -in handle:0x81000010 -pubout -out pub.pem
      tpm2_readpublic -c 0x81000010 -f pem -o read.pem
      same "$(openssl pkey -pubin -in pub.pem -outform DER | hex)" "$(openssl pkey -pubin -in read.pem -outform DER | hex)"`);
    });

    it('uses keys below a persistent parent, and with a password', async () => {
      await sh(`
      tpm2_createprimary -C o -G ecc -c primary.ctx ; tpm2_evictcontrol -C o -c primary.ctx 0x81000001 ; tpm2_flushcontext -t
      tpm genpkey -algorithm EC -pkeyopt group:P-256 -pkeyopt parent:0x81000001 -pkeyopt user-auth:word -out key.pem
      tpm pkey -in key.pem -passin pass:word -pubout -out pub.pem
      tpm dgst -sha256 -sign key.pem -passin pass:word -out sig msg
      openssl dgst -sha256 -verify pub.pem -signature sig msg
      fails tpm dgst -sha256 -sign key.pem -passin pass:other -out sig msg
      # a key that tpm2-tools wrote, in the same file format
      tpm2_create -C 0x81000001 -G ecc -u k.pub -r k.priv ; tpm2_flushcontext -t
      tpm2_encodeobject -C 0x81000001 -u k.pub -r k.priv -o encoded.pem ; tpm2_flushcontext -t
      tpm dgst -sha256 -sign encoded.pem -passin pass: -out sig msg
      tpm pkey -in encoded.pem -passin pass: -pubout -out encoded.pub
      openssl dgst -sha256 -verify encoded.pub -signature sig msg`);
    });

    it('serves TLS with a key that never leaves the TPM', async () => {
      await writeFile(join(directory, 'tls.cnf'), tlsConfiguration);
      await sh(`
      tpm genpkey -algorithm EC -pkeyopt group:P-256 -out key.pem
      tpm req -x509 -key key.pem -subj /CN=robot -days 1 -out cert.pem
      coproc server { OPENSSL_CONF=tls.cnf openssl s_server -www -accept 127.0.0.1:0 -naccept 1 -key key.pem -cert cert.pem -tls1_3 2> server.log; }
      while read -r line <&"\${server[0]}"; do case $line in ACCEPT*) port=\${line##*:} ; break ;; esac ; done
      printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -connect 127.0.0.1:$port -CAfile cert.pem -verify_return_error -quiet 2> client.log > page || [ -s page ]
      grep -q 'HTTP/1.0 200' page
      grep -q 'CN = robot' client.log`);
    });
  },
);
