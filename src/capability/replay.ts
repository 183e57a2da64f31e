/**
 * What remembers that a capability was used. Guarantees of every store: of all who use one capability, at once or one after
 * the other, exactly one is told that it was first; a store that cannot tell throws, and then nothing runs.
 */

export interface Use {
  readonly issuer: string
  readonly jti: string
  /** The token itself: the gate's redeem endpoint wants to see it. */
  readonly capability: string
  /** Milliseconds since the epoch. The use must be remembered until then. */
  readonly untilMs: number
  readonly nowMs: number
}

export interface Outcome {
  readonly ok: boolean
  /** One line for the audit log; at most 256 characters are kept. Never a secret. */
  readonly detail?: string
}

export interface ReplayStore {
  /** True for the first use, false for every later one. Throws when it cannot know. */
  use(use: Use): boolean | Promise<boolean>
  /** Where the store can pass on how it went. */
  report?(jti: string, outcome: Outcome): Promise<void>
}

export interface MemoryReplayOptions {
  /** Uses remembered at once; beyond that further ones are refused. Default 100,000. */
  readonly maxEntries?: number
}

/** For an executor that is one process. It forgets when that ends: a capability used just before may then be used again. */
export class MemoryReplayStore implements ReplayStore {
  readonly #max: number
  readonly #until = new Map<string, number>()
  #sweptAtMs = Number.NEGATIVE_INFINITY

  constructor(options: MemoryReplayOptions = {}) {
    const { maxEntries = 100_000 } = options
    if (!Number.isSafeInteger(maxEntries) || maxEntries < 1) {
      throw new TypeError(`maxEntries: expected a whole number >= 1, got ${String(maxEntries)}`)
    }
    this.#max = maxEntries
  }

  use({ issuer, jti, untilMs, nowMs }: Use): boolean {
    const key = JSON.stringify([issuer, jti])
    // Whether its time is over or not: the caller has judged that, and a clock may have been set back.
    if (this.#until.has(key)) return false
    if (this.#until.size >= this.#max) this.#sweep(nowMs)
    // Forgetting one to take another would let the first be used again.
    if (this.#until.size >= this.#max) throw new Error(`${this.#max} uses are remembered already`)
    this.#until.set(key, untilMs)
    return true
  }

  /** At most once a second: a full store must not be gone through for every call. */
  #sweep(nowMs: number): void {
    if (Math.abs(nowMs - this.#sweptAtMs) < 1_000) return
    this.#sweptAtMs = nowMs
    for (const [key, untilMs] of this.#until) if (untilMs <= nowMs) this.#until.delete(key)
  }
}
