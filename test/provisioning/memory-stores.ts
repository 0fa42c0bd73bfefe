import type {
  ChallengeRecord,
  DeviceRecord,
  RegistrarStore,
  UniqueCheck,
} from '../../src/provisioning/registrar-store.ts';
import type { RegistryRecord, RegistryStore } from '../../src/registry/registry-store.ts';

/** A registrar's store in memory: the reference for what the database must do. */
export function memoryRegistrarStore(): RegistrarStore & {
  readonly challenges: Map<string, ChallengeRecord>;
} {
  const devices = new Map<string, DeviceRecord>();
  const challenges = new Map<string, ChallengeRecord>();
  const unique: readonly (readonly [UniqueCheck, (device: DeviceRecord) => string])[] = [
    ['unique-ek', (device) => device.ek],
    ['unique-idevid', (device) => device.idevid],
    ['unique-iak', (device) => device.iak],
    ['unique-serial', (device) => JSON.stringify([device.maker, device.serial])],
    ['unique-hardware-module', (device) => device.hwSerialNum],
    ['unique-slug', (device) => device.slug],
  ];
  return {
    challenges,
    claimDevice: async (record) => {
      const own = devices.get(record.agentId);
      for (const [check, key] of unique) {
        const others = [...devices.values()].filter((other) => other.agentId !== record.agentId);
        if (others.some((other) => key(other) === key(record))) return check;
        // Another device may not take over an identifier either: it is named by the first thing that differs.
        if (own !== undefined && key(own) !== key(record)) return check;
      }
      if (own?.status === 'revoked') return 'revoked';
      devices.set(record.agentId, record);
      return undefined;
    },
    device: async (agentId) => devices.get(agentId),
    updateDevice: async (record) => {
      if (devices.get(record.agentId)?.status !== 'active') return false;
      devices.set(record.agentId, record);
      return true;
    },
    revokeDevice: async (agentId) => {
      const device = devices.get(agentId);
      if (device === undefined) return false;
      devices.set(agentId, { ...device, status: 'revoked' });
      return true;
    },
    removeDevice: async (agentId) => devices.delete(agentId),
    devices: async () => [...devices.values()],
    putChallenge: async (record) => {
      challenges.set(record.id, record);
    },
    takeChallenge: async (id) => {
      const record = challenges.get(id);
      challenges.delete(id);
      return record;
    },
    sweepChallenges: async (at) => {
      for (const [id, record] of challenges) if (record.expiresAt <= at) challenges.delete(id);
      return challenges.size;
    },
  };
}

/** A registry's store in memory. */
export function memoryRegistryStore(): RegistryStore & { readonly records: Map<string, RegistryRecord> } {
  const records = new Map<string, RegistryRecord>();
  const used = new Map<string, number>();
  return {
    records,
    put: async (record) => {
      records.set(record.agentId, record);
    },
    remove: async (agentId) => records.delete(agentId),
    find: async (capabilities, at) =>
      [...records.values()]
        .filter((record) => record.expiresAt > at)
        .filter((record) => capabilities.every((name) => record.capabilities.includes(name)))
        .sort((a, b) => (a.agentId < b.agentId ? -1 : 1)),
    sweep: async (at) => {
      for (const [id, record] of records) if (record.expiresAt <= at) records.delete(id);
      for (const [key, expiresAt] of used) if (expiresAt <= at) used.delete(key);
    },
    useOnce: async (agentId, jti, expiresAt) => {
      const key = JSON.stringify([agentId, jti]);
      if (used.has(key)) return false;
      used.set(key, expiresAt);
      return true;
    },
  };
}
