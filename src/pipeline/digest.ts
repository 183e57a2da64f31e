/** Which policy decided: SHA-256 (hex) over the ordered descriptions of the checks, as sorted-key JSON. */
import { createHash } from 'node:crypto'
import type { Check } from '../core/check.ts'

export function policyDigest(checks: readonly Check[], shadow: boolean): string {
  const description = checks.map(c => ({
    name: c.name,
    priority: c.priority,
    time_limit_ms: c.timeLimitMs,
    shadow: shadow || c.shadow === true,
    description: c.describe(),
  }))
  return createHash('sha256').update(sortedJson(description)).digest('hex')
}

function sortedJson(value: unknown): string {
  return (
    JSON.stringify(value, (_key, v: unknown) => {
      if (typeof v !== 'object' || v === null || Array.isArray(v)) return v
      return Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
    }) ?? 'null'
  )
}
