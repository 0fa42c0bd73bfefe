import { expect, it } from 'vitest';
import type { Topic } from './bench.ts';

/** An EK at 0x81010002 and a restricted signing key `ak` below it, with its PEM. */
const endorsed = `
tpm2_createek -G ecc -c 0x81010002 -u ek.pub
tpm2_createak -C 0x81010002 -G ecc -g sha256 -s ecdsa -c ak.ctx -u ak.pub -n ak.name
tpm2_readpublic -c ak.ctx -f pem -o ak.pem
verify() { openssl dgst -sha256 -verify ak.pem -signature $1 $2 > /dev/null; }
`;

/** What an attestation key says of the TPM, and credentials that only it opens. */
export const attestation: Topic = (bench) => {
  const sh = (script: string) => bench().sh(script);

  it('quotes PCRs, and the quote is good for one nonce and those values', async () => {
    await sh(`${endorsed}
    tpm2_pcrextend 16:sha256=$(printf event | sha)
    quote() { tpm2_quote -c ak.ctx -l sha256:0,1,16 -q $1 -m q.msg -s q.sig -o q.pcr -g sha256; }
    check() { tpm2_checkquote -u ak.pem -m q.msg -s q.sig -f q.pcr -g sha256 -q $1; }
    quote abcd1234
    check abcd1234
    fails check abcd1235
    cp q.pcr before
    tpm2_pcrextend 16:sha256=$(printf event | sha)
    quote 01
    check 01
    cp before q.pcr
    fails check 01
    # the digest of the values, and the PCRs it is of, end the statement
    tpm2_quote -c ak.ctx -l sha256:16 -q 02 -m q.msg -s q.sig -g sha256
    tpm2_pcrread sha256:16 -o values > /dev/null
    hex q.msg | grep -q "00000001000b03000001""0020$(sha values)$"
    says 'magic: ff544347' tpm2_print -t TPMS_ATTEST q.msg`);
  });

  it.each(['ecc', 'rsa'])('opens a credential made for its %s EK and key, and no other', async (kind) => {
    const ek = kind === 'rsa' ? '0x81010001' : '0x81010002';
    const out = await sh(`
    tpm2_createek -G ${kind} -c ${ek} -u ek.pub
    tpm2_createak -C ${ek} -G ecc -g sha256 -s ecdsa -c ak.ctx -u ak.pub -n ak.name
    printf 0123456789abcdef0123456789abcdef > secret
    activate() {
      tpm2_startauthsession --policy-session -S s.ctx
      tpm2_policysecret -S s.ctx -c e > /dev/null
      "$@" tpm2_activatecredential -c ak.ctx -C ${ek} -i cred -o secret.out -P session:s.ctx
    }
    # by software, and by a TPM
    tpm2_makecredential -T none -u ek.pub -s secret -n $(hex ak.name) -o cred
    activate ; tpm2_flushcontext s.ctx
    cmp secret secret.out
    tpm2_makecredential -u ek.pub -s secret -n $(hex ak.name) -o cred
    activate ; tpm2_flushcontext s.ctx
    cmp secret secret.out
    tpm2_makecredential -T none -u ek.pub -s secret -n 000b$(printf x | sha) -o cred
    activate refused 0x1df`);
    expect(out).not.toBe('');
  });

  it('certifies keys, how they were made, and the time', async () => {
    await sh(`${endorsed}
    tpm2_createprimary -C o -G ecc -c key.ctx --creation-data creation.data -d creation.hash -t creation.ticket
    tpm2_readpublic -c key.ctx -n key.name
    tpm2_certify -c key.ctx -C ak.ctx -g sha256 -f plain -o attest -s sig
    verify sig attest
    same "$(hex attest | cut -c 1-12)" ff5443478017
    hex attest | grep -q "0022$(hex key.name)0022"
    tpm2_certifycreation -C ak.ctx -c key.ctx -d creation.hash -t creation.ticket -g sha256 -f plain -o sig --attestation attest -q 0102
    verify sig attest
    same "$(hex attest | cut -c 1-12)" ff544347801a
    hex attest | grep -q "00020102.*0022$(hex key.name)0020$(hex creation.hash | tail -c 65)$"
    same "$(hex creation.hash)" 0020$(tail -c +3 creation.data | sha)
    # a ticket for another key
    tpm2_createprimary -C o -G ecc -g sha384 -c other.ctx
    refused 0x4e0 tpm2_certifycreation -C ak.ctx -c other.ctx -d creation.hash -t creation.ticket -g sha256 -o sig --attestation attest
    tpm2_gettime -c ak.ctx -q 0a0b -g sha256 -f plain -o sig --attestation attest
    verify sig attest
    same "$(hex attest | cut -c 1-12)" ff5443478019
    hex attest | grep -q 00020a0b`);
  });

  it('keeps a digest of what was done in a session, and signs it', async () => {
    await sh(`${endorsed}
    tpm2_startauthsession -S s.ctx --audit-session
    tpm2_getrandom -S s.ctx --cphash cp --rphash rp -o random 8
    same "$(hex cp)" 0020$(xxd -r -p <<< '0000017b 0008' | sha)
    same "$(hex rp)" 0020$(xxd -r -p <<< "00000000 0000017b 0008 $(hex random)" | sha)
    tpm2_getsessionauditdigest -c ak.ctx -g sha256 -m attest -s sig -S s.ctx -f plain
    verify sig attest
    same "$(hex attest | cut -c 1-12)" ff5443478016
    # other commands came between (to load the key), so the session was not exclusive
    hex attest | grep -q "000020$( (head -c 32 /dev/zero ; tail -c +3 cp ; tail -c +3 rp) | sha)$"
    tpm2_flushcontext s.ctx`);
  });

  it('keeps a digest of the commands its owner has audited, and signs it', async () => {
    await sh(`${endorsed}
    tpm2_setcommandauditstatus -g sha384 TPM2_CC_GetRandom
    tpm2_setcommandauditstatus -g sha256 TPM2_CC_GetRandom
    tpm2_getrandom -o random 8
    tpm2_getcommandauditdigest -c ak.ctx -g sha256 -m attest -s sig -f plain
    verify sig attest
    same "$(hex attest | cut -c 1-12)" ff5443478015
    # the tool sets the algorithm, which starts over, and then the list, which is audited itself
    next() { xxd -r -p <<< "$1" | sha; }
    list="$(next '00000140 40000001 000b 00000001 0000017b 00000000') $(next '00000000 00000140')"
    random="$(next '0000017b 0008') $(next "00000000 0000017b 0008 $(hex random)")"
    digest=$(next "$(next "$(head -c 32 /dev/zero | hex) $list") $random")
    hex attest | grep -q "000b0020\${digest}0020$(next '00000140 0000017b')$"
    # what was signed begins anew
    tpm2_getcommandauditdigest -c ak.ctx -g sha256 -m attest -s sig -f plain
    hex attest | grep -q "000b00000020$(next '00000140 0000017b')$"
    tpm2_setcommandauditstatus -c TPM2_CC_GetRandom`);
  });

  it('has tools beside it that need no TPM', async () => {
    await sh(`
    tpm2_certifyX509certutil -o partial.der -d 10
    openssl asn1parse -inform DER -in partial.der | grep -q 'X509v3 Key Usage'
    # an event log of one event, of the first kind: PCR 0, EV_SEPARATOR, its SHA-1, four bytes
    event='00000000 04000000 9069ca78e7450a285173431b3e52c5c25299e473 04000000 00000000'
    xxd -r -p <<< "$event" > log
    says 'EventType: EV_SEPARATOR' tpm2_eventlog log`);
  });
};
