import { it } from 'vitest';
import { ibmTools } from './tpm-ibm.ts';

ibmTools(({ sh }) => {
  it('signs, attests, and checks what it attests', async () => {
    await sh(`
    primary
    signer -sir
    denied 3e0 tsssign -hk 80000001 -ecc -if msg -os sig
    tsshash -hi o -halg sha256 -if msg -oh hash -tk ticket ; same "$(hex hash)" $(sha msg)
    tsssign -hk 80000001 -ecc -if msg -tk ticket -os sig
    check() { tssverifysignature -ipem k.pem -ecc -if $1 -is $2 ; }
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
