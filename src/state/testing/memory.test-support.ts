import { MemoryBudgetState, MemoryRateLimitState, MemoryReferenceState, MemorySessionState } from '../memory.ts'
import type { Subject } from './subject.test-support.ts'

export function memorySubject(): Subject {
  let now = 0
  return {
    rateLimits: new MemoryRateLimitState(),
    budgets: new MemoryBudgetState(),
    sessions: new MemorySessionState(),
    references: new MemoryReferenceState(),
    at: async ms => {
      now = ms
    },
    now: () => now,
    close: async () => undefined,
  }
}
