import { it } from 'vitest';
import type { Topic } from './bench.ts';

/** Capabilities, PCRs, hierarchies, the clock, start and stop, and the defence against guessing. */
export const platform: Topic = (bench) => {
  const sh = (script: string) => bench().sh(script);

  it('tells what it can do', async () => {
    await sh(`
    says sha512 tpm2_getcap algorithms
    says TPM2_CC_Quote tpm2_getcap commands
    says 'sha256: \\[ 0, 1, 2,.* 23 \\]' tpm2_getcap pcrs
    says TPM2_PT_FIRMWARE_VERSION_1 tpm2_getcap properties-fixed
    says 'inLockout: *0' tpm2_getcap properties-variable
    says TPM2_ECC_NIST_P256 tpm2_getcap ecc-curves
    says 0x40000001 tpm2_getcap handles-permanent
    says 0x17 tpm2_getcap handles-pcr
    for kind in nv-index persistent; do same "$(tpm2_getcap handles-$kind)" ''; done
    for kind in transient loaded-session saved-session; do tpm2_getcap handles-$kind; done
    says pcrs tpm2_getcap -l
    grep -qE '^[0-9a-f]{8}$' <<< "$(tpm2 getrandom --hex 4)"
    # what a code means is known without a TPM
    says 'authorization HMAC check failed' tpm2_rc_decode 0x98e`);
  });

  it('extends and resets PCRs in every bank', async () => {
    await sh(`
    bank() { tpm2_pcrread $1:$2 | sed -n "s/^ *$2 *: 0x//p" | tr A-F a-f; }
    zero=$(head -c 32 /dev/zero | hex) ; event=$(printf event | sha)
    same "$(bank sha256 16)" $zero
    tpm2_pcrextend 16:sha256=$event
    one=$(xxd -r -p <<< $zero$event | sha)
    same "$(bank sha256 16)" $one
    same "$(bank sha1 16)" $(head -c 20 /dev/zero | hex)
    tpm2_pcrreset 16
    same "$(bank sha256 16)" $zero
    # the TPM hashes, for all banks
    printf event > data
    tpm2_pcrevent 16 data
    same "$(bank sha256 16)" $one
    same "$(bank sha1 16)" $( (head -c 20 /dev/zero ; openssl dgst -sha1 -binary data) | openssl dgst -sha1 -r | cut -d' ' -f1)
    same "$(bank sha512 16)" $( (head -c 64 /dev/zero ; openssl dgst -sha512 -binary data) | openssl dgst -sha512 -r | cut -d' ' -f1)
    same "$(tpm2_pcrevent data | sed -n 's/^sha256: //p')" $event
    refused 0x907 tpm2_pcrreset 0
    same "$(bank sha256 17)" $(head -c 32 /dev/zero | tr '\\000' '\\377' | hex)
    tpm2_pcrread sha256:0,1,2 -o values
    same "$(stat -c %s values)" 96`);
  });

  it('makes other keys after tpm2_clear, and refuses it when switched off', async () => {
    await sh(`
    name() { tpm2_createprimary -C $1 -G ecc -c p.ctx > /dev/null ; tpm2_readpublic -c p.ctx -n p.name > /dev/null ; hex p.name; }
    owner=$(name o) ; endorsement=$(name e) ; platform=$(name p) ; null=$(name n)
    same "$(name o)" $owner ; same "$(name e)" $endorsement
    tpm2_createprimary -C o -G ecc -c old.ctx
    tpm2_changeauth -c o secret
    refused 0x9a2 tpm2_createprimary -C o -G ecc -c q.ctx
    tpm2_createprimary -C o -P secret -G ecc -c q.ctx
    tpm2_clear -c p
    [ "$(name o)" != $owner ]
    same "$(name e)" $endorsement ; same "$(name p)" $platform ; same "$(name n)" $null
    tpm2_clearcontrol -C l s
    refused 0x120 tpm2_clear
    tpm2_clearcontrol -C p c
    tpm2_clear`);
  });

  it('gives each hierarchy other seeds when told to change them', async () => {
    await sh(`
    name() { tpm2_createprimary -C $1 -G ecc -c p.ctx > /dev/null ; tpm2_readpublic -c p.ctx -n p.name > /dev/null ; hex p.name; }
    owner=$(name o) ; endorsement=$(name e) ; platform=$(name p)
    tpm2_changeeps
    [ "$(name e)" != $endorsement ] ; same "$(name p)" $platform ; same "$(name o)" $owner
    tpm2_changepps
    [ "$(name p)" != $platform ] ; same "$(name o)" $owner`);
  });

  it('switches hierarchies off and on', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c p.ctx
    tpm2_hierarchycontrol -C p shEnable clear
    refused 0x185 tpm2_createprimary -C o -G ecc -c q.ctx
    fails tpm2_readpublic -c p.ctx
    says 'shEnable: *0' tpm2_getcap properties-variable
    tpm2_hierarchycontrol -C p shEnable set
    tpm2_createprimary -C o -G ecc -c q.ctx
    tpm2_hierarchycontrol -C e ehEnable clear
    refused 0x185 tpm2_createprimary -C e -G ecc -c q.ctx`);
  });

  it('takes a policy for a hierarchy', async () => {
    await sh(`
    tpm2_startauthsession -S s.ctx ; tpm2_policycommandcode -S s.ctx -L policy TPM2_CC_HierarchyChangeAuth ; tpm2_flushcontext s.ctx
    tpm2_setprimarypolicy -C o -L policy -g sha256
    tpm2_startauthsession --policy-session -S s.ctx ; tpm2_policycommandcode -S s.ctx TPM2_CC_HierarchyChangeAuth
    tpm2_changeauth -c o -p session:s.ctx newpass
    tpm2_flushcontext s.ctx
    refused 0x9a2 tpm2_createprimary -C o -G ecc -c q.ctx
    tpm2_createprimary -C o -P newpass -G ecc -c q.ctx`);
  });

  it('keeps a clock that is set forwards only', async () => {
    await sh(`
    field() { tpm2_readclock | sed -n "s/^ *$1: //p"; }
    before=$(field clock)
    later=$((before + 3600000))
    tpm2_setclock -c o $later
    [ $(field clock) -ge $later ]
    refused 0x1c4 tpm2_setclock -c o $before
    tpm2_clockrateadjust -c o sss ; tpm2_clockrateadjust -c p f
    fails tpm2_clockrateadjust -c e s
    same "$(field reset_count)" "$(field reset_count)"
    same "$(field safe)" yes`);
  });

  it('tests itself, stops and starts', async () => {
    await sh(`
    tpm2_selftest ; tpm2_selftest --fulltest
    tpm2_incrementalselftest aes sha256 > left
    says success tpm2_gettestresult
    tpm2_shutdown ; tpm2_shutdown -c
    # it is started already, which the tool takes for success
    tpm2_startup -c
    # a command of the user's own, in bytes: GetRandom of 8
    xxd -r -p <<< 80010000000c0000017b0008 | tpm2_send > answer
    same "$(head -c 12 answer | hex)" 800100000014000000000008
    same "$(stat -c %s answer)" 20
    # one that does not exist
    xxd -r -p <<< 80010000000a00000fff | tpm2_send > answer
    same "$(hex answer)" 80010000000a00000143`);
  });

  it('locks out who guesses, until the lockout password says otherwise', async () => {
    await sh(`
    tpm2_dictionarylockout -s -n 2 -t 3600 -l 3600
    says '0x2$' tpm2_getcap properties-variable
    tpm2_createprimary -C o -G ecc -c primary.ctx
    tpm2_create -C primary.ctx -G ecc -p right -u key.pub -r key.priv
    tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx
    echo -n 'a message' > msg
    sign() { tpm2_sign -c key.ctx -p $1 -g sha256 -s ecdsa -o sig msg; }
    refused 0x98e sign wrong ; refused 0x98e sign wrong
    refused 0x921 sign right
    says 'inLockout: *1' tpm2_getcap properties-variable
    tpm2_dictionarylockout -c
    sign right
    says 'inLockout: *0' tpm2_getcap properties-variable
    tpm2_changeauth -c l word
    refused 0x98e tpm2_dictionarylockout -c -p other
    refused 0x921 tpm2_dictionarylockout -c -p word`);
  });
};

/** What only cutting the power shows. */
export const power: Topic = (bench) => {
  const sh = (script: string) => bench().sh(script);

  it('has other banks after its next start', async () => {
    await sh(`
    says 'sha1: \\[ 0, 1' tpm2_getcap pcrs
    tpm2_pcrallocate sha1:none+sha256:all+sha384:none+sha512:none
    says 'sha1: \\[ 0, 1' tpm2_getcap pcrs`);
    await bench().powerCycle();
    await sh(`
    tpm2_startup -c
    says 'sha1: \\[ \\]' tpm2_getcap pcrs
    says 'sha256: \\[ 0, 1' tpm2_getcap pcrs
    # a bank that is not there is not extended, and that is no failure
    tpm2_pcrextend 0:sha1=$(head -c 20 /dev/zero | hex)`);
  });

  it('goes on where it was after a shutdown that saved the state, and begins anew without', async () => {
    await sh(`
    tpm2_pcrextend 0:sha256=$(printf event | sha) ; tpm2_pcrextend 16:sha256=$(printf event | sha)
    tpm2_pcrread sha256:0 > before
    tpm2_readclock > clock
    tpm2_shutdown`);
    await bench().powerCycle();
    await sh(`
    refused 0x100 tpm2_getrandom --hex 8
    tpm2_startup
    tpm2_pcrread sha256:0 > after
    cmp before after
    same "$(sed -n 's/ *reset_count: //p' clock)" "$(tpm2_readclock | sed -n 's/ *reset_count: //p')"
    says 'restart_count: 1' tpm2_readclock`);
    await bench().powerCycle();
    await sh(`
    refused 0x1c4 tpm2_startup
    tpm2_startup -c
    tpm2_pcrread sha256:0 > after
    fails cmp before after
    says 'restart_count: 0' tpm2_readclock`);
  });
};
