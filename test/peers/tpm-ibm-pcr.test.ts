import { it } from 'vitest';
import { ibmTools } from './tpm-ibm.ts';

/**
 * `pcr NUMBER ALGORITHM`: its value. `extended VALUE DIGEST ALGORITHM`: what it becomes. `zeros COUNT`. `le NUMBER`: 32
 * bits as PCs write them. `log HEX…`: bytes into the file `log`.
 */
const words = `
pcr() { rm -f value ; tsspcrread -ha $1 -halg $2 -of value > /dev/null ; hex value ; }
extended() { xxd -r -p <<< $1$2 | openssl dgst -$3 -binary | hex ; }
zeros() { head -c $1 /dev/zero | hex ; }
le() { printf '%08x' $1 | tac -rs .. ; }
log() { xxd -r -p <<< "$*" > log ; }
none=$(zeros 32)
sha1=$(openssl dgst -sha1 -binary msg | hex)
`;

ibmTools(({ sh, powerCycle }) => {
  it('measures events, in one command and in a sequence, and resets what may be reset', async () => {
    // These tools have room for the digests of three algorithms: they refuse to read an answer with four, but it was done.
    await sh(`
    ${words}
    denied 95 tsspcrevent -ha 16 -if msg
    one=$(extended $none $(sha msg) sha256) ; same $(pcr 16 sha256) $one
    same $(pcr 16 sha1) $(extended $(zeros 20) $sha1 sha1)
    tsshashsequencestart -halg null -pwda seq
    tsssequenceupdate -hs 80000000 -pwds seq -if msg
    denied aa2 tsseventsequencecomplete -hs 80000000 -pwds other -ha 16 -if msg
    denied 95 tsseventsequencecomplete -hs 80000000 -pwds seq -ha 16 -if msg
    same $(pcr 16 sha256) $(extended $one $(cat msg msg | sha) sha256)
    # a sequence ends with its completion, and one of a hash is no sequence of events
    denied 911 tsseventsequencecomplete -hs 80000000 -pwds seq -ha 16
    tsshashsequencestart -halg sha256 -pwda seq ; denied 289 tsseventsequencecomplete -hs 80000000 -pwds seq -ha 16
    tsspcrreset -ha 16 ; same $(pcr 16 sha256) $none
    tsspcrextend -ha 0 -if msg ; denied 907 tsspcrreset -ha 0
    same $(pcr 0 sha256) $(extended $none $(hex msg)$(zeros 23) sha256)`);
  });

  it('replays the log of a start, and that of what the kernel measured since', async () => {
    await sh(`
    ${words}
    # TCG_EfiSpecIDEvent with SHA-1 and SHA-256, then events in both
    spec="$(printf 'Spec ID Event03' | hex)00 00000000 00020002 $(le 2) 04001400 0b002000 00"
    event() { echo "$(le $1) $(le 1) $(le 2) 0400 $sha1 0b00 $(sha msg) $(le 9) $(hex msg)" ; }
    log "$(le 0) $(le 3) $(zeros 20) $(le 37) $spec" $(event 16) $(event 16) $(event 7)
    tsseventextend -if log
    one=$(extended $none $(sha msg) sha256) ; same $(pcr 7 sha256) $one ; same $(pcr 16 sha256) $(extended $one $(sha msg) sha256)
    same $(pcr 7 sha1) $(extended $(zeros 20) $sha1 sha1)
    same $(pcr 0 sha256) $none
    # the template ima-ng; a measurement of zeros is a violation, and ones are extended
    entry() { echo "$(le 10) $1 $(le 6) $(printf ima-ng | hex) $(le 9) $(hex msg)" ; }
    log $(entry $sha1) $(entry $(zeros 20))
    tssimaextend -if log -le
    ones=$(zeros 20 | tr 0 f) ; same $(pcr 10 sha1) $(extended $(extended $(zeros 20) $sha1 sha1) $ones sha1)
    pad=$(zeros 12) ; same $(pcr 10 sha256) $(extended $(extended $none $sha1$pad sha256) $ones$pad sha256)`);
  });

  it('has the banks that were allocated, from the next start on', async () => {
    await sh(`
    ${words}
    tsspcrextend -ha 16 -halg sha1 -if msg
    tsspcrallocate -sha256
    same $(pcr 16 sha1) $(extended $(zeros 20) $(hex msg)$(zeros 11) sha1)
    denied 9a2 tsspcrallocate -sha1 -sha256 -pwdp wrong
    # a state of these banks cannot be taken up by others
    denied 1ca tssshutdown -s ; tssshutdown -c`);
    await powerCycle();
    await sh(`
    ${words}
    tssstartup -c
    says '^count 0$' tsspcrread -ha 16 -halg sha1
    tsspcrextend -ha 16 -halg sha256 -if msg ; same $(pcr 16 sha256) $(extended $none $(hex msg)$(zeros 23) sha256)
    tsspcrallocate -sha1 -sha256`);
    await powerCycle();
    await sh(`
    ${words}
    tssstartup -c
    same $(pcr 16 sha1) $(zeros 20) ; same $(pcr 16 sha256) $none`);
  });
});
