import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { asEcdsa } from '../ecdaa-openssl.ts';
import type { Topic } from './bench.ts';

/** Hashes, HMACs, symmetric ciphers and key agreement. */
export const crypto: Topic = (bench) => {
  const sh = (script: string) => bench().sh(script);

  it('gives as many random bytes as asked for, not the same twice', async () => {
    await sh(`
    a=$(tpm2_getrandom --hex 32) ; b=$(tpm2_getrandom --hex 32)
    grep -qE '^[0-9a-f]{64}$' <<< "$a" ; grep -qE '^[0-9a-f]{64}$' <<< "$b"
    [ "$a" != "$b" ]
    head -c 128 /dev/zero | tpm2_stirrandom
    fails tpm2_getrandom --hex 65`);
  });

  it('hashes as openssl does, in one command and in a sequence', async () => {
    await sh(`
    echo -n abc > short
    head -c 5000 /dev/zero > long
    for alg in sha1 sha256 sha384 sha512; do
      for file in short long; do
        same "$(tpm2_hash -C o -g $alg --hex $file)" "$(openssl dgst -$alg -r $file | cut -d' ' -f1)"
      done
    done
    # the ticket of a hash lets a restricted key sign it; data that looks like an attestation gets none
    tpm2_createprimary -C o -G ecc:ecdsa-sha256:null -a 'sign|restricted|fixedtpm|fixedparent|sensitivedataorigin|userwithauth' -c signer.ctx
    tpm2_hash -C o -g sha256 -t ticket -o digest short
    tpm2_sign -c signer.ctx -g sha256 -d -t ticket -f plain -o sig digest
    tpm2_readpublic -c signer.ctx -f pem -o signer.pem
    openssl dgst -sha256 -verify signer.pem -signature sig short
    tpm2_hash -C o -g sha256 -t ticket -o digest long
    tpm2_sign -c signer.ctx -g sha256 -d -t ticket -f plain -o sig digest
    openssl dgst -sha256 -verify signer.pem -signature sig long
    (printf '\\xff\\x54\\x43\\x47' ; cat long) > forged
    tpm2_hash -C o -g sha256 -t ticket -o digest forged
    refused 0x3e0 tpm2_sign -c signer.ctx -g sha256 -d -t ticket -f plain -o sig digest
    tpm2_hash -C n -g sha256 -t ticket -o digest short
    refused 0x3e0 tpm2_sign -c signer.ctx -g sha256 -d -t ticket -f plain -o sig digest`);
  });

  it('makes HMACs that openssl makes too, in one command and in a sequence', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c primary.ctx
    echo -n 0123456789abcdef0123456789abcdef > raw
    tpm2_import -C primary.ctx -G hmac -i raw -u key.pub -r key.priv
    tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx
    echo -n abc > short
    head -c 5000 /dev/zero > long
    for file in short long; do
      same "$(tpm2_hmac -c key.ctx -g sha256 --hex $file)" "$(openssl dgst -sha256 -r -hmac "$(cat raw)" $file | cut -d' ' -f1)"
    done
    # a key of its own: known to nobody, but the same each time, and different from another's
    tpm2_create -C primary.ctx -G hmac:sha256 -u own.pub -r own.priv
    tpm2_load -C primary.ctx -u own.pub -r own.priv -c own.ctx
    a=$(tpm2_hmac -c own.ctx --hex short)
    same "$(tpm2_hmac -c own.ctx --hex short)" "$a"
    [ "$a" != "$(tpm2_hmac -c key.ctx -g sha256 --hex short)" ]
    refused 0x2c4 tpm2_hmac -c own.ctx -g sha1 --hex short`);
  });

  it('encrypts by AES as openssl does, in each mode it has', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c primary.ctx
    echo -n 0123456789abcdef > raw
    key=$(hex raw) ; iv=000102030405060708090a0b0c0d0e0f
    xxd -r -p <<< $iv > iv
    head -c 64 /dev/zero > plain
    tpm2_import -C primary.ctx -G aes -i raw -u key.pub -r key.priv
    tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx
    for mode in cfb cbc ofb ctr; do
      tpm2_encryptdecrypt -c key.ctx -G $mode -t iv -o cipher plain
      same "$(hex cipher)" "$(openssl enc -aes-128-$mode -nopad -K $key -iv $iv -in plain | hex)"
      tpm2_encryptdecrypt -d -c key.ctx -G $mode -t iv -o again cipher
      same "$(hex again)" "$(hex plain)"
    done
    tpm2_encryptdecrypt -c key.ctx -G ecb -o cipher plain
    same "$(hex cipher)" "$(openssl enc -aes-128-ecb -nopad -K $key -in plain | hex)"
    # padded by the tool, and in two pieces: the chaining value comes back
    echo -n 'not a whole block' > odd
    tpm2_encryptdecrypt -c key.ctx -G cbc -e -t iv -o cipher odd
    same "$(openssl enc -d -aes-128-cbc -K $key -iv $iv -in cipher)" 'not a whole block'
    head -c 3000 /dev/urandom > large
    tpm2_encryptdecrypt -c key.ctx -G cfb -t iv -o cipher large
    same "$(openssl enc -d -aes-128-cfb -K $key -iv $iv -in cipher | sha)" "$(sha large)"
    # a key made inside with a mode of its own takes no other
    tpm2_create -C primary.ctx -G aes256cbc -u own.pub -r own.priv
    tpm2_load -C primary.ctx -u own.pub -r own.priv -c own.ctx
    tpm2_encryptdecrypt -c own.ctx -t iv -o cipher plain
    tpm2_encryptdecrypt -d -c own.ctx -t iv -o again cipher
    same "$(hex again)" "$(hex plain)"
    refused 0x3c9 tpm2_encryptdecrypt -c own.ctx -G cfb -t iv -o cipher plain`);
  });

  /** A file with the point of a PEM key as the tools read it, and a PEM key from such a file. */
  const points = `
  point() { local xy=$(openssl ec -pubin -in $1 -outform DER 2> /dev/null | tail -c 64 | hex)
    printf '00440020%s0020%s' "\${xy:0:64}" "\${xy:64}" | xxd -r -p; }
  spki() { printf '3059301306072a8648ce3d020106082a8648ce3d03010703420004%s%s' $(hex $1 | cut -c 9-72) $(hex $1 | cut -c 77-140) |
    xxd -r -p | openssl ec -pubin -inform DER 2> /dev/null; }
  soft() { openssl ecparam -name prime256v1 -genkey -noout -out $1.pem ; openssl ec -in $1.pem -pubout -out $1.pub 2> /dev/null; }`;
  const agreement = `tpm2_createprimary -C o -G ecc -c primary.ctx
    tpm2_create -C primary.ctx -G ecc256:ecdh -a 'decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth' -u key.pub -r key.priv
    tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx
    tpm2_readpublic -c key.ctx -f pem -o key.pem`;

  it('agrees on secrets by ECDH with openssl', async () => {
    await sh(`${points}
    ${agreement}
    tpm2_ecdhkeygen -c key.ctx -u eph.point -o z1
    tpm2_ecdhzgen -c key.ctx -u eph.point -o z2
    same "$(hex z1)" "$(hex z2)"
    soft theirs
    point theirs.pub > theirs.point
    tpm2_ecdhzgen -c key.ctx -u theirs.point -o z
    same "$(hex z | cut -c 9-72)" "$(openssl pkeyutl -derive -inkey theirs.pem -peerkey key.pem | hex)"
    # a point that is not on the curve
    printf '00440020%s0020%s' $(hex theirs.point | cut -c 9-72) $(hex theirs.point | cut -c 9-72) | xxd -r -p > off.point
    refused 0x1e7 tpm2_ecdhzgen -c key.ctx -u off.point -o z
    # the curve, as everybody knows it
    tpm2_geteccparameters ecc256 -o curve
    hex curve | grep -q ffffffff00000001000000000000000000000000ffffffffffffffffffffffff
    hex curve | grep -q 6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296`);
  });

  it('makes ephemeral keys, and uses each once in a key agreement of two phases', async () => {
    await sh(`${points}
    ${agreement}
    soft long ; soft short
    point long.pub > long.point ; point short.pub > short.point
    tpm2_ecephemeral -u eph.point -t counter ecc256
    spki eph.point > eph.pem
    count=$((16#$(hex counter)))
    phase2() { tpm2_zgen2phase -c key.ctx -t $count --static-public long.point --ephemeral-public short.point --output-Z1 z1 --output-Z2 z2; }
    phase2
    same "$(hex z1 | cut -c 9-72)" "$(openssl pkeyutl -derive -inkey long.pem -peerkey key.pem | hex)"
    same "$(hex z2 | cut -c 9-72)" "$(openssl pkeyutl -derive -inkey short.pem -peerkey eph.pem | hex)"
    refused 0x4c4 phase2`);
  });

  it('commits to a number, and signs with it once by ECDAA', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c primary.ctx
    tpm2_create -C primary.ctx -G ecc256:ecdaa -a 'sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth' -u key.pub -r key.priv
    tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx
    tpm2_readpublic -c key.ctx -f pem -o key.pem
    tpm2_commit -c key.ctx -t counter --eccpoint-K K --eccpoint-L L -u E
    echo -n 'a message' > msg
    sign() { tpm2_sign -c key.ctx -g sha256 -s ecdaa --commit-index $((16#$(hex counter))) -o sig msg; }
    sign
    refused 0x84 sign`);
    const file = async (name: string) => readFile(join(bench().directory, name));
    const signature = await file('sig');
    expect(signature.subarray(0, 4).toString('hex')).toBe('001a000b');
    const { number, ecdsa } = asEcdsa(signature, await file('E'), Buffer.from('a message'));
    await writeFile(join(bench().directory, 'number'), number);
    await writeFile(join(bench().directory, 'ecdsa'), ecdsa);
    await sh('openssl pkeyutl -verify -pubin -inkey key.pem -in number -sigfile ecdsa');
  });
};
