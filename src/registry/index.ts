export type { RegistryCheck } from './errors.ts';
export { REGISTRY_CHECKS, RegistryFailed, RegistryRefused } from './errors.ts';
export type { RegistryAddress } from './exchange.ts';
export { register, withdraw } from './registrant.ts';
export type { Finding } from './seeker.ts';
export { seek } from './seeker.ts';
