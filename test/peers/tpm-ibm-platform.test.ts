import { it } from 'vitest';
import { ibmTools } from './tpm-ibm.ts';

ibmTools(({ way, sh }) => {
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

  it("refuses what only one vendor's chips know", async () => {
    await sh(`
    denied 143 tssntc2getconfig
    denied 143 tssntc2getconfig -verify
    denied 143 tssntc2preconfig -prequired
    denied 143 tssntc2lockconfig -lock
    tssgetrandom -by 8`);
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
});
