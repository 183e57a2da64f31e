/**
 * The caller says who it is, in headers; nobody checks. For development, and behind a proxy that sets these headers.
 *
 * Guarantees: the same headers name the same owner, in the fixed order human, agent, policy; a name that could be
 * mistaken for another one (see core/owner.ts) names nobody. An unusable header falls through to the next.
 * Does not guarantee: that the caller is that owner. Rows say so: `authenticatedBy` is `asserted`.
 */
import type { Declared, Owner } from '../core/exchange.ts'
import { agentOwner, cleanPrincipalId, humanOwner, policyOwner, UNRESOLVED } from '../core/owner.ts'
import { decodeHeaderText, headerValue } from './headers.ts'
import type { IdentityStrategy } from './strategy.ts'

const OPTIONS = { authenticatedBy: 'asserted' } as const
const NO_HEADERS: readonly string[] = Object.freeze([])

export function assertedIdentity(): IdentityStrategy {
  return {
    name: 'asserted',
    verified: false,
    identify: ({ rawHeaders }) => ({
      kind: 'identified',
      owner: assertedOwner(rawHeaders),
      declared: assertedLevels(rawHeaders),
      usedHeaders: NO_HEADERS,
    }),
  }
}

export function assertedOwner(rawHeaders: readonly string[]): Owner {
  const human = prefixed(rawHeaders, 'x-commit-owner', 'human:')
  if (human !== undefined) return humanOwner(human, OPTIONS)
  const agent = prefixed(rawHeaders, 'x-agent-id', 'agent:')
  if (agent !== undefined) return agentOwner(agent, OPTIONS)
  const policy = policyId(rawHeaders)
  if (policy !== undefined) return policyOwner(policy, OPTIONS)
  return UNRESOLVED
}

/** The prefix is case-sensitive and required: a bare `root` is nobody. */
function prefixed(rawHeaders: readonly string[], name: string, prefix: string): string | undefined {
  const value = headerValue(rawHeaders, name)
  if (value === undefined || !value.startsWith(prefix)) return undefined
  return usable(value.slice(prefix.length))
}

/**
 * `name`, or `name@version`. With a version, an `@` in either half could be read two ways (`a@b@c`), and a version that
 * cannot be used must not fall back to the bare name: both name nobody.
 */
function policyId(rawHeaders: readonly string[]): string | undefined {
  const name = headerValue(rawHeaders, 'x-policy-name')
  if (name === undefined) return undefined
  const cleanName = usable(name)
  if (cleanName === undefined) return undefined
  const version = headerValue(rawHeaders, 'x-policy-version')
  if (version === undefined) return cleanName
  const cleanVersion = usable(version)
  if (cleanVersion === undefined || cleanName.includes('@') || cleanVersion.includes('@')) return undefined
  return usable(`${cleanName}@${cleanVersion}`)
}

function usable(raw: string): string | undefined {
  const text = decodeHeaderText(raw)
  if (text === undefined) return undefined
  const cleaned = cleanPrincipalId(text)
  return cleaned.ok ? cleaned.id : undefined
}

/** Levels as declared, unparsed. What is not UTF-8 is kept as it came: the classification gate then refuses it as unknown. */
export function assertedLevels(rawHeaders: readonly string[]): Declared {
  return {
    classification: declaredText(rawHeaders, 'x-classification'),
    clearance: declaredText(rawHeaders, 'x-caller-clearance'),
    clearanceVerified: false,
  }
}

/** A header as text; what is not UTF-8 stays as it came. */
export function declaredText(rawHeaders: readonly string[], name: string): string | undefined {
  const value = headerValue(rawHeaders, name)
  return value === undefined ? undefined : (decodeHeaderText(value) ?? value)
}
