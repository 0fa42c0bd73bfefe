import { it } from 'vitest';
import type { Topic } from './bench.ts';

/** Making, loading, importing and using keys. */
export const keys: Topic = (bench) => {
  const sh = (script: string) => bench().sh(script);

  it('makes ECC keys whose signatures openssl verifies, and that verify what openssl signs', async () => {
    await sh(`
    tpm2_createprimary -C o -g sha256 -G ecc -c primary.ctx
    echo -n 'a message' > msg
    for curve in ecc256:256 ecc384:384; do
      size=\${curve#*:}
      tpm2_create -C primary.ctx -G \${curve%:*}:ecdsa-sha$size -u key.pub -r key.priv
      tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx -n key.name
      tpm2_readpublic -c key.ctx -f pem -o key.pem -n read.name
      # a Name is the hash of the public area, after the algorithm
      same "$(hex key.name)" "000b$(tail -c +3 key.pub | sha)"
      same "$(hex read.name)" "$(hex key.name)"
      tpm2_sign -c key.ctx -g sha$size -f plain -o sig msg
      openssl dgst -sha$size -verify key.pem -signature sig msg
      tpm2_verifysignature -c key.ctx -g sha$size -m msg -f ecdsa -s sig
      echo -n 'another' > other
      refused 0x2db tpm2_verifysignature -c key.ctx -g sha$size -m other -f ecdsa -s sig
    done
    openssl ecparam -name prime256v1 -genkey -noout -out soft.pem
    openssl ec -in soft.pem -pubout -out soft.pub
    openssl dgst -sha256 -sign soft.pem -out soft.sig msg
    tpm2_loadexternal -C n -G ecc -u soft.pub -c soft.ctx
    tpm2_verifysignature -c soft.ctx -g sha256 -m msg -f ecdsa -s soft.sig
    refused 0x2db tpm2_verifysignature -c soft.ctx -g sha256 -m other -f ecdsa -s soft.sig`);
  });

  it('makes RSA keys that sign by both schemes, with one salt as long as the digest', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c primary.ctx
    tpm2_create -C primary.ctx -G rsa2048:null:null -a 'sign|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth' -u key.pub -r key.priv
    tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx
    tpm2_readpublic -c key.ctx -f pem -o key.pem
    echo -n 'a message' > msg
    tpm2_sign -c key.ctx -g sha256 -s rsassa -f plain -o ssa msg
    tpm2_sign -c key.ctx -g sha256 -s rsapss -f plain -o pss msg
    openssl dgst -sha256 -verify key.pem -signature ssa msg
    openssl dgst -sha256 -verify key.pem -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -signature pss msg
    tpm2_verifysignature -c key.ctx -g sha256 -m msg -f rsassa -s ssa
    tpm2_verifysignature -c key.ctx -g sha256 -m msg -f rsapss -s pss
    refused 0x2db tpm2_verifysignature -c key.ctx -g sha256 -m msg -f rsassa -s pss

    echo -n 'for its eyes' > plain
    tpm2_rsaencrypt -c key.ctx -s oaep -o oaep plain
    same "$(tpm2_rsadecrypt -c key.ctx -s oaep oaep)" 'for its eyes'
    openssl pkeyutl -encrypt -pubin -inkey key.pem -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -in plain -out theirs
    same "$(tpm2_rsadecrypt -c key.ctx -s oaep theirs)" 'for its eyes'
    openssl pkeyutl -encrypt -pubin -inkey key.pem -in plain -out pkcs1
    same "$(tpm2_rsadecrypt -c key.ctx -s rsaes pkcs1)" 'for its eyes'
    # no padding: the number itself comes back
    tpm2_rsaencrypt -c key.ctx -s rsaes -o raw plain
    openssl pkeyutl -verifyrecover -pubin -inkey key.pem -pkeyopt rsa_padding_mode:none -in ssa -out recovered
    same "$(hex recovered | tail -c 65)" "$(sha msg)"`);
  });

  it('imports keys that openssl made, and uses them as openssl does', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c primary.ctx
    echo -n 'a message' > msg
    openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
    openssl ec -in ec.pem -pubout -out ec.pub.pem
    tpm2_import -C primary.ctx -G ecc -i ec.pem -u ec.pub -r ec.priv
    tpm2_load -C primary.ctx -u ec.pub -r ec.priv -c ec.ctx
    tpm2_sign -c ec.ctx -g sha256 -s ecdsa -f plain -o ec.sig msg
    openssl dgst -sha256 -verify ec.pub.pem -signature ec.sig msg

    openssl genrsa -out rsa.pem 2048
    tpm2_import -C primary.ctx -G rsa -i rsa.pem -u rsa.pub -r rsa.priv
    tpm2_load -C primary.ctx -u rsa.pub -r rsa.priv -c rsa.ctx
    openssl pkeyutl -encrypt -inkey rsa.pem -in msg -out cipher
    same "$(tpm2_rsadecrypt -c rsa.ctx -s rsaes cipher)" 'a message'

    # loaded with its private half, and signing
    tpm2_loadexternal -C n -G ecc -r ec.pem -c soft.ctx
    tpm2_sign -c soft.ctx -g sha256 -s ecdsa -f plain -o soft.sig msg
    openssl dgst -sha256 -verify ec.pub.pem -signature soft.sig msg
    # a key with both halves belongs to no hierarchy
    refused 0x3c5 tpm2_loadexternal -C o -G ecc -r ec.pem -c soft.ctx`);
  });

  it('keeps a key in persistent memory until it is evicted', async () => {
    await sh(`
    tpm2_createprimary -C o -g sha256 -G ecc -c primary.ctx
    tpm2_evictcontrol -C o -c primary.ctx -o primary.tr 0x81000005
    tpm2_readpublic -c primary.ctx -n before ; tpm2_readpublic -c 0x81000005 -n after
    same "$(hex after)" "$(hex before)"
    says 0x81000005 tpm2_getcap handles-persistent
    refused 0x14c tpm2_evictcontrol -C o -c primary.ctx 0x81000005
    refused 0x285 tpm2_evictcontrol -C p -c primary.ctx 0x81000006
    tpm2_create -C primary.tr -G ecc -u key.pub -r key.priv
    tpm2_evictcontrol -C o -c 0x81000005
    refused 0x18b tpm2_readpublic -c 0x81000005
    # a context that was flushed is gone, a saved one is not
    tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx
    tpm2_readpublic -c key.ctx`);
  });

  it('changes the password of a key, and the old one is refused from then on', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c primary.ctx
    tpm2_create -C primary.ctx -G ecc -p old -u key.pub -r key.priv
    tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx
    echo -n 'a message' > msg
    refused 0x98e tpm2_sign -c key.ctx -p wrong -g sha256 -s ecdsa -o sig msg
    tpm2_changeauth -C primary.ctx -c key.ctx -p old -r new.priv new
    tpm2_load -C primary.ctx -u key.pub -r new.priv -c new.ctx
    refused 0x98e tpm2_sign -c new.ctx -p old -g sha256 -s ecdsa -o sig msg
    tpm2_sign -c new.ctx -p new -g sha256 -s ecdsa -f plain -o sig msg
    tpm2_readpublic -c new.ctx -f pem -o key.pem
    openssl dgst -sha256 -verify key.pem -signature sig msg
    # attributes decide what a key does
    tpm2_create -C primary.ctx -G ecc -a 'decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth' -u dec.pub -r dec.priv
    tpm2_load -C primary.ctx -u dec.pub -r dec.priv -c dec.ctx
    refused 0x19c tpm2_sign -c dec.ctx -g sha256 -s ecdsa -o sig msg
    refused 0x2c2 tpm2_create -C primary.ctx -G ecc -a 'sign|fixedtpm|sensitivedataorigin|userwithauth' -u a.pub -r a.priv`);
  });

  it('prints and encodes what the TPM made, in forms others read', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c 0x81000001 || tpm2_createprimary -C o -G ecc -c primary.ctx
    tpm2_createprimary -C o -G ecc -c primary.ctx
    tpm2_evictcontrol -C o -c primary.ctx 0x81000001
    tpm2_create -C 0x81000001 -G ecc -u key.pub -r key.priv
    tpm2_print -t TPM2B_PUBLIC key.pub > printed
    tpm2_load -C 0x81000001 -u key.pub -r key.priv -c key.ctx
    tpm2_readpublic -c key.ctx -f pem -o key.pem
    x=$(sed -n 's/^x: //p' printed)
    openssl ec -pubin -in key.pem -text -noout -conv_form uncompressed | tr -d ' :\n' | grep -q "$x"
    tpm2_encodeobject -C 0x81000001 -u key.pub -r key.priv -o tss.pem
    grep -q 'BEGIN TSS2 PRIVATE KEY' tss.pem
    openssl asn1parse -in tss.pem | grep -q 2.23.133.10.1.3
    tpm2_testparms ecc256:ecdsa-sha256
    tpm2_testparms rsa2048:rsapss
    tpm2_testparms aes128cfb
    fails tpm2_testparms rsa512`);
  });
};
