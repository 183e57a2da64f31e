/** Checks with small limits, whose state is shared when the gate's is. */
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import { TokenBudgetCheck } from '../../src/checks/token-budget.ts'
import type { Check } from '../../src/core/check.ts'

export const CAPACITY = 10
export const CAP = 100_000

export function limitedChecks(capacity = CAPACITY): readonly Check[] {
  return [
    new OwnerResolutionCheck(),
    new RateLimitCheck({ capacity, refillPerSecond: 0 }),
    new TokenBudgetCheck({ cap: CAP, window: 'hour' }),
  ]
}
