import { it } from 'vitest';
import type { Topic } from './bench.ts';

/** Non-volatile indices of each type, their locks and their passwords. */
export const nv: Topic = (bench) => {
  const sh = (script: string) => bench().sh(script);

  it('defines, writes, reads and removes an index', async () => {
    await sh(`
    tpm2_nvdefine 0x01500001 -C o -s 32 -a 'ownerread|ownerwrite|authread|authwrite'
    refused 0x14a tpm2_nvread 0x01500001 -C o
    echo -n nvdata | tpm2_nvwrite 0x01500001 -C o -i -
    echo -n XY | tpm2_nvwrite 0x01500001 -C o --offset 2 -i -
    same "$(tpm2_nvread 0x01500001 -C o -s 6)" nvXYta
    same "$(tpm2_nvread 0x01500001 -C o -s 2 --offset 2)" XY
    fails tpm2_nvread 0x01500001 -C o -s 8 --offset 30
    refused 0x14c tpm2_nvdefine 0x01500001 -C o -s 32 -a 'ownerread|ownerwrite'
    tpm2_nvreadpublic 0x01500001 > public
    grep -q 'friendly: ownerwrite|authwrite|ownerread|authread|written' public
    grep -q 'size: 32' public
    # its Name: the hash of index, algorithm, attributes, policy and size
    same "$(sed -n 's/^ *name: //p' public)" 000b$(xxd -r -p <<< '01500001 000b 20060006 0000 0020' | sha)
    says 0x1500001 tpm2_getcap handles-nv-index
    tpm2_nvundefine 0x01500001 -C o
    refused 0x18b tpm2_nvreadpublic 0x01500001
    same "$(tpm2_getcap handles-nv-index)" ''
    # longer than one buffer, written and read in pieces
    head -c 2048 /dev/urandom > large
    tpm2_nvdefine 0x01500002 -C o -s 2048 -a 'ownerread|ownerwrite'
    tpm2_nvwrite 0x01500002 -C o -i large
    tpm2_nvread 0x01500002 -C o > back
    cmp large back
    refused 0x2d5 tpm2_nvdefine 0x01500003 -C o -s 2049 -a 'ownerread|ownerwrite'`);
  });

  it('asks for the password of an index, and of the owner', async () => {
    await sh(`
    tpm2_nvdefine 0x01500003 -C o -s 8 -p secret -a 'authread|authwrite'
    echo -n 12345678 > data
    tpm2_nvwrite 0x01500003 -P secret -i data
    same "$(tpm2_nvread 0x01500003 -P secret)" 12345678
    refused 0x98e tpm2_nvread 0x01500003 -P wrong
    refused 0x149 tpm2_nvread 0x01500003 -C o
    tpm2_changeauth -c o owner
    refused 0x9a2 tpm2_nvundefine 0x01500003 -C o
    tpm2_nvundefine 0x01500003 -C o -P owner`);
  });

  it('counts up and never down, sets bits and never clears them, and extends', async () => {
    await sh(`
    attributes='ownerread|ownerwrite|authread|authwrite'
    tpm2_nvdefine 0x01500010 -C o -a "$attributes|nt=counter"
    refused 0x14a tpm2_nvread 0x01500010 -C o
    tpm2_nvincrement 0x01500010 -C o ; tpm2_nvincrement 0x01500010 -C o
    same "$(tpm2_nvread 0x01500010 -C o | hex)" 0000000000000002
    echo -n 12345678 > data ; refused 0x82 tpm2_nvwrite 0x01500010 -C o -i data
    # a counter that is made again goes on from the highest there ever was
    tpm2_nvundefine 0x01500010 -C o
    tpm2_nvdefine 0x01500010 -C o -a "$attributes|nt=counter"
    tpm2_nvincrement 0x01500010 -C o
    same "$(tpm2_nvread 0x01500010 -C o | hex)" 0000000000000003

    tpm2_nvdefine 0x01500011 -C o -a "$attributes|nt=bits"
    tpm2_nvsetbits 0x01500011 -C o -i 0x0f00
    tpm2_nvsetbits 0x01500011 -C o -i 0x00f1
    same "$(tpm2_nvread 0x01500011 -C o | hex)" 0000000000000ff1

    tpm2_nvdefine 0x01500012 -C o -a "$attributes|nt=extend"
    echo -n first > data ; tpm2_nvextend 0x01500012 -C o -i data
    one=$( (head -c 32 /dev/zero ; cat data) | sha)
    same "$(tpm2_nvread 0x01500012 -C o | hex)" $one
    tpm2_nvextend 0x01500012 -C o -i data
    same "$(tpm2_nvread 0x01500012 -C o | hex)" $( (xxd -r -p <<< $one ; cat data) | sha)`);
  });

  it('locks an index for reading and for writing', async () => {
    await sh(`
    attributes='ownerread|ownerwrite|authread|authwrite'
    tpm2_nvdefine 0x01500020 -C o -s 4 -a "$attributes|read_stclear|write_stclear"
    echo -n abcd > data
    tpm2_nvwrite 0x01500020 -C o -i data
    tpm2_nvwritelock 0x01500020 -C o
    refused 0x148 tpm2_nvwrite 0x01500020 -C o -i data
    says 'writelocked' tpm2_nvreadpublic 0x01500020
    same "$(tpm2_nvread 0x01500020 -C o)" abcd
    tpm2_nvreadlock 0x01500020 -C o
    refused 0x148 tpm2_nvread 0x01500020 -C o
    says 'readlocked' tpm2_nvreadpublic 0x01500020
    # all that ask for it, by one lock of the hierarchy
    tpm2_nvdefine 0x01500021 -C o -s 4 -a "$attributes|globallock"
    tpm2_nvwrite 0x01500021 -C o -i data
    tpm2_nvwritelock -C o --global
    refused 0x148 tpm2_nvwrite 0x01500021 -C o -i data
    # for ever
    tpm2_nvdefine 0x01500022 -C o -s 4 -a "$attributes|writedefine"
    tpm2_nvwritelock 0x01500022 -C o
    refused 0x148 tpm2_nvwrite 0x01500022 -C o -i data
    tpm2_nvdefine 0x01500023 -C o -s 4 -a "$attributes"
    refused 0x282 tpm2_nvwritelock 0x01500023 -C o`);
  });

  it('removes what only a policy may remove', async () => {
    await sh(`
    tpm2_startauthsession -S s.ctx ; tpm2_policycommandcode -S s.ctx -L policy TPM2_CC_NV_UndefineSpaceSpecial ; tpm2_flushcontext s.ctx
    tpm2_nvdefine 0x01500030 -C p -s 4 -L policy -a 'ppread|ppwrite|authread|authwrite|policydelete|platformcreate'
    fails tpm2_nvundefine 0x01500030 -C p
    tpm2_startauthsession --policy-session -S s.ctx
    refused 0x99d tpm2_nvundefine -S s.ctx 0x01500030
    tpm2_startauthsession --policy-session -S s.ctx ; tpm2_policycommandcode -S s.ctx TPM2_CC_NV_UndefineSpaceSpecial
    tpm2_nvundefine -S s.ctx 0x01500030
    refused 0x18b tpm2_nvreadpublic 0x01500030`);
  });

  it('certifies what an index holds', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc:ecdsa-sha256:null -a 'sign|restricted|fixedtpm|fixedparent|sensitivedataorigin|userwithauth' -c signer.ctx
    tpm2_readpublic -c signer.ctx -f pem -o signer.pem
    tpm2_nvdefine 0x01500040 -C o -s 4 -a 'ownerread|ownerwrite|authread'
    echo -n abcd > data
    tpm2_nvwrite 0x01500040 -C o -i data
    tpm2_nvcertify -C signer.ctx -c o -g sha256 -f plain -o sig --attestation attest --size 4 -q 0102 0x01500040
    openssl dgst -sha256 -verify signer.pem -signature sig attest
    same "$(hex attest | cut -c 1-12)" ff5443478014
    # it ends with the Name of the index, the offset and the data
    name=000b$(xxd -r -p <<< '01500040 000b 20060002 0000 0004' | sha)
    hex attest | grep -q "00020102.*0022\${name}00000004$(hex data)$"`);
  });

  it('finds the certificate of the endorsement key in its index', async () => {
    await sh(`
    openssl req -x509 -newkey rsa:2048 -set_serial 1 -nodes -keyout ca.key -subj /CN=EK -days 1 -outform DER -out ek.der 2> openssl.log
    tpm2_nvdefine 0x01c0000a -C p -s $(stat -c %s ek.der) -a 'ppwrite|writedefine|ppread|ownerread|authread|no_da|platformcreate'
    tpm2_nvwrite 0x01c0000a -C p -i ek.der
    tpm2_createek -G ecc -c ek.ctx -u ek.pub
    tpm2_getekcertificate -o found
    cmp found ek.der`);
  });
};
