import { it } from 'vitest';
import type { Topic } from './bench.ts';

const parents = `
for hierarchy in o e; do tpm2_createprimary -C $hierarchy -G ecc -c $hierarchy.ctx ; tpm2_readpublic -c $hierarchy.ctx -o $hierarchy.pub -n $hierarchy.name ; done
trial() { tpm2_startauthsession -S t.ctx ; "$@" -S t.ctx -L policy > /dev/null ; tpm2_flushcontext t.ctx; }
begin() { tpm2_startauthsession --policy-session -S s.ctx; }
key() { tpm2_create -C o.ctx -G ecc -a 'sign|userwithauth|sensitivedataorigin' -L policy -u key.pub -r key.priv > /dev/null ; tpm2_load -C o.ctx -u key.pub -r key.priv -c key.ctx > /dev/null; }
echo -n 'a message' > msg
signs() { tpm2_sign -c $1 -g sha256 -s ecdsa -f plain -o sig msg ; tpm2_readpublic -c key.ctx -f pem -o key.pem > /dev/null ; openssl dgst -sha256 -verify key.pem -signature sig msg; }
`;

/** Sealing, duplication, and sessions that protect what goes over the wire. */
export const storage: Topic = (bench) => {
  const sh = (script: string) => bench().sh(script);

  it('seals a secret, and gives it to who knows the password', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c primary.ctx
    printf 'sealed words' > data
    tpm2_create -C primary.ctx -i data -p word -u seal.pub -r seal.priv
    tpm2_load -C primary.ctx -u seal.pub -r seal.priv -c seal.ctx
    same "$(tpm2_unseal -c seal.ctx -p word)" 'sealed words'
    refused 0x98e tpm2_unseal -c seal.ctx -p other
    # what was changed outside is not loaded
    head -c -1 seal.priv > bad ; printf '\\x00' >> bad
    cmp -s bad seal.priv || refused 0x1df tpm2_load -C primary.ctx -u seal.pub -r bad -c seal.ctx
    # neither is what belongs to another parent
    tpm2_createprimary -C e -G ecc -c e.ctx
    refused 0x1df tpm2_load -C e.ctx -u seal.pub -r seal.priv -c seal.ctx
    head -c 129 /dev/zero > long
    refused 0x1d5 tpm2_create -C primary.ctx -i long -u seal.pub -r seal.priv`);
  });

  it('moves a key to another parent when its policy lets it', async () => {
    await sh(`${parents}
    trial tpm2_policycommandcode TPM2_CC_Duplicate
    key
    duplicate() { begin ; tpm2_policycommandcode -S s.ctx TPM2_CC_Duplicate ; tpm2_duplicate -C e.ctx -c key.ctx -p session:s.ctx -r dup -s seed "$@" ; tpm2_flushcontext s.ctx; }
    # sealed to the new parent
    duplicate -G null
    tpm2_import -C e.ctx -u key.pub -i dup -s seed -r moved.priv
    tpm2_load -C e.ctx -u key.pub -r moved.priv -c moved.ctx
    signs moved.ctx
    # and encrypted by a key that is given another way
    duplicate -G aes -o inner
    refused 0x3d5 tpm2_import -C e.ctx -u key.pub -i dup -s seed -r moved.priv
    tpm2_import -C e.ctx -u key.pub -i dup -s seed -k inner -r moved.priv
    tpm2_load -C e.ctx -u key.pub -r moved.priv -c moved.ctx
    signs moved.ctx
    # the wrong parent does not find the seed
    duplicate -G null
    refused 0x3df tpm2_import -C o.ctx -u key.pub -i dup -s seed -r moved.priv
    # a key without that policy stays
    tpm2_create -C o.ctx -G ecc -u fixed.pub -r fixed.priv ; tpm2_load -C o.ctx -u fixed.pub -r fixed.priv -c fixed.ctx
    begin ; tpm2_policycommandcode -S s.ctx TPM2_CC_Duplicate
    refused 0x99d tpm2_duplicate -C e.ctx -c fixed.ctx -p session:s.ctx -r dup -s seed -G null`);
  });

  it('lets a policy choose the new parent', async () => {
    await sh(`${parents}
    trial tpm2_policyduplicationselect -N e.name
    same "$(hex policy)" $(xxd -r -p <<< "$(head -c 32 /dev/zero | hex) 00000188 $(hex e.name) 00" | sha)
    key
    tpm2_readpublic -c key.ctx -n key.name
    begin ; tpm2_policyduplicationselect -S s.ctx -n key.name -N e.name
    tpm2_duplicate -C e.ctx -c key.ctx -p session:s.ctx -r dup -s seed -G null ; tpm2_flushcontext s.ctx
    tpm2_import -C e.ctx -u key.pub -i dup -s seed -r moved.priv
    tpm2_load -C e.ctx -u key.pub -r moved.priv -c moved.ctx
    signs moved.ctx
    tpm2_createprimary -C p -G ecc -c p.ctx
    begin ; tpm2_policyduplicationselect -S s.ctx -n key.name -N e.name
    refused 0x99d tpm2_duplicate -C p.ctx -c key.ctx -p session:s.ctx -r dup -s seed -G null`);
  });

  it('protects parameters by sessions that are salted, bound or both', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c ecc.ctx ; tpm2_createprimary -C o -G rsa -c rsa.ctx
    printf 'sealed words' > data
    tpm2_create -C ecc.ctx -i data -p word -u seal.pub -r seal.priv ; tpm2_load -C ecc.ctx -u seal.pub -r seal.priv -c seal.ctx
    tpm2_create -C ecc.ctx -G ecc -p bindword -u bind.pub -r bind.priv ; tpm2_load -C ecc.ctx -u bind.pub -r bind.priv -c bind.ctx
    for how in '--tpmkey-context ecc.ctx' '--tpmkey-context rsa.ctx' '--bind-context bind.ctx --bind-auth bindword' '--tpmkey-context ecc.ctx --bind-context bind.ctx --bind-auth bindword' ; do
      tpm2_startauthsession --hmac-session $how -S s.ctx
      tpm2_sessionconfig s.ctx --enable-decrypt --enable-encrypt
      says 'Session-Handle: 0x02' tpm2_sessionconfig s.ctx
      same "$(tpm2_unseal -c seal.ctx -p session:s.ctx+word)" 'sealed words'
      grep -qE '^[0-9a-f]{16}$' <<< "$(tpm2_getrandom -S s.ctx --hex 8)"
      tpm2_flushcontext s.ctx
    done
    # a wrong bind password is noticed at its first use
    tpm2_startauthsession --hmac-session --bind-context bind.ctx --bind-auth other -S s.ctx
    refused 0x98e tpm2_unseal -c seal.ctx -p session:s.ctx+word`);
  });
};

/** Contexts as the TPM itself keeps them: a resource manager would hide it. */
export const contexts: Topic = (bench) => {
  const sh = (script: string) => bench().sh(script);

  it('saves sessions and objects, and takes each saved session back once', async () => {
    await sh(`
    tpm2_createprimary -C o -G ecc -c primary.ctx
    tpm2_startauthsession --policy-session -S s.ctx
    says '0x[23]000000' tpm2_getcap handles-saved-session
    cp s.ctx old.ctx
    tpm2_policycommandcode -S s.ctx TPM2_CC_Unseal
    fails tpm2_policycommandcode -S old.ctx TPM2_CC_Unseal
    tpm2_flushcontext s.ctx
    same "$(tpm2_getcap handles-saved-session)" ''
    # an object's context is good more than once, and only as it is
    tpm2_readpublic -c primary.ctx -n one ; tpm2_readpublic -c primary.ctx -n two
    cmp one two
    cp primary.ctx bad.ctx ; printf '\\xAA\\xBB\\xCC' | dd of=bad.ctx bs=1 seek=100 conv=notrunc 2> /dev/null
    refused '0x1df' tpm2_readpublic -c bad.ctx`);
  });
};
