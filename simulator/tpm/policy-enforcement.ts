import { concat, equal } from '../../src/core/bytes.ts';
import type { AuthRole } from '../../src/tpm/command.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digest } from './crypto/hash.ts';
import type { Entity } from './entity.ts';
import type { Invocation } from './invocation.ts';
import { cpHash } from './invocation.ts';
import type { Machine } from './machine.ts';
import type { LimitKind } from './policy-state.ts';
import { RC, Refusal, sessionRefused } from './refusal.ts';
import type { Session } from './session.ts';

/** Localities above are not bits of a set but numbers (TPMA_LOCALITY, Part 2 §8.5). */
const firstExtended = 32;

/**
 * Whether the assertions collected satisfy the entity's policy for this very command (Part 1 §19.7, Part 3 §5.6).
 *
 * @param number Of the session, from 1, for the response code.
 * @throws Refusal
 */
export function enforcePolicy(
  chip: Machine,
  invocation: Invocation,
  session: Session,
  entity: Entity,
  role: AuthRole | undefined,
  number: number,
): void {
  const { policy } = session;
  const { command } = invocation;
  const refused = (code: number) => sessionRefused(code, number);
  // Else a policy without auth value would stand for the secret that TPM2_PolicySecret is about.
  if (command.name === 'TPM2_PolicySecret' && !policy.passwordNeeded && !policy.authValueNeeded)
    throw refused(RC.MODE);
  if (policy.pcrCounter !== undefined && policy.pcrCounter !== chip.pcrUpdateCounter)
    throw new Refusal(RC.PCR_CHANGED);
  if (session.hash !== entity.policyAlg || !equal(policy.digest, entity.policy))
    throw refused(RC.POLICY_FAIL);
  if (isOver(chip, session, policy.expiresAt)) throw refused(RC.EXPIRED);
  if (policy.commandCode !== undefined) {
    if (policy.commandCode !== command.code) throw refused(RC.POLICY_CC);
  } else if (role !== 'user') {
    // ADMIN and DUP need a policy that names the command (Part 1 §19.2).
    throw refused(RC.POLICY_FAIL);
  }
  if (policy.locality !== undefined && !isAtLocality(policy.locality, chip.locality))
    throw new Refusal(RC.LOCALITY);
  if (policy.physicalPresence && !chip.physicalPresence) throw refused(RC.PP);
  if (policy.limit !== undefined && !isWithin(invocation, session.hash, policy.limit))
    throw refused(RC.POLICY_FAIL);
  if (policy.nvWritten !== undefined) {
    if (entity.nv === undefined) throw refused(RC.POLICY_FAIL);
    if ((entity.nv.publicArea.attributes.written === true) !== policy.nvWritten)
      throw refused(RC.POLICY_FAIL);
  }
}

/** Whether a moment of TPM time has passed, or belongs to an earlier run of the TPM, in which time counted otherwise. */
export function isOver(chip: Machine, session: Session, expiresAt: number | undefined): boolean {
  return expiresAt !== undefined && (expiresAt < chip.time || session.startedIn !== chip.timeEpoch);
}

function isAtLocality(allowed: number, locality: number): boolean {
  return allowed < firstExtended ? (allowed & (1 << locality)) !== 0 && locality < 5 : allowed === locality;
}

function isWithin(
  invocation: Invocation,
  hash: HashAlgorithm,
  limit: { readonly kind: LimitKind; readonly digest: Uint8Array },
): boolean {
  switch (limit.kind) {
    case 'cpHash':
      return equal(limit.digest, cpHash(invocation, hash));
    case 'nameHash':
      return equal(limit.digest, digest(hash, concat(...invocation.entities.map(({ name }) => name))));
    case 'templateHash': {
      const template = templateOf(invocation);
      return template !== undefined && equal(limit.digest, digest(hash, template));
    }
  }
}

const creating: ReadonlySet<string> = new Set(['TPM2_Create', 'TPM2_CreatePrimary', 'TPM2_CreateLoaded']);

/** The template among the parameters as they came: the second TPM2B, which no session encrypts. */
function templateOf({ command, sent }: Invocation): Uint8Array | undefined {
  if (!creating.has(command.name)) return undefined;
  const sizeAt = (at: number) => ((sent[at] ?? 0) << 8) | (sent[at + 1] ?? 0);
  const second = 2 + sizeAt(0);
  const from = second + 2;
  const to = from + sizeAt(second);
  return from > sent.length || to > sent.length ? undefined : sent.subarray(from, to);
}
