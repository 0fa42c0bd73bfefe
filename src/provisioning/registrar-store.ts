import type { PublicJwk } from '../core/signer.ts';
import type { Check } from './checks.ts';

/** Which uniqueness of {@link RegistrarStore.claimDevice} was violated. */
export type UniqueCheck = Extract<Check, `unique-${string}`>;

/** What the registrar knows of a device. Byte strings are lower-case hexadecimal, so that they can be keys. */
export interface DeviceRecord {
  /** Its identifier, from the owner's binding. The key of the record. */
  readonly agentId: string;
  readonly slug: string;
  /** Name of the maker's anchor. */
  readonly maker: string;
  readonly model: string;
  readonly serial: string;
  /** SHA-256 of the EK's SubjectPublicKeyInfo. */
  readonly ek: string;
  /** TPM Name of the IDevID. */
  readonly idevid: string;
  /** TPM Name of the IAK. */
  readonly iak: string;
  readonly hwSerialNum: string;
  /** Whether its TPM is a simulator. */
  readonly simulated: boolean;
  /** TPMT_PUBLIC of the LAK. */
  readonly lak: string;
  /** TPMT_PUBLIC of the LDevID. */
  readonly ldevid: string;
  readonly ldevidJwk: PublicJwk;
  /** What its credentials say it may offer, sorted. */
  readonly capabilities: readonly string[];
  /** The person or role it was bound to. */
  readonly owner: string;
  /** SHA-256 of the AIBOM last accepted. */
  readonly aibom: string;
  /** The AIBOM itself, base64url, so that a renewal need not carry it. */
  readonly aibomBytes: string;
  /** The endorsement, for renewals. */
  readonly endorsement: string;
  /** TPM clock at the last attestation by the LAK. */
  readonly tpmClock?:
    | { readonly clock: string; readonly resetCount: number; readonly restartCount: number }
    | undefined;
  readonly status: 'active' | 'revoked';
  /** Milliseconds since 1970. */
  readonly enrolledAt: number;
  readonly renewedAt: number;
}

/** A challenge that waits for its answer. */
export interface ChallengeRecord {
  /** 32 random bytes, base64url. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** JSON; secret, because it holds the activation secret. */
  readonly state: string;
}

/** Where the registrar keeps what it knows; the authority implements it with SQL. */
export interface RegistrarStore {
  /**
   * Adds or replaces a device in one transaction. EK, IDevID Name, IAK Name, (maker, serial), hwSerialNum and slug are
   * each unique by a constraint of the database *among all other devices*; the same device may enrol again when all six
   * are those of its own record.
   *
   * @returns the uniqueness that failed, `revoked` when its own record is revoked (which stays as it is), or `undefined`
   *   when the new record is durable.
   */
  claimDevice(record: DeviceRecord): Promise<UniqueCheck | 'revoked' | undefined>;
  device(agentId: string): Promise<DeviceRecord | undefined>;
  /**
   * Replaces a record whose status is `active`, in one transaction; the identifying members do not change.
   * @returns false, and changes nothing, when there is none or it is revoked: a renewal never undoes a revocation.
   */
  updateDevice(record: DeviceRecord): Promise<boolean>;
  /** Marks it revoked; false when there is none. */
  revokeDevice(agentId: string): Promise<boolean>;
  /** Forgets a device, so that it may enrol again, here or as another agent; false when there is none. */
  removeDevice(agentId: string): Promise<boolean>;
  /** Every device, for the owner's eyes. */
  devices(): Promise<readonly DeviceRecord[]>;
  putChallenge(record: ChallengeRecord): Promise<void>;
  /** Takes a challenge out: a second call with the same `id` finds nothing, also at the same moment. */
  takeChallenge(id: string): Promise<ChallengeRecord | undefined>;
  /** Forgets challenges that expired before `at`; returns how many are left. */
  sweepChallenges(at: number): Promise<number>;
}
