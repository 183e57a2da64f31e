/** The state that a primary serves, in memory. */
import type { SharedState } from '../../core/state.ts'
import {
  MemoryBudgetState,
  MemoryRateLimitState,
  MemoryReferenceState,
  MemorySealedStore,
  MemorySessionState,
} from '../../state/memory.ts'

export function memoryShared() {
  const budgets = new MemoryBudgetState()
  const shared: SharedState = {
    rateLimits: new MemoryRateLimitState(),
    budgets,
    sessions: new MemorySessionState(),
    references: new MemoryReferenceState(),
    reachable: () => true,
    close: async () => undefined,
  }
  return { shared, budgets, held: new MemorySealedStore({ now: Date.now }) }
}
