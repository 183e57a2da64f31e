/** Redemptions of one process. Guarantees: never more than `maxEntries`; nothing is forgotten before its time. */
import { StateFull } from '../../core/memory-state.ts'
import type { RedemptionStore } from '../../core/state.ts'

interface Entry {
  readonly facts: string
  readonly untilMs: number
  settled: boolean
}

const SWEEP_EVERY_MS = 1_000

export class MemoryRedemptionStore implements RedemptionStore {
  readonly durable = false
  readonly #max: number
  readonly #entries = new Map<string, Entry>()
  #sweptAtMs = Number.NEGATIVE_INFINITY

  constructor(maxEntries = 100_000) {
    this.#max = maxEntries
  }

  redeem(jti: string, facts: string, untilMs: number, nowMs: number): boolean {
    if (this.#entries.has(jti)) return false
    if (this.#entries.size >= this.#max && Math.abs(nowMs - this.#sweptAtMs) >= SWEEP_EVERY_MS) {
      this.#sweptAtMs = nowMs
      for (const [known, entry] of this.#entries) if (entry.untilMs <= nowMs) this.#entries.delete(known)
    }
    if (this.#entries.size >= this.#max) throw new StateFull(`no room for another redemption (${this.#max} are kept)`)
    this.#entries.set(jti, { facts, untilMs, settled: false })
    return true
  }

  find(jti: string): string | undefined {
    return this.#entries.get(jti)?.facts
  }

  settle(jti: string): boolean {
    const entry = this.#entries.get(jti)
    if (entry === undefined || entry.settled) return false
    entry.settled = true
    return true
  }

  close(): void {
    this.#entries.clear()
  }
}
