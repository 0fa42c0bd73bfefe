import { it } from 'vitest';
import type { Topic } from './bench.ts';

/**
 * `next HEX`: the digest of a policy that HEX (old digest, command code, arguments) leads to. `trial tool …`: the digest
 * it makes in a trial session, also left in the file `policy`. `seal`: an object that says "secret" to who satisfies the
 * policy in that file. `open`, after `begin` and the policy's commands: unseals it.
 */
const words = `
zero=$(head -c 32 /dev/zero | hex)
next() { xxd -r -p <<< "$1" | sha; }
trial() { tpm2_startauthsession -S t.ctx ; "$@" -S t.ctx -L policy > /dev/null ; tpm2_flushcontext t.ctx ; hex policy; }
seal() {
  [ -f primary.ctx ] || tpm2_createprimary -C o -G ecc -c primary.ctx
  echo -n secret > data
  tpm2_create -C primary.ctx -i data -L policy -u s.pub -r s.priv "$@" > /dev/null
  tpm2_load -C primary.ctx -u s.pub -r s.priv -c seal.ctx > /dev/null
}
begin() { tpm2_startauthsession --policy-session -S s.ctx; }
open() { same "$(tpm2_unseal -c seal.ctx -p session:s.ctx"$1")" secret ; tpm2_flushcontext s.ctx; }
closed() { refused $1 tpm2_unseal -c seal.ctx -p session:s.ctx"$2"; }
soft() { openssl ecparam -name prime256v1 -genkey -noout -out $1.pem ; openssl ec -in $1.pem -pubout -out $1.pub 2> /dev/null ; tpm2_loadexternal -C \${2:-n} -G ecc -u $1.pub -c $1.ctx -n $1.name > /dev/null; }
`;

/** Policies: each command's digest from the specification's formula, and what it opens and keeps closed. */
export const policy: Topic = (bench) => {
  const sh = (script: string) => bench().sh(`${words}${script}`);

  it('binds a secret to PCR values', async () => {
    await sh(`
    tpm2_pcrread sha256:16 -o pcr > /dev/null
    want=$(next "\${zero} 0000017f 00000001000b03000001 $(sha pcr)")
    same "$(trial tpm2_policypcr -l sha256:16)" $want
    tpm2_createpolicy --policy-pcr -l sha256:16 -f pcr -L made
    same "$(hex made)" $want
    seal
    begin ; tpm2_policypcr -S s.ctx -l sha256:16 ; open
    tpm2_pcrextend 16:sha256=$(printf x | sha)
    begin ; tpm2_policypcr -S s.ctx -l sha256:16 ; closed 0x99d
    begin ; refused 0x1c4 tpm2_policypcr -S s.ctx -l sha256:16 -f pcr
    # any PCR that changes after the policy was checked voids it, but for those of applications
    tpm2_pcrreset 16
    begin ; tpm2_policypcr -S s.ctx -l sha256:16 ; tpm2_pcrextend 23:sha256=$(printf x | sha) ; open
    begin ; tpm2_policypcr -S s.ctx -l sha256:16 ; tpm2_pcrextend 10:sha256=$(printf x | sha) ; closed 0x128`);
  });

  it('asks for a password, in the clear or proved', async () => {
    await sh(`
    want=$(next "\${zero} 0000016b")
    same "$(trial tpm2_policypassword)" $want
    same "$(trial tpm2_policyauthvalue)" $want
    seal -p word
    begin ; tpm2_policypassword -S s.ctx ; open +word
    begin ; tpm2_policyauthvalue -S s.ctx ; open +word
    begin ; tpm2_policypassword -S s.ctx ; closed 0x98e +other
    begin ; tpm2_policyauthvalue -S s.ctx ; closed 0x98e +other
    begin ; closed 0x99d`);
  });

  it('asks for the authorization of another entity, at once or by a ticket', async () => {
    await sh(`
    want=$(next "$(next "\${zero} 00000151 40000001") aabb")
    tpm2_startauthsession -S t.ctx ; tpm2_policysecret -S t.ctx -L policy -c o -q aabb ; tpm2_flushcontext t.ctx
    same "$(hex policy)" $want
    seal
    tpm2_changeauth -c o ownerword
    printf 40000001 | xxd -r -p > owner.name ; printf 4000000b | xxd -r -p > endorsement.name
    begin ; tpm2_policysecret -S s.ctx -c o -q aabb ownerword ; open
    begin ; refused 0x9a2 tpm2_policysecret -S s.ctx -c o -q aabb other
    begin ; tpm2_policysecret -S s.ctx -c o -q aabb -t -100 --ticket ticket --timeout timeout -x ownerword ; open
    begin ; tpm2_policyticket -S s.ctx -n owner.name -q aabb --ticket ticket --timeout timeout ; open
    begin ; refused 0x5e0 tpm2_policyticket -S s.ctx -n endorsement.name -q aabb --ticket ticket --timeout timeout`);
  });

  it('asks for a signature of a key that the TPM does not hold', async () => {
    await sh(`
    soft signer
    tpm2_createprimary -C o -G ecc -c primary.ctx
    want=$(next "$(next "\${zero} 00000160 $(hex signer.name)") aabb")
    # what is signed: nonceTPM, expiration, cpHashA, policyRef; here the last alone
    printf '00000000aabb' | xxd -r -p > to-sign
    openssl dgst -sha256 -sign signer.pem -out sig to-sign
    same "$(trial tpm2_policysigned -g sha256 -s sig -f ecdsa -c signer.ctx -q aabb)" $want
    seal
    begin ; tpm2_policysigned -S s.ctx -g sha256 -s sig -f ecdsa -c signer.ctx -q aabb ; open
    begin ; refused 0x5db tpm2_policysigned -S s.ctx -g sha256 -s sig -f ecdsa -c signer.ctx -q aabc
    # for this session alone, and with a ticket for others
    begin ; tpm2_policysigned -S s.ctx -g sha256 -c signer.ctx -q aabb -x -t -1000 --raw-data to-sign
    same $(stat -c %s to-sign) 38
    openssl dgst -sha256 -sign signer.pem -out sig to-sign
    tpm2_policysigned -S s.ctx -g sha256 -s sig -f ecdsa -c signer.ctx -q aabb -x -t -1000 --ticket ticket --timeout timeout ; open
    begin ; refused 0x5db tpm2_policysigned -S s.ctx -g sha256 -s sig -f ecdsa -c signer.ctx -q aabb -x -t -1000
    begin ; tpm2_policyticket -S s.ctx -n signer.name -q aabb --ticket ticket --timeout timeout ; open
    head -c -1 timeout > shorter ; printf '\\x55' >> shorter
    begin ; refused 0x5e0 tpm2_policyticket -S s.ctx -n signer.name -q aabb --ticket ticket --timeout shorter`);
  });

  it('takes any policy that a key approves, or an index holds', async () => {
    await sh(`
    soft signer o
    tpm2_createprimary -C o -G ecc -c primary.ctx
    trial tpm2_policycommandcode TPM2_CC_Unseal > /dev/null ; cp policy approved
    want=$(next "$(next "\${zero} 0000016a $(hex signer.name)") 0102")
    same "$(trial tpm2_policyauthorize -i approved -n signer.name -q 0102)" $want
    seal
    (cat approved ; printf '\\x01\\x02') > to-sign
    openssl dgst -sha256 -sign signer.pem -out sig to-sign
    tpm2_verifysignature -c signer.ctx -g sha256 -m to-sign -s sig -f ecdsa -t ticket
    begin ; tpm2_policycommandcode -S s.ctx TPM2_CC_Unseal ; tpm2_policyauthorize -S s.ctx -i approved -n signer.name -q 0102 -t ticket ; open
    begin ; refused 0x1c4 tpm2_policyauthorize -S s.ctx -i approved -n signer.name -q 0102 -t ticket
    begin ; tpm2_policycommandcode -S s.ctx TPM2_CC_Unseal ; refused 0x4c4 tpm2_policyauthorize -S s.ctx -i approved -n signer.name -q 0103 -t ticket

    # the approved policy, in an index that only its writer changes
    tpm2_nvdefine 0x01500001 -C o -a 'authread|authwrite|ownerread|ownerwrite' -s 34
    (printf '\\x00\\x0b' ; cat approved) > stored
    tpm2_nvwrite 0x01500001 -C o -i stored
    want=$(next "\${zero} 00000192 000b$(next '01500001 000b 20060006 0000 0022')")
    tpm2_startauthsession -S t.ctx ; tpm2_policyauthorizenv -S t.ctx -C o -L policy 0x01500001 ; tpm2_flushcontext t.ctx
    same "$(hex policy)" $want
    seal
    begin ; tpm2_policycommandcode -S s.ctx TPM2_CC_Unseal ; tpm2_policyauthorizenv -S s.ctx -C o 0x01500001 ; open
    begin ; refused 0x84 tpm2_policyauthorizenv -S s.ctx -C o 0x01500001`);
  });

  it('compares an index and the clock', async () => {
    await sh(`
    tpm2_nvdefine 0x01500001 -C o -a 'authread|authwrite|ownerread|ownerwrite' -s 2
    printf '\\x00\\x05' > five ; tpm2_nvwrite 0x01500001 -C o -i five
    want=$(next "\${zero} 00000149 $(next '0007 0000 0005') 000b$(next '01500001 000b 20060006 0000 0002')")
    printf '\\x00\\x07' > seven
    tpm2_startauthsession -S t.ctx ; tpm2_policynv -S t.ctx -C o -L policy -i seven 0x01500001 ult ; tpm2_flushcontext t.ctx
    same "$(hex policy)" $want
    seal
    begin ; tpm2_policynv -S s.ctx -C o -i seven 0x01500001 ult ; open
    tpm2_nvwrite 0x01500001 -C o -i seven
    begin ; refused 0x126 tpm2_policynv -S s.ctx -C o -i seven 0x01500001 ult
    # that an index was written
    want=$(next "\${zero} 0000018f 01")
    same "$(trial tpm2_policynvwritten s)" $want

    want=$(next "\${zero} 0000016d $(next '00000000ffffffff 0008 0005')")
    same "$(trial tpm2_policycountertimer --ult clock=4294967295)" $want
    seal
    begin ; tpm2_policycountertimer -S s.ctx --ult clock=4294967295 ; open
    begin ; refused 0x126 tpm2_policycountertimer -S s.ctx --ugt clock=4294967295`);
  });

  it('lets an index be written once, by who must find it unwritten', async () => {
    await sh(`
    trial tpm2_policynvwritten c > /dev/null
    tpm2_nvdefine 0x01500002 -C o -L policy -a 'policywrite|ownerread' -s 2
    printf ab > data
    begin ; tpm2_policynvwritten -S s.ctx c ; tpm2_nvwrite 0x01500002 -P session:s.ctx -i data ; tpm2_flushcontext s.ctx
    same "$(tpm2_nvread 0x01500002 -C o)" ab
    begin ; tpm2_policynvwritten -S s.ctx c ; refused 0x99d tpm2_nvwrite 0x01500002 -P session:s.ctx -i data`);
  });

  it('has branches, and starts over', async () => {
    await sh(`
    trial tpm2_policycommandcode TPM2_CC_Unseal > /dev/null ; cp policy one
    same "$(hex one)" $(next "\${zero} 0000016c 0000015e")
    trial tpm2_policylocality 3 > /dev/null ; cp policy two
    trial tpm2_policylocality zero > /dev/null ; cp policy three
    same "$(hex three)" $(next "\${zero} 0000016f 01")
    same "$(trial tpm2_policyor -l sha256:one,two,three)" $(next "\${zero} 00000171 $(hex one)$(hex two)$(hex three)")
    seal
    begin ; tpm2_policycommandcode -S s.ctx TPM2_CC_Unseal ; tpm2_policyor -S s.ctx -l sha256:one,two,three ; open
    begin ; tpm2_policylocality -S s.ctx zero ; tpm2_policyor -S s.ctx -l sha256:one,two,three ; open
    begin ; tpm2_policylocality -S s.ctx one ; refused 0x1c4 tpm2_policyor -S s.ctx -l sha256:one,two,three
    # at the wrong locality
    trial tpm2_policylocality one > /dev/null ; seal
    begin ; tpm2_policylocality -S s.ctx one ; closed 0x907
    # for another command
    trial tpm2_policycommandcode TPM2_CC_Sign > /dev/null ; seal
    begin ; tpm2_policycommandcode -S s.ctx TPM2_CC_Sign ; closed 0x9a4
    cp one policy ; seal
    begin ; tpm2_policylocality -S s.ctx one
    tpm2_policyrestart -S s.ctx
    tpm2_getpolicydigest -S s.ctx -o digest ; same "$(hex digest)" $zero
    tpm2_policycommandcode -S s.ctx TPM2_CC_Unseal
    tpm2_getpolicydigest -S s.ctx -o digest ; same "$(hex digest)" $(hex one)
    open`);
  });

  it('names the parameters, the objects or the template it is for', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c primary.ctx
    for_owner() { tpm2_setprimarypolicy -C o -g sha256 -L policy ; }
    # the hash of a command's parameters, as the tool computes it
    tpm2_clockrateadjust -c o s --cphash parameters
    hash=$(next '00000130 40000001 ff')
    same "$(hex parameters)" 0020$hash
    same "$(trial tpm2_policycphash --cphash parameters)" $(next "\${zero} 0000016e $hash")
    for_owner
    begin ; tpm2_policycphash -S s.ctx --cphash parameters ; tpm2_clockrateadjust -c o -p session:s.ctx s ; tpm2_flushcontext s.ctx
    begin ; tpm2_policycphash -S s.ctx --cphash parameters ; refused 0x99d tpm2_clockrateadjust -c o -p session:s.ctx f
    # the Names of its handles
    printf 40000001 | xxd -r -p | openssl dgst -sha256 -binary -out names
    same "$(trial tpm2_policynamehash -n names)" $(next "\${zero} 00000170 $(hex names)")
    for_owner
    begin ; tpm2_policynamehash -S s.ctx -n names ; tpm2_clockrateadjust -c o -p session:s.ctx f ; tpm2_flushcontext s.ctx
    begin ; tpm2_policynamehash -S s.ctx -n names ; refused 0x99d tpm2_evictcontrol -C o -P session:s.ctx -c primary.ctx 0x81000001
    # the template of what is created
    tpm2_createprimary -C o -G ecc -c p.ctx --template-data template
    openssl dgst -sha256 -binary -out template.hash template
    same "$(trial tpm2_policytemplate --template-hash template.hash)" $(next "\${zero} 00000190 $(hex template.hash)")
    for_owner
    begin ; tpm2_policytemplate -S s.ctx --template-hash template.hash ; tpm2_createprimary -C o -P session:s.ctx -G ecc -c p.ctx ; tpm2_flushcontext s.ctx
    begin ; tpm2_policytemplate -S s.ctx --template-hash template.hash ; refused 0x99d tpm2_createprimary -C o -P session:s.ctx -G ecc -g sha384 -c p.ctx`);
  });
};
