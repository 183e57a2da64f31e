/**
 * The times of one stage's checks, in the order in which they are asked. A call is measured from asking to the answer that is acted
 * on, waiting included; at inspection it is one piece of one channel. Without somebody who counts, nothing reads the clock.
 */
import type { Check } from '../core/check.ts'
import type { CheckTimes, HookStage } from '../core/timing.ts'

export class StageTimes {
  readonly #nowMs: (() => number) | undefined
  readonly #counts: readonly ((ms: number) => void)[]

  constructor(times: CheckTimes | undefined, stage: HookStage, checks: readonly Check[]) {
    this.#nowMs = times === undefined ? undefined : () => times.nowMs()
    this.#counts = times === undefined ? [] : checks.map(check => times.at(check.name, stage))
  }

  now(): number {
    return this.#nowMs === undefined ? 0 : this.#nowMs()
  }

  /** Check number `i` has answered; when, which is when the next one is asked: one look at the clock for both. */
  took(i: number, began: number): number {
    if (this.#nowMs === undefined) return 0
    const now = this.#nowMs()
    this.#counts[i]?.(now - began)
    return now
  }
}
