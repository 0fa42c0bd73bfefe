import { it } from 'vitest';
import { ibmTools } from './tpm-ibm.ts';

/** `check FILE SIGNATURE`: it is by the key of `signer`. */
const check = 'check() { tssverifysignature -ipem k.pem -ecc -if $1 -is $2 ; }';
/**
 * A maker: `certify PEM` makes the `certificate` of a public key, `keep INDEX FILE` stores a file as a platform does.
 * `roots` names whom the tools trust.
 */
const maker = `
for key in maker another; do openssl ecparam -name prime256v1 -genkey -noout -out $key.key ; done
openssl req -x509 -key maker.key -out maker.pem -subj /CN=maker ; echo maker.pem > roots
certify() { openssl x509 -new -force_pubkey $1 -subj /CN=EK -CA maker.pem -CAkey maker.key -outform der -out certificate ; }
keep() { tssnvdefinespace -ha $1 -hi p -hia p +at ar -sz $(wc -c < $2) ; tssnvwrite -ha $1 -hia p -if $2 ; }
`;

ibmTools(({ sh }) => {
  it('signs, attests, and checks what it attests', async () => {
    await sh(`
    ${check}
    primary
    signer -sir
    denied 3e0 tsssign -hk 80000001 -ecc -if msg -os sig
    tsshash -hi o -halg sha256 -if msg -oh hash -tk ticket ; same "$(hex hash)" $(sha msg)
    tsssign -hk 80000001 -ecc -if msg -tk ticket -os sig
    check msg sig
    echo -n nonce > nonce
    tssquote -hp 16 -hk 80000001 -salg ecc -qd nonce -oa attest -os sig
    check attest sig ; same "$(hex attest | cut -c 1-12)" ff5443478018 ; hex attest | grep -q "0005$(hex nonce)"
    tsscertify -ho 80000000 -hk 80000001 -salg ecc -oa attest -os sig
    check attest sig ; hex attest | grep -q "0022$(name 80000000)"
    tssgettime -hk 80000001 -salg ecc -oa attest -os sig
    check attest sig ; same "$(hex attest | cut -c 1-12)" ff5443478019
    tssgetcommandauditdigest -hk 80000001 -salg ecc -oa attest -os sig
    check attest sig ; same "$(hex attest | cut -c 1-12)" ff5443478015
    tssnvdefinespace -ha 01000001 -hi o -pwdn nv -sz 9
    tssnvwrite -ha 01000001 -pwdn nv -if msg
    tssnvcertify -ha 01000001 -pwdn nv -hk 80000001 -salg ecc -sz 9 -oa attest -os sig
    check attest sig ; hex attest | grep -q "00000009$(hex msg)$"
    echo -n another > other ; fails check other sig`);
  });

  it('certifies what a key was made of, by the ticket of that creation alone', async () => {
    await sh(`
    ${check}
    primary
    signer -si -tk k.ticket -ch k.hash ; echo -n nonce > nonce
    certify() { tsscertifycreation -ho $1 -hk 80000001 -salg ecc -qd nonce -tk $2 -ch $3 -oa attest -os sig ; }
    certify 80000001 k.ticket k.hash
    check attest sig ; same "$(hex attest | cut -c 1-12)" ff544347801a ; hex attest | grep -q "0005$(hex nonce)"
    hex attest | grep -q "0022$(name 80000001)0020$(hex k.hash)$"
    denied 4e0 certify 80000000 k.ticket k.hash
    openssl dgst -sha256 -binary -out other msg ; denied 4e0 certify 80000001 k.ticket other
    tsscreate -hp 80000000 -ecc nistp256 -si -kt f -kt p -opu j.pub -opr j.priv -tk j.ticket -ch j.hash
    denied 4e0 certify 80000001 j.ticket k.hash
    tssload -hp 80000000 -ipu j.pub -ipr j.priv ; certify 80000002 j.ticket j.hash
    check attest sig ; hex attest | grep -q "0022$(name 80000002)0020$(hex j.hash)$"`);
  });

  it('makes its EK again, which its certificate is held against', async () => {
    await sh(`
    ${maker}
    # without a certificate the tool makes the key and goes no further
    fails tsscreateek -alg ec -cp -noflush
    tssreadpublic -ho 80000000 -opem ek.pem ; flush 80000000
    certify ek.pem ; keep 01c0000a certificate
    says 'Issuer: CN=maker' tsscreateek -alg ec -ce
    says 'verified against the root' tsscreateek -alg ec -cp -root roots
    openssl req -x509 -key another.key -out maker.pem -subj /CN=maker
    judges 'Error in X509_verify_cert' tsscreateek -alg ec -cp -root roots
    # it is another key with the nonce and the template of its maker: P-256, for who knows the hierarchy's password
    echo -n 'the nonce of a maker' > nonce ; keep 01c0000b nonce
    says "$(xxd -p -l 16 nonce | sed 's/../& /g')" tsscreateek -alg ec -no
    xxd -r -p > template <<< 0023000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa00060080004300100003001000000000
    keep 01c0000c template ; says TPM_ECC_NIST_P256 tsscreateek -alg ec -te
    judges 'does not match output of createprimary' tsscreateek -alg ec -cp -noflush
    tssreadpublic -ho 80000000 -opem other.pem ; fails cmp ek.pem other.pem`);
  });

  it('signs and writes as applications do, in sessions salted by the certified EK', async () => {
    await sh(`
    ${maker}
    # no application without the certificate
    denied 18b tsssignapp -ic 'a message' ; denied 18b tsswriteapp
    fails tsscreateek -alg rsa -cp -noflush
    tssreadpublic -ho 80000000 -opem ek.pem ; flush 80000000
    certify ek.pem ; keep 01c00002 certificate
    tsssignapp -ic 'a message' -v > trace
    # it signs by password and by policy, and has both verified
    same $(grep -c 'Executing TPM2_VerifySignature' trace) 2
    grep -q "0020$(sha msg)0014000b8024" <<< "$(tr -dc 0-9a-f < trace)"
    tsswriteapp
    # the index that it writes to is another's
    tssnvdefinespace -ha 01000000 -hi o -pwdn other -sz 16
    denied 9a2 tsswriteapp -pwsess
    # they take away what they made
    for kind in 02 03 80; do says '^0 handles' tssgetcapability -cap 1 -pr \${kind}000000 ; done`);
  });

  it('audits a session, and signs the digest that the tools computed too', async () => {
    await sh(`
    primary
    tsscreate -hp 80000000 -rsa -si -kt f -kt p -opu k.pub -opr k.priv -opem k.pem
    tssload -hp 80000000 -ipu k.pub -ipr k.priv
    tssstartauthsession -se h
    tssnvdefinespace -ha 01000001 -hi o -pwdn nv -sz 9
    tssnvwrite -ha 01000001 -pwdn nv -if msg -se0 02000000 81
    tssnvread -ha 01000001 -pwdn nv -sz 9 -of out -se0 02000000 81 ; cmp msg out
    tssgetsessionauditdigest -hk 80000001 -hs 02000000 -oa attest -os sig -od digest
    tssverifysignature -ipem k.pem -rsa -if attest -is sig
    # the tool that reads it checks the digest itself
    hex attest | grep -q "0020$(hex digest)$"`);
  });
});
