import { it } from 'vitest';
import { ibmTools } from './tpm-ibm.ts';

ibmTools(({ sh }) => {
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

  it('opens while the clock and the count of starts compare as a policy says', async () => {
    await sh(`
    primary
    # PolicyCounterTimer of what stands at an offset of TPMS_TIME_INFO: 8 the clock, 16 the resets
    compared() { echo "0000016d$(xxd -r -p <<< $1 | sha)" ; }
    hour=000000000036ee80 ; echo $hour | xxd -r -p > hour
    policy $(compared \${hour}00080005)
    tsscreate -hp 80000000 -bl -if msg -kt f -kt p -uwa -pol policy -opu s.pub -opr s.priv ; tssload -hp 80000000 -ipu s.pub -ipr s.priv
    begin ; tsspolicycountertimer -ha 03000000 -if hour -off 8 -op 5
    tsspolicygetdigest -ha 03000000 -of digest ; cmp digest policy
    tssunseal -ha 80000001 -of out -se0 03000000 0 ; cmp out msg
    # what holds of the TPM, but is not the policy
    begin ; tsspolicycountertimer -ha 03000000 -if hour -off 8 -op 4 ; denied 99d tssunseal -ha 80000001 -se0 03000000 1
    tsspolicyrestart -ha 03000000 ; denied 126 tsspolicycountertimer -ha 03000000 -if hour -off 8 -op 3
    tssclockset -hi o -time 3600001
    denied 126 tsspolicycountertimer -ha 03000000 -if hour -off 8 -op 5
    tsspolicycountertimer -ha 03000000 -if hour -off 8 -op 3
    resets=$(printf '%08x' $(tssreadclock | sed -n 's/.*resetCount //p')) ; xxd -r -p <<< $resets > resets
    flush 03000000 ; policy $(compared \${resets}00100000) ; trial tsspolicycountertimer -ha 03000000 -if resets -off 16 -op 0
    begin ; tsspolicycountertimer -ha 03000000 -if resets -off 16 -op 0
    denied 126 tsspolicycountertimer -ha 03000000 -if resets -off 16 -op 1
    # the info has 25 bytes
    denied 8d tsspolicycountertimer -ha 03000000 -if resets -off 22`);
  });

  it('tells the public area and the Name of an index, as its state changes', async () => {
    await sh(`
    holds() { says "nvreadpublic: attributes $1" tssnvreadpublic -ha 01000001 ; same "$(name 01000001)" "000b$(xxd -r -p <<< 01000001000b$1\${2-0000}0009 | sha)" ; }
    tssnvdefinespace -ha 01000001 -hi o -pwdn nv -sz 9 +at rst ; holds 82040004
    tssnvwrite -ha 01000001 -pwdn nv -if msg ; holds a2040004
    tssnvreadlock -ha 01000001 -pwdn nv ; holds b2040004
    tssnvundefinespace -ha 01000001 -hi o ; denied 18b tssnvreadpublic -ha 01000001
    policy 0000016c0000011f ; tssnvdefinespace -ha 01000001 -hi o -pwdn nv -pol policy -sz 9 ; holds 020c000c 0020$(hex policy)
    # with the tools' own judgement of the Name's algorithm
    judges 'does not match expected' tssnvreadpublic -ha 01000001 -nalg sha1
    tssnvdefinespace -ha 01000002 -hi o -pwdn nv -sz 9 -nalg sha384 ; tssnvreadpublic -ha 01000002 -nalg sha384
    same "$(name 01000002)" "000c$(xxd -r -p <<< 01000002000c0204000400000009 | openssl dgst -sha384 -binary | hex)"`);
  });

  it('removes an index by its own policy and the platform, where nothing less may', async () => {
    await sh(`
    policy 0000016c0000011f
    tssnvdefinespace -ha 01000001 -hi p +at pold -pol policy -sz 9
    denied 282 tssnvundefinespace -ha 01000001 -hi p
    denied 124 tssnvundefinespacespecial -ha 01000001
    begin ; denied 99d tssnvundefinespacespecial -ha 01000001 -se0 03000000 1
    tsspolicycommandcode -ha 03000000 -cc 122 ; denied 99d tssnvundefinespacespecial -ha 01000001 -se0 03000000 1
    tsspolicyrestart -ha 03000000 ; tsspolicycommandcode -ha 03000000 -cc 11f
    tsshierarchychangeauth -hi p -pwdn ours ; denied aa2 tssnvundefinespacespecial -ha 01000001 -se0 03000000 1
    tssnvreadpublic -ha 01000001
    tssnvundefinespacespecial -ha 01000001 -pwdp ours -se0 03000000 1
    denied 18b tssnvreadpublic -ha 01000001
    # without the attribute it is not there for such
    tssnvdefinespace -ha 01000001 -hi p -pwdp ours -pol policy -sz 9
    begin ; tsspolicycommandcode -ha 03000000 -cc 11f
    denied 182 tssnvundefinespacespecial -ha 01000001 -pwdp ours -se0 03000000 0`);
  });
});
