import type { RegistrarStore } from '../provisioning/registrar-store.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import type { IssuerStore } from '../tokens/issuer-store.ts';
import type { Dialect } from './database.ts';
import { openDatabase } from './database.ts';
import { issuerStore } from './store-issuer.ts';
import { registrarStore } from './store-registrar.ts';
import { registryStore } from './store-registry.ts';

/** Everything an authority remembers, in one database. */
export interface AuthorityStore {
  readonly issuer: IssuerStore;
  readonly registrar: RegistrarStore;
  readonly registry: RegistryStore;
  /** Drops what no longer matters at `now` (milliseconds). */
  sweep(now: number): Promise<void>;
  close(): Promise<void>;
}

/** Opens the store and brings its tables up to date. */
export async function openStore(dialect: Dialect): Promise<AuthorityStore> {
  const db = await openDatabase(dialect);
  const issuer = await issuerStore(db);
  const registrar = registrarStore(db);
  const registry = registryStore(db);
  return {
    issuer,
    registrar,
    registry,
    sweep: async (now) => {
      await issuer.sweep(now);
      await registry.sweep(now);
      await registrar.sweepChallenges(now);
    },
    close: () => db.destroy(),
  };
}
