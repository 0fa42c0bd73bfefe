import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'vitest';
import { present } from './present.ts';
import type { Shell } from './shell.ts';
import { openShell } from './shell.ts';
import type { ProvidedTpm } from './tpm-provider.ts';
import { provideTpm, subject, waysByPort } from './tpm-provider.ts';

/**
 * `denied CODE tool …`: it fails with that response code. `flush HANDLE…`. `name HANDLE`: the Name that the tools keep of
 * an entity. `policy LINE…`: the digest of a policy, computed by tsspolicymaker without a TPM, into the file `policy`.
 */
const words = `
denied() {
  local code=$1 out ; shift
  if out=$("$@" 2>&1) ; then echo "not refused: $*" >&2 ; exit 1 ; fi
  grep -qiE "rc 0*($code)$" <<< "$out" || { echo "expected $code of $*: $out" >&2 ; exit 1 ; }
}
flush() { for handle ; do tssflushcontext -ha $handle ; done ; }
name() { hex h$1.bin ; }
policy() { printf '%s\\n' "$@" > lines ; tsspolicymaker -if lines -of policy ; }
trial() { tssstartauthsession -se t ; "$@" ; tsspolicygetdigest -ha 03000000 -of digest ; flush 03000000 ; cmp digest policy ; }
begin() { tssstartauthsession -se p "$@" ; }
primary() { tsscreateprimary -hi o -ecc nistp256 -st ; }
signer() { tsscreate -hp 80000000 -ecc nistp256 -kt f -kt p "$@" -opu k.pub -opr k.priv -opem k.pem ; tssload -hp 80000000 -ipu k.pub -ipr k.priv ; }
echo -n 'a message' > msg
`;

describe.skipIf(!present('tssgetrandom', 'openssl')).each(waysByPort)(
  `IBM's TSS on ${subject}, by %s,`,
  { timeout: 60_000 },
  (way) => {
    let directory: string;
    let tpm: ProvidedTpm;
    let sh: Shell;

    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'fealty-ibm-'));
      tpm = await provideTpm(3, way);
      const port = 'port' in tpm.place ? tpm.place.port : 0;
      sh = await openShell(directory, words, {
        TPM_INTERFACE_TYPE: 'socsim',
        TPM_SERVER_TYPE: way === 'mssim' ? 'mssim' : 'raw',
        TPM_SERVER_NAME: '127.0.0.1',
        TPM_COMMAND_PORT: String(port),
        TPM_PLATFORM_PORT: String(port + 1),
        TPM_DATA_DIR: directory,
        TPM_ENCRYPT_SESSIONS: '0',
      });
    });
    afterEach(async () => {
      await tpm.close();
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    });

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

    it('counts the uses of PIN indices', async () => {
      await sh(`
      primary
      # PIN pass: as many uses as its writer allows
      tssnvdefinespace -ha 01000001 -hi o -hia o -ty p -pwdn pin
      tssnvwrite -ha 01000001 -hia o -id 0 2
      begin
      tsspolicysecret -ha 01000001 -hs 03000000 -pwde pin
      denied 9a2 tsspolicysecret -ha 01000001 -hs 03000000 -pwde wrong
      tsspolicysecret -ha 01000001 -hs 03000000 -pwde pin
      denied 12f tsspolicysecret -ha 01000001 -hs 03000000 -pwde pin
      tssnvread -ha 01000001 -hia o -sz 8 -of out ; same "$(hex out)" 0000000200000002
      # PIN fail: as many mistakes
      tssnvdefinespace -ha 01000002 -hi o -hia o -ty f -pwdn pin -at ppw
      tssnvwrite -ha 01000002 -hia o -id 0 2
      for attempt in 1 2; do denied 9a2 tsspolicysecret -ha 01000002 -hs 03000000 -pwde wrong ; done
      denied 12f tsspolicysecret -ha 01000002 -hs 03000000 -pwde pin
      tssnvread -ha 01000002 -hia o -sz 8 -of out ; same "$(hex out)" 0000000200000002
      tssnvwrite -ha 01000002 -hia o -id 0 2
      tsspolicysecret -ha 01000002 -hs 03000000 -pwde pin`);
    });

    it('keeps NV indices of every type, and their passwords', async () => {
      await sh(`
      define() { tssnvdefinespace -ha 0100000$1 -hi o -pwdn nv "\${@:2}" ; }
      read8() { tssnvread -ha 0100000$1 -pwdn nv -sz $2 -of out &> out.log ; hex out ; }
      define 1 -ty c ; tssnvincrement -ha 01000001 -pwdn nv ; tssnvincrement -ha 01000001 -pwdn nv
      same "$(read8 1 8)" 0000000000000002
      define 2 -ty b ; tssnvsetbits -ha 01000002 -pwdn nv -bit 3 -bit 63 ; same "$(read8 2 8)" 8000000000000008
      define 3 -ty e ; tssnvextend -ha 01000003 -pwdn nv -if msg
      same "$(read8 3 32)" $( (head -c 32 /dev/zero ; cat msg) | sha)
      define 4 -sz 9 +at wst +at rst ; tssnvwrite -ha 01000004 -pwdn nv -if msg
      tssnvwritelock -ha 01000004 -pwdn nv ; denied 148 tssnvwrite -ha 01000004 -pwdn nv -if msg
      tssnvreadlock -ha 01000004 -pwdn nv ; denied 148 tssnvread -ha 01000004 -pwdn nv -sz 9
      define 5 -sz 9 +at gl ; tssnvwrite -ha 01000005 -pwdn nv -if msg
      tssnvglobalwritelock -hia o ; denied 148 tssnvwrite -ha 01000005 -pwdn nv -if msg
      denied 9a2 tssnvread -ha 01000003 -pwdn other -sz 32
      # ADMIN role: a policy alone changes the password
      policy 0000016c0000013b ; define 6 -sz 9 -pol policy
      begin ; tsspolicycommandcode -ha 03000000 -cc 13b
      tssnvchangeauth -ha 01000006 -pwdo nv -pwdn new -se0 03000000 1
      tssnvwrite -ha 01000006 -pwdn new -if msg
      tssnvundefinespace -ha 01000006 -hi o ; denied 18b tssnvread -ha 01000006 -pwdn new -sz 9`);
    });

    it('reaches the digests of policies that its tools compute without a TPM', async () => {
      await sh(`
      tsspcrextend -ha 16 -if msg
      tsspcrread -ha 16 -halg sha256 -ns > pcr
      tsspolicymakerpcr -bm 010000 -if pcr -of mask -pr > printed
      printf '%s\n' "$(tr -d ' \n' < printed)" > lines ; tsspolicymaker -if lines -of policy
      trial tsspolicypcr -ha 03000000 -bm 10000
      policy 0000016b ; trial tsspolicyauthvalue -ha 03000000 ; trial tsspolicypassword -ha 03000000
      policy 0000018f01 ; trial tsspolicynvwritten -hs 03000000 -ws y
      policy 0000016e$(sha msg) ; openssl dgst -sha256 -binary -out cp msg ; trial tsspolicycphash -ha 03000000 -cp cp
      policy 00000190$(sha msg) ; trial tsspolicytemplate -ha 03000000 -te cp
      policy 0000015140000001 '' ; trial tsspolicysecret -ha 40000001 -hs 03000000`);
    });

    it('opens by signed, approved and alternative policies', async () => {
      await sh(`
      primary
      openssl genrsa -aes128 -passout pass:rrrr -out signer.pem 2048 2> /dev/null
      openssl rsa -in signer.pem -passin pass:rrrr -pubout -out signer.pub 2> /dev/null
      tssloadexternal -hi p -halg sha256 -rsa -ipem signer.pub
      sealed() { tsscreate -hp 80000000 -bl -if msg -kt f -kt p -uwa -pol policy -opu s.pub -opr s.priv ; tssload -hp 80000000 -ipu s.pub -ipr s.priv ; }
      open() { tssunseal -ha 80000002 -of out -se0 03000000 \${1:-0} ; cmp out msg ; }
      policy 00000160$(name 80000001) '' ; cp policy signed ; sealed
      begin -on nonce ; tsspolicysigned -hk 80000001 -ha 03000000 -in nonce -sk signer.pem -pwdk rrrr -exp -200 -tk ticket -to timeout ; open
      begin ; tsspolicyticket -ha 03000000 -to timeout -na h80000001.bin -tk ticket ; open
      begin ; denied 99d tssunseal -ha 80000002 -of out -se0 03000000 0
      flush 03000000 ; flush 80000002

      # one of two
      policy 0000016c0000015e ; cp policy unseal
      policy 00000171$(hex signed)$(hex unseal) ; sealed
      begin ; tsspolicycommandcode -ha 03000000 -cc 15e ; tsspolicyor -ha 03000000 -if signed -if unseal ; open 1
      tsspolicyrestart -ha 03000000
      denied 1c4 tsspolicyor -ha 03000000 -if signed -if unseal
      flush 03000000 ; flush 80000002

      # any that the key approves
      policy 0000016a$(name 80000001) '' ; sealed
      openssl dgst -sha256 -sign signer.pem -passin pass:rrrr -out approval unseal
      tssverifysignature -hk 80000001 -if unseal -is approval -raw -tk ticket
      begin ; tsspolicycommandcode -ha 03000000 -cc 15e
      tsspolicyauthorize -ha 03000000 -appr unseal -skn h80000001.bin -tk ticket ; open
      flush 80000002
      # or that an index holds
      tssnvdefinespace -ha 01000001 -hi o -pwdn nv -sz 34
      (printf '\\x00\\x0b' ; cat unseal) > stored ; tssnvwrite -ha 01000001 -pwdn nv -if stored
      policy 00000192$(name 01000001) ; sealed
      begin ; tsspolicycommandcode -ha 03000000 -cc 15e ; tsspolicyauthorizenv -ha 01000001 -hs 03000000 -pwda nv ; open
      flush 80000002
      # while an index holds a value
      tssnvdefinespace -ha 01000002 -hi o -pwdn nv -sz 9 ; tssnvwrite -ha 01000002 -pwdn nv -if msg
      policy 00000149$(printf '%s' "$(hex msg)00000000" | xxd -r -p | sha)$(name 01000002) ; sealed
      begin ; tsspolicynv -ha 01000002 -hs 03000000 -pwda nv -if msg -op 0 ; open
      begin ; denied 126 tsspolicynv -ha 01000002 -hs 03000000 -pwda nv -if msg -op 1`);
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

    it('runs a platform: its clock, its hierarchies, what they may and keep', async () => {
      await sh(`
      tssclockset -time 100000000 -hi o ; denied 1c4 tssclockset -time 1 -hi o
      tssclockrateadjust -hi o -adj 1 ; says 'TPMS_TIME_INFO' tssreadclock
      primary
      tssevictcontrol -hi o -ho 80000000 -hp 81000001 ; says 81000001 tssgetcapability -cap 1 -pr 81000000
      tssreadpublic -ho 81000001 ; tssevictcontrol -hi o -ho 81000001 -hp 81000001 ; denied 18b tssreadpublic -ho 81000001
      tsscreateloaded -hp 80000000 -ecc nistp256 -si -kt f -kt p -pwdk word ; tsssign -hk 80000001 -ecc -if msg -os sig -pwdk word ; flush 80000001
      tssdictionaryattackparameters -nmt 2 -nrt 100 -lr 100
      tsscreate -hp 80000000 -ecc nistp256 -si -kt f -kt p -da -pwdk word -opu k.pub -opr k.priv ; tssload -hp 80000000 -ipu k.pub -ipr k.priv
      # swtpm wants the first use of a guarded key sent again
      tsssign -hk 80000001 -ecc -if msg -os sig -pwdk word || tsssign -hk 80000001 -ecc -if msg -os sig -pwdk word
      denied 98e tsssign -hk 80000001 -ecc -if msg -os sig -pwdk bad ; denied 98e tsssign -hk 80000001 -ecc -if msg -os sig -pwdk bad
      denied 921 tsssign -hk 80000001 -ecc -if msg -os sig -pwdk word
      tssdictionaryattacklockreset ; tsssign -hk 80000001 -ecc -if msg -os sig -pwdk word
      tssclearcontrol -hi p -state 1 ; denied 120 tssclear -hi l ; tssclearcontrol -hi p -state 0
      policy 0000016c00000121 ; tsssetprimarypolicy -hi o -pol policy -halg sha256
      tsseccparameters -cv nistp256 -of curve ; hex curve | grep -q 6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296
      tssecephemeral -ecc nistp256 -oq q ; tssstirrandom -if msg
      tsschangeeps ; tsschangepps
      says TPM_RC_LOCKOUT tssreturncode 921`);
    });

    it.skipIf(way !== 'mssim')('switches the TPM off and on', async () => {
      await sh(`
      tsspcrextend -ha 0 -if msg
      tssshutdown -c
      tsspowerup
      denied 100 tssgetrandom -by 8
      tssstartup -c
      tsspcrread -ha 0 -halg sha256 -ns > pcr ; grep -q '^0*$' <<< "$(tr -d ' \n' < pcr)"
      tssgetrandom -by 8`);
    });
  },
);
