import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'vitest';
import { present } from './present.ts';
import type { Shell } from './shell.ts';
import { openShell } from './shell.ts';
import type { ProvidedTpm } from './tpm-provider.ts';
import { provideTpm, subject } from './tpm-provider.ts';

/** The signature of its key over `digest`, checked by openssl, not by the TPM. */
const words = `
verify() { openssl pkeyutl -verify -pubin -inkey $1 -in digest -sigfile $2 $3; }
printf 'a message' | openssl dgst -sha256 -binary -out digest
`;

describe.skipIf(!present('tss2_provision', 'openssl')).each(['ECCP256SHA256', 'RSA2048SHA256'])(
  `FAPI on ${subject}, by its profile P_%s,`,
  { timeout: 60_000 },
  (profile) => {
    let directory: string;
    let tpm: ProvidedTpm;
    let sh: Shell;
    const rsa = profile.startsWith('RSA');

    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'fealty-fapi-'));
      tpm = await provideTpm(64);
      for (const name of ['user', 'system', 'log']) await mkdir(join(directory, name));
      await cp('/etc/tpm2-tss/fapi-profiles', join(directory, 'profiles'), { recursive: true });
      const configuration = {
        profile_name: `P_${profile}`,
        profile_dir: join(directory, 'profiles/'),
        user_dir: join(directory, 'user'),
        system_dir: join(directory, 'system'),
        log_dir: join(directory, 'log'),
        tcti: tpm.tcti,
        system_pcrs: [],
        ek_cert_less: 'yes',
      };
      await writeFile(join(directory, 'fapi.json'), JSON.stringify(configuration));
      sh = await openShell(directory, words, {
        TSS2_FAPICONF: join(directory, 'fapi.json'),
        TPM2TOOLS_TCTI: tpm.tcti,
      });
      await sh('tss2_provision');
    });
    afterEach(async () => {
      await tpm.close();
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    });

    it('makes keys that sign what openssl verifies', async () => {
      const pss = rsa
        ? '"-pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest -pkeyopt digest:sha256"'
        : '""';
      await sh(`
      tss2_createkey -p HS/SRK/signer -t 'sign,noda' -a ''
      tss2_sign -p HS/SRK/signer -d digest -o sig -k key.pem ${rsa ? '-s rsa_pss' : ''}
      openssl pkeyutl -verify -pubin -inkey key.pem -in digest -sigfile sig $(echo ${pss})
      tss2_verifysignature -p HS/SRK/signer -d digest -i sig
      printf 'another' | openssl dgst -sha256 -binary -out other
      fails tss2_verifysignature -p HS/SRK/signer -d other -i sig
      tss2_setdescription -p HS/SRK/signer -i 'signs' ; same "$(tss2_getdescription -p HS/SRK/signer -o -)" signs
      tss2_list | tr : '\\n' | grep -q /HS/SRK/signer
      # its blobs, for tpm2-tools
      tss2_gettpmblobs -p HS/SRK/signer -u k.pub -r k.priv
      says 'type:' tpm2_print -t TPM2B_PUBLIC k.pub
      tss2_delete -p HS/SRK/signer
      fails tss2_sign -p HS/SRK/signer -d digest -o sig2`);
    });

    it('seals, and gives back what it sealed', async () => {
      await sh(`
      printf 'sealed words' > data
      tss2_createseal -p HS/SRK/seal -t noda -i data -a ''
      tss2_unseal -p HS/SRK/seal -o out ; cmp data out
      # of random bytes, made inside
      tss2_createseal -p HS/SRK/random -t noda -s 32 -a ''
      tss2_unseal -p HS/SRK/random -o random ; same "$(stat -c %s random)" 32
      # to a policy
      echo '{"description":"pcr 16 as it is","policy":[{"type":"POLICYPCR","currentPCRs":[16]}]}' > policy.json
      tss2_import -p /policy/pcr -i policy.json
      tss2_createseal -p HS/SRK/bound -t noda -P /policy/pcr -i data -a ''
      tss2_unseal -p HS/SRK/bound -o bound ; cmp data bound
      tss2_exportpolicy -p HS/SRK/bound -o exported ; grep -q POLICYPCR exported
      printf event > event ; tss2_pcrextend -x 16 -i event
      fails tss2_unseal -p HS/SRK/bound -f -o bound`);
    });

    it('keeps NV indices of each type', async () => {
      await sh(`
      printf 'stored words' > data
      tss2_createnv -p /nv/Owner/plain -t noda -s 12 -a ''
      tss2_nvwrite -p /nv/Owner/plain -i data ; tss2_nvread -p /nv/Owner/plain -o out ; cmp data out
      tss2_createnv -p /nv/Owner/counter -t 'noda,counter' -a ''
      tss2_nvincrement -p /nv/Owner/counter ; tss2_nvincrement -p /nv/Owner/counter
      tss2_nvread -p /nv/Owner/counter -o count ; same "$(hex count)" 0000000000000002
      tss2_createnv -p /nv/Owner/bits -t 'noda,bitfield' -a ''
      tss2_nvsetbits -p /nv/Owner/bits -i 0x0102030405060608 ; tss2_nvread -p /nv/Owner/bits -o bits
      same "$(hex bits)" 0102030405060608
      tss2_createnv -p /nv/Owner/pcr -t 'noda,pcr' -a ''
      tss2_nvextend -p /nv/Owner/pcr -i data ; tss2_nvread -p /nv/Owner/pcr -o extended
      same "$(hex extended)" $( (head -c 32 /dev/zero ; cat data) | sha)
      tss2_delete -p /nv/Owner/plain ; fails tss2_nvread -p /nv/Owner/plain -o out -f`);
    });

    it('quotes, with the log of what was extended', async () => {
      await sh(`
      printf event > event ; tss2_pcrextend -x 16 -i event
      tss2_pcrread -x 16 -o pcr -l events
      same "$(hex pcr)" $( (head -c 32 /dev/zero ; openssl dgst -sha256 -binary event) | sha)
      tss2_createkey -p HS/SRK/ak -t 'sign,restricted,noda' -a ''
      printf 'a nonce' > nonce
      tss2_quote -p HS/SRK/ak -x 16 -Q nonce -q info -o sig -l quoted
      tss2_verifyquote -k HS/SRK/ak -Q nonce -q info -i sig -l quoted
      printf 'another' > other
      fails tss2_verifyquote -k HS/SRK/ak -Q other -q info -i sig -l quoted
      grep -qi "$(sha pcr)" info`);
    });

    it.skipIf(!rsa)('encrypts for a key, and decrypts with it', async () => {
      await sh(`
      printf 'for its eyes' > plain
      tss2_createkey -p HS/SRK/box -t 'decrypt,noda' -a ''
      tss2_encrypt -p HS/SRK/box -i plain -o cipher
      tss2_decrypt -p HS/SRK/box -i cipher -o out ; cmp plain out
      tss2_getrandom -n 16 -o a ; tss2_getrandom -n 16 -o b ; fails cmp a b`);
    });

    it('moves keys out and in', async () => {
      await sh(`
      # to another parent, as a policy of the key allows
      tss2_createkey -p HS/SRK/parent -t 'decrypt,restricted,noda' -a ''
      tss2_exportkey -p HS/SRK/parent -o parent.json ; tss2_import -p /ext/parent -i parent.json
      echo '{"description":"may be duplicated","policy":[{"type":"POLICYDUPLICATIONSELECT","newParentPath":"/ext/parent"}]}' > policy.json
      tss2_import -p /policy/duplicate -i policy.json
      tss2_createkey -p HS/SRK/traveller -t 'sign,exportable,noda' -P /policy/duplicate -a ''
      tss2_exportkey -p HS/SRK/traveller -e /ext/parent -o traveller.json
      tss2_import -p moved -i traveller.json
      tss2_gettpmblobs -p HS/SRK/parent/moved -u moved.pub -r moved.priv ; tss2_gettpmblobs -p HS/SRK/traveller -u home.pub -r home.priv
      cmp moved.pub home.pub
      # a key of openssl's, of which only the public half is known
      openssl ecparam -name prime256v1 -genkey -noout -out soft.pem ; openssl ec -in soft.pem -pubout -out soft.pub
      tss2_import -p /ext/soft -i soft.pub
      openssl pkeyutl -sign -inkey soft.pem -in digest -out sig
      tss2_verifysignature -p /ext/soft -d digest -i sig
      tss2_getinfo -o info ; grep -q 'TPM2_CAP\\|capabilities' info
      # what belongs to a key beside it
      tss2_createkey -p HS/SRK/key -t 'sign,noda' -a ''
      printf 'some data' > data
      tss2_setappdata -p HS/SRK/key -i data ; tss2_getappdata -p HS/SRK/key -o kept ; cmp data kept
      openssl req -x509 -key soft.pem -subj /CN=x -days 1 -out cert.pem
      tss2_setcertificate -p HS/SRK/key --x509certData=cert.pem ; tss2_getcertificate -p HS/SRK/key -o back ; cmp cert.pem back
      tss2_exportkey -p HS/SRK/key -o exported ; grep -q 'pem_ext_public\\|PUBLIC KEY' exported`);
    });

    it('asks for passwords, and gives its objects to tpm2-tools', async () => {
      await sh(`
      tss2_createkey -p HS/SRK/key -t 'sign,noda' -a word
      echo word | tss2_sign -p HS/SRK/key -d digest -o sig ; tss2_verifysignature -p HS/SRK/key -d digest -i sig
      echo other | fails tss2_sign -p HS/SRK/key -d digest -o sig2
      echo word | tss2_changeauth -p HS/SRK/key -a new
      echo word | fails tss2_sign -p HS/SRK/key -d digest -o sig3
      echo new | tss2_sign -p HS/SRK/key -d digest -o sig4
      tss2_gettpm2object -p HS/SRK/key -c key.ctx
      tss2_gettpmblobs -p HS/SRK/key -u blob.pub -r blob.priv
      tpm2_readpublic -c key.ctx -o read.pub ; cmp read.pub blob.pub`);
    });

    it('takes a policy that an index holds', async () => {
      await sh(`
      tss2_createnv -p /nv/Owner/approved -t noda -s 34 -a ''
      echo '{"description":"what is written there","policy":[{"type":"POLICYAUTHORIZENV","nvPath":"/nv/Owner/approved"}]}' > policy.json
      tss2_import -p /policy/stored -i policy.json
      echo '{"description":"pcr 16","policy":[{"type":"POLICYPCR","currentPCRs":[16]}]}' > pcr.json
      tss2_import -p /policy/pcr -i pcr.json
      tss2_writeauthorizenv -p /nv/Owner/approved -P /policy/pcr
      tss2_createkey -p HS/SRK/key -t 'sign,noda' -P /policy/stored -a ''
      tss2_sign -p HS/SRK/key -d digest -o sig ${rsa ? '-s rsa_pss' : ''}
      tss2_verifysignature -p HS/SRK/key -d digest -i sig
      printf event > event ; tss2_pcrextend -x 16 -i event
      fails tss2_sign -p HS/SRK/key -d digest -o sig2`);
    });

    it('takes a policy that a key approves', async () => {
      await sh(`
      tss2_createkey -p HS/SRK/approver -t 'sign,noda' -a ''
      echo '{"description":"what is approved","policy":[{"type":"POLICYAUTHORIZE","keyPath":"HS/SRK/approver"}]}' > policy.json
      tss2_import -p /policy/authorized -i policy.json
      echo '{"description":"pcr 16","policy":[{"type":"POLICYPCR","currentPCRs":[16]}]}' > pcr.json
      tss2_import -p /policy/pcr -i pcr.json
      tss2_createkey -p HS/SRK/key -t 'sign,noda' -P /policy/authorized -a ''
      fails tss2_sign -p HS/SRK/key -d digest -o sig -f
      tss2_authorizepolicy -P /policy/pcr -p HS/SRK/approver
      tss2_sign -p HS/SRK/key -d digest -o sig -k key.pem -f ${rsa ? '-s rsa_pss' : ''}
      tss2_verifysignature -p HS/SRK/key -d digest -i sig`);
    });
  },
);
