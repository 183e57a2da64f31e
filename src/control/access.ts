/**
 * Who is at the control plane, and what they may do. Guarantees: a principal is proved by a credential in a header of the
 * request itself (no cookie, nothing a browser would send along), has exactly the role the operator gave it, and a
 * credential that fails is never tried as another kind.
 */

import { ownerString } from '../core/owner.ts'
import { createDuplicateRule } from '../identity/headers.ts'
import type { IdentityStrategy } from '../identity/strategy.ts'
import { type Answer, type ControlRequest, problem } from './listener.ts'

/** Each may what the ones before it may. */
export const ROLES = ['viewer', 'approver', 'admin'] as const
export type Role = (typeof ROLES)[number]

export interface Person {
  /** `type:id`. */
  readonly principal: string
  readonly role: Role
  /** How it was proved: the strategy's name. */
  readonly by: string
}

export interface RoleOptions {
  readonly viewers: readonly string[]
  readonly approvers: readonly string[]
  readonly admins: readonly string[]
}

export interface AccessOptions extends RoleOptions {
  readonly identity: IdentityStrategy
}

/** Does this person have the role, or one that may more? */
export type Roles = (principal: string, role: Role) => Role | undefined

export function createRoles({ viewers, approvers, admins }: RoleOptions): Roles {
  const roles = new Map<string, Role>([
    ...viewers.map(p => [p, 'viewer'] as const),
    ...approvers.map(p => [p, 'approver'] as const),
    ...admins.map(p => [p, 'admin'] as const),
  ])
  return (principal, role) => {
    const has = roles.get(principal)
    return has === undefined || ROLES.indexOf(has) < ROLES.indexOf(role) ? undefined : has
  }
}

export interface Access {
  /** The person, when its role reaches; otherwise what it is told. */
  require(request: ControlRequest, role: Role): Promise<Person | Answer>
}

export function createAccess({ identity, ...people }: AccessOptions): Access {
  if (!identity.verified) throw new TypeError('the control plane needs an identity that is proved, not asserted')
  const roles = createRoles(people)
  const duplicates = createDuplicateRule(identity.headers)
  return {
    async require(request, role) {
      const { rawHeaders, socketAddress } = request
      if (duplicates(rawHeaders) !== undefined) return problem(400, 'header_duplicate')
      const who = await identity.identify({ rawHeaders, socketAddress })
      if (who.kind === 'fault' || who.owner.type === 'unresolved') {
        const answer = problem(401, 'credential_invalid')
        return { ...answer, headers: { ...answer.headers, 'www-authenticate': 'Bearer realm="signet control"' } }
      }
      const principal = ownerString(who.owner)
      const has = roles(principal, role)
      if (has === undefined) return problem(403, 'not_allowed', { description: `this needs the role ${role}` })
      return { principal, role: has, by: who.owner.authenticatedBy }
    },
  }
}

export function isPerson(value: Person | Answer): value is Person {
  return 'principal' in value
}
