/** Any driver of the shareable ports, under a clock that the test sets: what the contract and the comparison drive. */
import type { BudgetState, RateLimitState, ReferenceState, SessionState } from '../../core/state.ts'

export interface Subject {
  readonly rateLimits: RateLimitState
  readonly budgets: BudgetState
  readonly sessions: SessionState
  readonly references: ReferenceState
  /** What time it is from now on, for the driver; `now()` is what a gate would say. */
  at(ms: number): Promise<void>
  now(): number
  close(): Promise<void>
}
