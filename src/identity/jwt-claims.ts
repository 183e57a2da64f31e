/**
 * From verified claims to what they prove. Everything a claim contributes is checked as a name that came from outside
 * (core/owner.ts): an issuer lets people choose names too.
 */
import type { OwnerClaims } from '../core/exchange.ts'
import { cleanPrincipalId, parsePrincipal } from '../core/owner.ts'
import { levelName, type PrincipalType, type Proven } from './credential.ts'
import { isRecord } from './issuer-documents.ts'
import { higherRole, type Role } from './role.ts'
import { claimValue } from './rule-claims.ts'

export type Claims = Readonly<Record<string, unknown>>

/** A claim's exact name (`sub`, `https://example.com/level`), or the way to a nested one (`['realm_access', 'roles']`). */
export type ClaimPath = string | readonly string[]

export interface ClaimMapping {
  /**
   * Who the owner is. Default: `{ claim: 'sub', type: 'human' }`. With `principal` the claim holds type and id together
   * (`agent:crawler-7`).
   */
  readonly owner?: { readonly claim: ClaimPath; readonly type: PrincipalType | 'principal' }
  /**
   * The caller's clearance. Without `levels` the claim is the level's name; with it, the claim is a name or a list of
   * names (roles, groups) and the first entry of `levels` that it holds decides. Default: none.
   */
  readonly clearance?: { readonly claim: ClaimPath; readonly levels?: Readonly<Record<string, string>> }
  /** A list of principals who may approve. Default: the owner alone. */
  readonly approvalChain?: { readonly claim: ClaimPath }
  /** A principal, or a list of them, that an agent acts for: they may not approve what it does. Default: none. */
  readonly onBehalfOf?: { readonly claim: ClaimPath }
  /**
   * What they may do at the control plane: the claim is a name or a list of names (roles, groups), and the highest of the
   * roles that `roles` gives them is theirs. Only in `controlIdentity`. Default: what the operator's lists say.
   */
  readonly role?: { readonly claim: ClaimPath; readonly roles: Readonly<Record<string, Role>> }
  /** What `act.sub` (RFC 8693 4.1) names when it has no type of its own. Default: `agent`. */
  readonly actorType?: PrincipalType
  /**
   * Claims that argument rules may compare with, by the name the rules use: `{ account: 'acct' }`. One that is not there, or
   * is no plain value, is unknown to the rules, and they refuse. Default: none.
   */
  readonly forRules?: Readonly<Record<string, ClaimPath>>
}

/** What a token proves, and who uses it on the owner's behalf. */
export interface Read extends Proven {
  readonly actor: string | undefined
}

const MAX_PRINCIPALS = 16

/** The name of what was wrong, for the audit row; never the value. */
export function readClaims(claims: Claims, mapping: ClaimMapping): Read | { readonly problem: string } {
  const owner = readOwner(claims, mapping)
  if ('problem' in owner) return owner
  const clearance = readClearance(claims, mapping.clearance)
  if (typeof clearance === 'object') return clearance
  const approvalChain = readPrincipals(claims, mapping.approvalChain, 'approval_chain_claim_unusable')
  if (approvalChain !== undefined && 'problem' in approvalChain) return approvalChain
  const onBehalfOf = readPrincipals(claims, mapping.onBehalfOf, 'on_behalf_of_claim_unusable', 'one or more')
  if (onBehalfOf !== undefined && 'problem' in onBehalfOf) return onBehalfOf
  const role = readRole(claims, mapping.role)
  if (typeof role === 'object') return role
  const actor = readActor(claims, mapping.actorType ?? 'agent')
  if (typeof actor === 'object') return actor
  // Who acts with this token may not approve either: it would be approving its own doing.
  const notApprovers = [...(onBehalfOf ?? []), ...(actor === undefined ? [] : [actor])]
  return {
    ...owner,
    clearance,
    approvalChain,
    actor,
    claims: readForRules(claims, mapping.forRules),
    ...(notApprovers.length === 0 ? {} : { notApprovers }),
    ...(role === undefined ? {} : { role }),
  }
}

function readOwner(
  claims: Claims,
  { owner = { claim: 'sub', type: 'human' } }: ClaimMapping,
): { readonly type: PrincipalType; readonly id: string } | { readonly problem: string } {
  const text = claimAt(claims, owner.claim)
  if (typeof text !== 'string') return { problem: 'owner_claim_missing' }
  // Many issuers let an account carry any address until it is verified.
  const name = typeof owner.claim === 'string' ? owner.claim : owner.claim.join('.')
  if (name === 'email' && claims['email_verified'] !== undefined && claims['email_verified'] !== true)
    return { problem: 'email_not_verified' }
  if (owner.type === 'principal') {
    const parsed = parsePrincipal(text)
    return parsed.ok ? { type: parsed.type, id: parsed.id } : { problem: 'owner_claim_unusable' }
  }
  const cleaned = cleanPrincipalId(text)
  return cleaned.ok ? { type: owner.type, id: cleaned.id } : { problem: 'owner_claim_unusable' }
}

function readClearance(
  claims: Claims,
  mapping: ClaimMapping['clearance'],
): string | undefined | { readonly problem: string } {
  if (mapping === undefined) return undefined
  const value = claimAt(claims, mapping.claim)
  if (value === undefined) return undefined
  const { levels } = mapping
  if (levels === undefined) {
    const level = typeof value === 'string' ? levelName(value) : undefined
    return level ?? { problem: 'clearance_claim_unusable' }
  }
  const held: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (!held.every(entry => typeof entry === 'string')) return { problem: 'clearance_claim_unusable' }
  const found = Object.keys(levels).find(name => held.includes(name))
  return found === undefined ? undefined : levels[found]
}

function readRole(claims: Claims, mapping: ClaimMapping['role']): Role | undefined | { readonly problem: string } {
  if (mapping === undefined) return undefined
  const value = claimAt(claims, mapping.claim)
  if (value === undefined) return undefined
  const held: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (!held.every(entry => typeof entry === 'string')) return { problem: 'role_claim_unusable' }
  let role: Role | undefined
  for (const [name, given] of Object.entries(mapping.roles)) if (held.includes(name)) role = higherRole(role, given)
  return role
}

function readPrincipals(
  claims: Claims,
  mapping: { readonly claim: ClaimPath } | undefined,
  problem: string,
  expected: 'list' | 'one or more' = 'list',
): readonly string[] | undefined | { readonly problem: string } {
  if (mapping === undefined) return undefined
  const value = claimAt(claims, mapping.claim)
  if (value === undefined) return undefined
  const list: readonly unknown[] = Array.isArray(value) ? value : expected === 'list' ? [] : [value]
  if (list.length === 0 || list.length > MAX_PRINCIPALS) return { problem }
  const read: string[] = []
  for (const entry of list) {
    const parsed = typeof entry === 'string' ? parsePrincipal(entry) : undefined
    if (parsed?.ok !== true) return { problem }
    read.push(`${parsed.type}:${parsed.id}`)
  }
  return read
}

function readForRules(claims: Claims, mapping: ClaimMapping['forRules']): OwnerClaims | undefined {
  if (mapping === undefined) return undefined
  const read: Record<string, OwnerClaims[string]> = Object.create(null)
  for (const [name, path] of Object.entries(mapping)) {
    const value = claimValue(claimAt(claims, path))
    if (value !== undefined) read[name] = value
  }
  return read
}

/** RFC 8693 4.1: only the outermost `act` says who acts now; what is nested in it is history. */
function readActor(claims: Claims, actorType: PrincipalType): string | undefined | { readonly problem: string } {
  const act = own(claims, 'act')
  if (act === undefined) return undefined
  const subject = isRecord(act) ? own(act, 'sub') : undefined
  if (typeof subject !== 'string') return { problem: 'act_claim_unusable' }
  const typed = parsePrincipal(subject)
  if (typed.ok) return `${typed.type}:${typed.id}`
  const cleaned = cleanPrincipalId(subject)
  return cleaned.ok ? `${actorType}:${cleaned.id}` : { problem: 'act_claim_unusable' }
}

export function claimAt(claims: Claims, path: ClaimPath): unknown {
  if (typeof path === 'string') return own(claims, path)
  let value: unknown = claims
  for (const name of path) value = isRecord(value) ? own(value, name) : undefined
  return value
}

/** `null` says nothing (JSON has no other way to leave a claim empty), and neither does a prototype. */
function own(object: Claims, name: string): unknown {
  const value = Object.hasOwn(object, name) ? object[name] : undefined
  return value === null ? undefined : value
}
