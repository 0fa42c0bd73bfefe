/** WebCrypto in software: the engine under issued certificates, and the base of `fealty/webcrypto`. */
export { Crypto } from '@peculiar/webcrypto';
