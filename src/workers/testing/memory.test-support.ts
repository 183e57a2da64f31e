/** What a primary serves, in memory. */
import type { SharedState } from '../../core/state.ts'
import { MemoryEscalationStore } from '../../state/escalations/memory.ts'
import {
  MemoryBudgetState,
  MemoryRateLimitState,
  MemoryReferenceState,
  MemorySessionState,
} from '../../state/memory.ts'
import { MemoryRedemptionStore } from '../../state/redemptions/memory.ts'

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
  return { shared, budgets }
}

/** The ports of a connection that most tests do not look at. */
export function quietPorts() {
  return {
    shared: memoryShared().shared,
    escalations: new MemoryEscalationStore(),
    onEscalation: (_id: string): void => undefined,
    log: undefined,
    counter: { exchange: (): void => undefined },
    times: { merge: (): void => undefined },
    receipts: undefined,
    capabilities: undefined,
    issued: { put: (): void => undefined, of: () => [], knows: () => false },
    redemptions: new MemoryRedemptionStore(),
    form: 'jws' as const,
    now: Date.now,
  }
}
