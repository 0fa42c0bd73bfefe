// TCG "TPM 2.0 Keys for Device Identity and Attestation" v1.00 r12 §7.3.4. A test computes each from first principles.

/** A policy digest in each hash that a device key template uses, hexadecimal. */
export interface PolicyDigests {
  readonly sha256: string;
  readonly sha384: string;
  readonly sha512: string;
}

/** PolicyUser = PolicySecret(TPM_RH_ENDORSEMENT); also PolicyA of the EK templates. */
export const POLICY_ENDORSEMENT: PolicyDigests = {
  sha256: '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa',
  sha384: '8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53',
  sha512:
    '1e3b76502c8a1425aa0b7b3fc646a1b0fae063b03b5368f9c4cddecaff0891dd682bac1a85d4d832b781ea451915de5fc5bf0dc4a1917cd42fa041e3f998e0ee',
};

/** PolicyCertify = PolicySecret(E), PolicyCommandCode(TPM2_Certify). */
export const POLICY_CERTIFY: PolicyDigests = {
  sha256: 'b2a69e6391e2684a0fe752d39e14acd2e5cb922e4bd035830eea31f2aabe9870',
  sha384: 'ad6007596907528f059a6121a5293c8ea3539f025640bc0920e1c9f779085934ef907a94469e25df22dbec6663b4f128',
  sha512:
    'bdcf7b666007254939c5fa725cb876e94ac17e033d9335a3f40267abc35b1e3e323597cd1585d991aee2d6a20e3322eae8b6f87b12953248aeb7441c01f12e60',
};

/** PolicyActivateCredential = PolicySecret(E), PolicyCommandCode(TPM2_ActivateCredential). */
export const POLICY_ACTIVATE: PolicyDigests = {
  sha256: 'cd9917cf18c3848c3a2e606986a066c68142f9bc2710a278287a650ca3bbf245',
  sha384: '0a55d64c633cff7b4c782ee5464d0868a8c4d18d636f2d91f0cfc7b1beaadc1edeb6b4f545aace6d5c5cfc80c0a82492',
  sha512:
    'd291c51ea9eeabad3d858c6f4fd8bcb385e357598ff95d225405041df9ea50563f2a1c1942cb4a955ad89a6684c57365e64b208b059e188d6170825d91778342',
};

/** PolicyDelegationNV of the IDevID: PolicyAuthorizeNV of NV index 0x01C90010, 11, 12. */
export const POLICY_DELEGATION_IDEVID: PolicyDigests = {
  sha256: '629c50b05f1adb5b4297feb241549d4217a1c792c162feb861022def88fa9501',
  sha384: '0275fc2ac8ae37dc923f5c1fe9bf07bde08ccf5140d437de379a522b8c5efe31a7274415c7e8b1be1e9535003975cbcc',
  sha512:
    '389a4467aafc683406a8113b480926e838986a898f2e2850ae316c53fa73865f91a8182afe46b09dbc7489946ad0b24d23349925e29410a056b7445d175d1d5a',
};

/** PolicyDelegationNV of the IAK: PolicyAuthorizeNV of NV index 0x01C90018, 19, 1A. */
export const POLICY_DELEGATION_IAK: PolicyDigests = {
  sha256: '101e689dadf145222412c05b76e14532af1e5c74208e0ae7cdb0cff1906c8a09',
  sha384: '471a7ab7d988de1e558e4db956a27f57a7e569038376984363a347001e615381d25f3c9cda70971de027571f3ddb09ca',
  sha512:
    '6c38a4edec27cbd537dde645a4f106bdf6137760396db462b25463b80947597c9b49b891c789fe2cae3bd3de0930e3809012cbcb4e0e07684cc7b7ebdd4481d4',
};

/** authPolicy of the IDevID: PolicyOR of User, Certify, ActivateCredential, delegation. */
export const AUTH_POLICY_IDEVID: PolicyDigests = {
  sha256: 'ad6b3a2284fd698a0710bf5cc1b9bdf15e2532e3f601fa4b93a6a8fa8de579ea',
  sha384: '4db1aa836d0b5615df6ee53a40ef70c61c217f4303d44695925972bc927006cfa5cbdf6dc18c4dbe329b2f1542c3dd33',
  sha512:
    '7dd7500fd6c1b94f97a6af910da147301ef28f662fee06f225a4ccadda3b4e6b38e66b2f3ad5dee1a0503cd2daedb1e68cfe4f84b03a8cd22bb6a976f071a72f',
};

/** authPolicy of the IAK, likewise. */
export const AUTH_POLICY_IAK: PolicyDigests = {
  sha256: '5437182326e414fca797d5f174615a1641f61255797c3a2b22c21d120b2d1e07',
  sha384: '129d94ebf84556652c6eef43bbb757512ac87e52be7b349ca6ce4d826f749fcf672f51716c5cbb605f313bf345aab312',
  sha512:
    '8060d1fb31716a29e48a6e5fece088bcfc1b278fc162255e81c3eca3544cd44af94410c3715d561cccd9e39a6cb2646d43535bb54ea88710deb5f7836bd9b586',
};
