import type { AuthRole } from '../../src/tpm/command.ts';
import type { Entity } from './entity.ts';
import type { Invocation } from './invocation.ts';
import { hasIndexAuth, isWriting } from './nv-access.ts';
import { sequenceObject } from './object.ts';
import { hasAuthority } from './pcr.ts';

/** Whether nothing but a policy can authorise the entity in this role (Part 1 §19.2 and §19.3). */
export function needsPolicy(entity: Entity, role: AuthRole | undefined): boolean {
  if (role === 'dup') return true;
  if (role === 'admin')
    return entity.object === undefined || entity.object.publicArea.objectAttributes.adminWithPolicy === true;
  return entity.kind === 'pcr' && entity.policy.length > 0;
}

/** Whether the entity's auth value may be used at all, by password or HMAC. An empty one is one too. */
export function hasAuthValue(
  { command }: Invocation,
  { object, nv }: Entity,
  role: AuthRole | undefined,
): boolean {
  if (object !== undefined) {
    const { userWithAuth, adminWithPolicy } = object.publicArea.objectAttributes;
    if (object.sensitive === undefined) return false;
    return userWithAuth === true || (role === 'admin' && adminWithPolicy !== true);
  }
  return nv === undefined || hasIndexAuth(nv, command.name);
}

/** Whether the entity has a policy that may authorise this. */
export function hasPolicy({ command }: Invocation, entity: Entity, role: AuthRole | undefined): boolean {
  // An object without policy has the empty one, which no session's digest ever equals.
  if (entity.object !== undefined)
    return entity.object !== sequenceObject && entity.object.sensitive !== undefined;
  if (entity.kind === 'pcr') return hasAuthority(entity.handle);
  if (entity.policy.length === 0) return false;
  if (entity.nv === undefined || needsPolicy(entity, role)) return true;
  const { policyread, policywrite } = entity.nv.publicArea.attributes;
  return (isWriting(command.name) ? policywrite : policyread) === true;
}
