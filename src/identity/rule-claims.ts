/**
 * What a credential says about its owner beyond the name, for rules to compare arguments with (`claim` of an argument rule).
 * Only what the operator names is carried, and only plain values: anything else counts as not said, and a rule that needs it
 * refuses.
 */
import type { OwnerClaims } from '../core/exchange.ts'

const MAX_CHARACTERS = 256
const MAX_LIST = 64

/** As configured with a key or a certificate rule; throws when it cannot be used. */
export function configuredClaims(
  given: Readonly<Record<string, unknown>> | undefined,
  setting: string,
): OwnerClaims | undefined {
  if (given === undefined) return undefined
  const claims: Record<string, OwnerClaims[string]> = Object.create(null)
  for (const [name, value] of Object.entries(given)) {
    refuseReserved(name, setting)
    const read = claimValue(value)
    if (read === undefined) {
      throw new TypeError(`${setting}: expected non-empty texts, whole numbers, or lists of them`)
    }
    claims[name] = read
  }
  return claims
}

/** Names a rule knows by itself. */
export function refuseReserved(name: string, setting: string): void {
  if (name === 'owner' || name === 'owner_id' || name === '' || name === '__proto__') {
    throw new TypeError(`${setting}: expected names other than owner and owner_id, which rules know by themselves`)
  }
}

/** `undefined`: not a value that could be compared with certainty. A number beyond 2^53 is not the one that was signed. */
export function claimValue(value: unknown): OwnerClaims[string] | undefined {
  if (isPlain(value)) return value
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_LIST) return undefined
  const list: readonly unknown[] = value
  return list.every(isPlain) ? Object.freeze([...list]) : undefined
}

function isPlain(value: unknown): value is string | number {
  if (typeof value === 'string') return value !== '' && value.length <= MAX_CHARACTERS
  return typeof value === 'number' && Number.isSafeInteger(value)
}
