/** Ports of shared state. Drivers live in `state/`; every call may be remote, so every call may fail: a failure refuses. */
import type { MaybeAsync } from './check.ts'

export interface RateLimitState {
  /**
   * Take one token of `key`'s bucket, atomically. `nowMs` is wall clock, so that hosts agree; a driver whose store has a
   * clock of its own goes by that one instead, here and below.
   * `remaining` after taking; `retryAfterS` when refused (`undefined` for a quota that never refills).
   */
  take(
    key: string,
    capacity: number,
    refillPerSecond: number,
    nowMs: number,
  ): MaybeAsync<{ readonly ok: boolean; readonly remaining: number; readonly retryAfterS?: number }>
}

export interface BudgetState {
  /** Reserve `amount` of `cap` in the fixed window that holds `nowMs`, atomically. */
  reserve(
    key: string,
    amount: number,
    cap: number,
    windowMs: number,
    nowMs: number,
  ): MaybeAsync<
    | { readonly ok: true; readonly reservation: string }
    | { readonly ok: false; readonly used: number; readonly reserved: number; readonly retryAfterS: number }
  >
  /** Replace the reservation by what was really used. Exactly once per reservation; a second call does nothing. */
  settle(reservation: string, used: number): MaybeAsync<void>
}

/**
 * Opaque sealed bytes of a held exchange, kept until released or expired. Bounded in all and per owner, so that one owner's
 * held exchanges never take another's place; beyond the bound `put` fails.
 */
export interface SealedStore {
  put(id: string, owner: string, sealed: Uint8Array, expiresAtMs: number): MaybeAsync<void>
  get(id: string): MaybeAsync<Uint8Array | undefined>
  delete(id: string): MaybeAsync<void>
}

export interface Session {
  readonly id: string
  readonly owner: string
  readonly createdAtMs: number
  readonly lastSeenAtMs: number
  readonly requestCount: number
}

/** What upstream keeps under an id, and which owner got it through this gate, at which level. Forgetting refuses. */
export interface ReferenceState {
  remember(owner: string, kind: string, id: string, rank: number): MaybeAsync<void>
  /** The highest level position at which this owner got it; `undefined` when the gate knows of none. */
  find(owner: string, kind: string, id: string): MaybeAsync<number | undefined>
}

export interface SessionState {
  /** Load or create the session of this owner and count the request. Another owner's session of the same id is another session. */
  touch(owner: string, id: string, nowMs: number): MaybeAsync<Session>
}

/** One driver for each port that several gates can share, and the store behind them. */
export interface SharedState {
  readonly rateLimits: RateLimitState
  readonly budgets: BudgetState
  readonly sessions: SessionState
  readonly references: ReferenceState
  /** Asks the store. Never throws, and answers within the driver's own time limit. */
  reachable(): MaybeAsync<boolean>
  /** Lets calls under way end, within their time limit; later calls fail. */
  close(): Promise<void>
}
