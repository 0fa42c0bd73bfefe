import { readFile, writeFile } from 'node:fs/promises';
import { it } from 'vitest';
import { asEcdsa } from './ecdaa-openssl.ts';
import { ibmTools } from './tpm-ibm.ts';

ibmTools(({ sh, path }) => {
  it('encrypts parameters by AES and by XOR, in sessions salted, bound, both or neither', async () => {
    await sh(`
    primary
    echo -n 'sealed words' > data
    tsscreate -hp 80000000 -bl -if data -pwdk word -kt f -kt p -opu s.pub -opr s.priv
    tssload -hp 80000000 -ipu s.pub -ipr s.priv
    for how in '' '-hs 80000000' '-bi 80000001 -pwdb word' '-hs 80000000 -bi 80000001 -pwdb word'; do
      for sym in xor aes; do
        tssstartauthsession -se h -sym $sym $how
        tssunseal -ha 80000001 -pwd word -of out -se0 02000000 41 ; cmp data out
        # first and last: the parameter of the command, then that of the answer
        tsscreate -hp 80000000 -bl -if data -pwdk other -kt f -kt p -opu t.pub -opr t.priv -se0 02000000 61
        [[ $how == *-bi* ]] || denied 9a2 tssunseal -ha 80000001 -pwd wrong -of out -se0 02000000 41
        tssunseal -ha 80000001 -pwd word -of out -se0 02000000 0
      done
    done
    tssload -hp 80000000 -ipu t.pub -ipr t.priv
    tssunseal -ha 80000002 -pwd other -of out ; cmp data out
    # RSA carries salts too
    flush 80000002 ; tsscreateprimary -hi o -rsa -st
    tssstartauthsession -se h -hs 80000002 -sym aes
    tssunseal -ha 80000001 -pwd word -of out -se0 02000000 40 ; cmp data out`);
  });

  it('duplicates, rewraps and imports keys', async () => {
    await sh(`
    primary
    policy 0000016c0000014b
    tsscreate -hp 80000000 -ecc nistp256 -si -kt nf -kt np -pol policy -opu k.pub -opr k.priv -opem k.pem
    tssload -hp 80000000 -ipu k.pub -ipr k.priv ; cp h80000001.bin key.name
    tsscreateprimary -hi e -ecc nistp256 -st
    begin ; tsspolicycommandcode -ha 03000000 -cc 14b
    head -c 16 /dev/urandom > inner
    tssduplicate -ho 80000001 -hp 80000000 -ik inner -salg aes -od dup -oss seed -se0 03000000 1
    # from the one parent to the other, by who may use the first
    flush 80000001
    tssrewrap -ho 80000000 -hn 80000002 -id dup -in key.name -iss seed -od dup2 -oss seed2
    tssimport -hp 80000002 -ik inner -ipu k.pub -id dup2 -iss seed2 -salg aes -opr moved
    tssload -hp 80000002 -ipu k.pub -ipr moved
    tsssign -hk 80000001 -ecc -if msg -os sig
    tssverifysignature -ipem k.pem -ecc -if msg -is sig
    fails tssimport -hp 80000000 -ik inner -ipu k.pub -id dup2 -iss seed2 -salg aes -opr moved
    flush 80000001
    openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -v2 aes-128-cbc -passout pass:rrrr -out soft.pem
    openssl pkey -in soft.pem -passin pass:rrrr -pubout -out soft.pub
    tssimportpem -hp 80000000 -ipem soft.pem -ecc -pwdk rrrr -opu i.pub -opr i.priv
    tssload -hp 80000000 -ipu i.pub -ipr i.priv
    tsssign -hk 80000001 -ecc -if msg -os sig -pwdk rrrr
    tssverifysignature -ipem soft.pub -ecc -if msg -is sig`);
  });

  it('saves and loads contexts, makes credentials, and changes passwords', async () => {
    await sh(`
    primary
    tsscontextsave -ha 80000000 -of primary.ctx ; flush 80000000
    denied 910 tssreadpublic -ho 80000000
    tsscontextload -if primary.ctx ; tssreadpublic -ho 80000000
    tssstartauthsession -se h ; tsscontextsave -ha 02000000 -of s.ctx
    denied 918 tssgetrandom -by 8 -se0 02000000 81
    tsscontextload -if s.ctx
    fails tsscontextload -if s.ctx
    signer -si -pwdk old
    tssobjectchangeauth -ho 80000001 -hp 80000000 -pwdo old -pwdn new -opr new.priv
    flush 80000001 ; tssload -hp 80000000 -ipu k.pub -ipr new.priv
    denied 9a2 tsssign -hk 80000001 -ecc -if msg -os sig -pwdk old
    tsssign -hk 80000001 -ecc -if msg -os sig -pwdk new ; tssverifysignature -ipem k.pem -ecc -if msg -is sig
    echo -n 0123456789 > secret
    tssmakecredential -ha 80000000 -icred secret -in h80000001.bin -ocred blob -os enc
    tssactivatecredential -ha 80000001 -hk 80000000 -icred blob -is enc -pwda new -ocred back ; cmp secret back
    tsshierarchychangeauth -hi o -pwdn owner ; denied 9a2 tsscreateprimary -hi o -ecc nistp256 -st
    tsshierarchycontrol -hi p -he e -state 0 ; denied 185 tsscreateprimary -hi e -ecc nistp256 -st
    tssclear -hi p ; tsscreateprimary -hi o -ecc nistp256 -st`);
  });

  it('hashes, authenticates and encrypts in sequences, as openssl does', async () => {
    await sh(`
    primary
    tsshashsequencestart -halg sha256 -pwda seq
    tsssequenceupdate -hs 80000001 -pwds seq -if msg
    tsssequencecomplete -hs 80000001 -pwds seq -if msg -of hash ; same "$(hex hash)" $(cat msg msg | sha)
    tsscreate -hp 80000000 -kh -kt f -kt p -pwdk word -opu m.pub -opr m.priv ; tssload -hp 80000000 -ipu m.pub -ipr m.priv
    tsshmac -hk 80000001 -pwdk word -if msg -os mac
    tsshmacstart -hk 80000001 -pwdk word -pwda seq ; tsssequencecomplete -hs 80000002 -pwds seq -if msg -of mac2 ; cmp mac mac2
    flush 80000001
    tsscreate -hp 80000000 -des -kt f -kt p -pwdk word -opu d.pub -opr d.priv ; tssload -hp 80000000 -ipu d.pub -ipr d.priv
    tssencryptdecrypt -hk 80000001 -pwdk word -if msg -of cipher ; fails cmp msg cipher
    tssencryptdecrypt -hk 80000001 -pwdk word -d -2 -if cipher -of plain ; cmp msg plain
    flush 80000001
    tsscreate -hp 80000000 -den -kt f -kt p -opu r.pub -opr r.priv -opem r.pem ; tssload -hp 80000000 -ipu r.pub -ipr r.priv
    tssrsaencrypt -hk 80000001 -id msg -oe cipher ; tssrsadecrypt -hk 80000001 -ie cipher -od plain
    same "$(hex plain | tail -c $(hex msg | wc -c))" "$(hex msg)"`);
  });

  it('commits to a number, and signs with it once by ECDAA', async () => {
    await sh(`
    primary
    denied 192 tsscommit -hk 80000000
    tsscreate -hp 80000000 -ecc nistp256 -dau -kt f -kt p -opu k.pub -opr k.priv -opem k.pem ; tssload -hp 80000000 -ipu k.pub -ipr k.priv
    tsscommit -hk 80000001 -Ef E
    # the tools know no such signature, but send any bytes: TPM2_Sign with the first commitment
    sign=0000015d80000001000000094000000900000000000020$(sha msg)001a000b00008024400000070000
    printf '8002%08x%s ' $((\${#sign} / 2 + 6)) $sign > packet
    tsstimepacket -if packet -v | sed '1,/ReceiveCommand/d;/^End/,$d' | xxd -r -p | tail -c +15 > sig
    denied 84 tsstimepacket -if packet
    # a base, from what it is the hash of, and its second coordinate: K is the key's own there, L the number's
    echo -n here > s2
    xxd -r -p <<< 967414e4affbcce2805ff20b1af8f6c708762f2287db5aa48db531fbafcc7547 > y2
    for try in 1 2; do tsscommit -hk 80000001 -s2 s2 -y2 y2 -Kf K$try -Lf L$try ; done
    cmp K1 K2 ; fails cmp L1 L2
    xxd -r -p <<< "00440020$(sha s2)0020$(hex y2)" > P1
    tsscommit -hk 80000001 -pt P1 -s2 s2 -y2 y2 -Lf L -Ef same ; cmp L same
    denied 2e7 tsscommit -hk 80000001 -s2 s2 -y2 msg`);
    const message = Buffer.from('a message');
    const { number, ecdsa } = asEcdsa(await readFile(path('sig')), await readFile(path('E')), message);
    await writeFile(path('number'), number);
    await writeFile(path('ecdsa'), ecdsa);
    await sh('openssl pkeyutl -verify -pubin -inkey k.pem -in number -sigfile ecdsa');
  });
});
