/**
 * Who is at the control plane, and what they may do. Guarantees: a principal is proved by a credential in a header of the
 * request itself (no cookie, nothing a browser would send along); it has the higher of the role in the operator's lists and
 * the one that the operator's mapping reads from its token, or none; a credential that fails is never tried as another kind;
 * one that speaks for somebody else (a delegated token, an agent's key on behalf of a person) opens nothing, for an agent must
 * not approve with the authority of a person.
 */

import { StateFull } from '../core/memory-state.ts'
import { ownerString } from '../core/owner.ts'
import { AuditUnavailable } from '../core/row.ts'
import { createDuplicateRule } from '../identity/headers.ts'
import { higherRole, ROLES, type Role } from '../identity/role.ts'
import type { IdentityStrategy } from '../identity/strategy.ts'
import { type Answer, type ControlRequest, problem } from './listener.ts'

export type { Role } from '../identity/role.ts'

export interface Person {
  /** `type:id`. */
  readonly principal: string
  readonly role: Role
  /** How it was proved: the strategy's name. */
  readonly by: string
  /** When the session ends through which the request came, if nobody does anything. */
  readonly sessionEndsAtMs?: number
}

export interface RoleOptions {
  readonly viewers: readonly string[]
  readonly approvers: readonly string[]
  readonly admins: readonly string[]
}

export interface AccessOptions extends RoleOptions {
  readonly identity: IdentityStrategy
}

/** The role that the operator's lists give to a principal. */
export type Roles = (principal: string) => Role | undefined

export function createRoles({ viewers, approvers, admins }: RoleOptions): Roles {
  const roles = new Map<string, Role>([
    ...viewers.map(p => [p, 'viewer'] as const),
    ...approvers.map(p => [p, 'approver'] as const),
    ...admins.map(p => [p, 'admin'] as const),
  ])
  return principal => roles.get(principal)
}

/** Each role may what the ones below it may. */
export function reaches(has: Role | undefined, wanted: Role): has is Role {
  return has !== undefined && ROLES.indexOf(has) >= ROLES.indexOf(wanted)
}

export interface Access {
  /** The person, when its role reaches; otherwise what it is told. */
  require(request: ControlRequest, role: Role): Promise<Person | Answer>
  /** The request's headers that prove who it is from, as node:http gives them. */
  credentialOf(request: Pick<ControlRequest, 'rawHeaders'>): readonly string[]
  /** Whom the credential proves, whatever they may do here: for the row of somebody who was not let in. */
  provenBy(request: Pick<ControlRequest, 'rawHeaders' | 'socketAddress'>): Promise<string | undefined>
}

export function createAccess({ identity, ...people }: AccessOptions): Access {
  if (!identity.verified) throw new TypeError('the control plane needs an identity that is proved, not asserted')
  const roles = createRoles(people)
  const duplicates = createDuplicateRule(identity.headers)
  const carriers = new Set(['authorization', ...(identity.headers ?? []).map(name => name.toLowerCase())])
  return {
    credentialOf({ rawHeaders }) {
      const found: string[] = []
      for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
        const name = rawHeaders[i] ?? ''
        if (carriers.has(name.toLowerCase())) found.push(name, rawHeaders[i + 1] ?? '')
      }
      return found
    },
    async provenBy({ rawHeaders, socketAddress }) {
      if (duplicates(rawHeaders) !== undefined) return undefined
      const who = await identity.identify({ rawHeaders, socketAddress })
      return who.kind === 'fault' || who.owner.type === 'unresolved' ? undefined : ownerString(who.owner)
    },
    async require(request, role) {
      const { rawHeaders, socketAddress } = request
      if (duplicates(rawHeaders) !== undefined) return problem(400, 'header_duplicate')
      const who = await identity.identify({ rawHeaders, socketAddress })
      if (who.kind === 'fault' && who.code === 'state_unavailable') {
        return problem(503, 'identity_unavailable', { description: 'the issuer of credentials cannot be reached' })
      }
      if (who.kind === 'fault' || who.owner.type === 'unresolved') {
        const answer = problem(401, 'credential_invalid')
        // RFC 6750 3.1: no error code where there was no credential.
        const bad = who.kind === 'fault' && who.details?.['problem'] !== 'absent'
        const challenge = `Bearer realm="signet control"${bad ? ', error="invalid_token"' : ''}`
        return { ...answer, headers: { ...answer.headers, 'www-authenticate': challenge } }
      }
      if ((who.owner.notApprovers ?? []).length > 0) {
        return problem(403, 'acting_for_another', {
          description: 'a credential that speaks for somebody else opens nothing here',
        })
      }
      const principal = ownerString(who.owner)
      const has = higherRole(roles(principal), who.role)
      if (!reaches(has, role)) {
        return problem(403, 'not_allowed', { description: `this needs the role ${role}` })
      }
      return { principal, role: has, by: who.owner.authenticatedBy }
    },
  }
}

/** Answers as `then` does for a person whose role reaches. */
export async function asPerson(
  access: Access,
  request: ControlRequest,
  role: Role,
  then: (me: Person) => Promise<Answer>,
): Promise<Answer> {
  const me = await access.require(request, role)
  return isPerson(me) ? orNotCounted(() => then(me)) : me
}

/** What cannot be written down did not happen, and says so. */
export async function orNotCounted(then: () => Promise<Answer>): Promise<Answer> {
  try {
    return await then()
  } catch (error) {
    if (error instanceof AuditUnavailable) {
      return problem(503, 'audit_unavailable', { description: 'it could not be written down, and did not count' })
    }
    if (error instanceof StateFull) return problem(503, 'state_full', { description: 'there is no room for it now' })
    throw error
  }
}

export function isPerson(value: Person | Answer): value is Person {
  return 'principal' in value
}
