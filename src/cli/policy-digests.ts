/**
 * The digests that one policy has. Two checks name the driver of their state in their description, so a gate by itself, gates
 * with Redis and workers write different digests of the same rules; none of these is another policy.
 */
import type { Check } from '../core/check.ts'
import { MemoryBudgetState, MemoryRateLimitState } from '../core/memory-state.ts'
import type { BudgetState, RateLimitState, SharedState } from '../core/state.ts'
import { policyDigest } from '../pipeline/digest.ts'

/** Leaves the checks with state that does nothing: they must not be asked afterwards. */
export function policyDigests(checks: readonly Check[], shadow: boolean): ReadonlySet<string> {
  const inOrder = [...checks].sort((a, b) => a.priority - b.priority)
  const digests = new Set([policyDigest(inOrder, shadow)])
  for (const shared of [inMemory(), inRedis(), inPrimary()]) {
    for (const check of inOrder) check.shareState?.(shared)
    digests.add(policyDigest(inOrder, shadow))
  }
  return digests
}

const unasked = (): never => {
  throw new Error('this state is only described')
}

function inMemory(): SharedState {
  return stateOf(new MemoryRateLimitState(), new MemoryBudgetState())
}

function inRedis(): SharedState {
  class RedisRateLimitState implements RateLimitState {
    readonly take = unasked
  }
  class RedisBudgetState implements BudgetState {
    readonly reserve = unasked
    readonly settle = unasked
  }
  return stateOf(new RedisRateLimitState(), new RedisBudgetState())
}

/** A worker's connection to the primary is a plain object. */
function inPrimary(): SharedState {
  return stateOf({ take: unasked }, { reserve: unasked, settle: unasked })
}

function stateOf(rateLimits: RateLimitState, budgets: BudgetState): SharedState {
  return {
    rateLimits,
    budgets,
    sessions: { touch: unasked },
    references: { remember: unasked, find: unasked },
    reachable: unasked,
    close: () => Promise.resolve(),
  }
}
