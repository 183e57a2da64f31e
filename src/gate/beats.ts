/**
 * Comments that keep the connection of a caller alive while a turn is withheld. Guarantees that none is under way any more
 * once `stop` has resolved, and that none opens a stream before the headers it opens with have been inspected.
 */

import type { MaybeAsync } from '../core/check.ts'
import type { Clock } from '../core/clock.ts'
import { isThenable } from '../pipeline/guard.ts'

/** As often as for an answer that waits for a human. */
export const BEAT_MS = 10_000

export class Beats {
  readonly #clock: Clock
  readonly #beat: () => MaybeAsync<void>
  readonly #failed: (error: unknown) => void
  #cancel: (() => void) | undefined
  #underWay: Promise<void> | undefined
  #stopped = false

  constructor(clock: Clock, beat: () => MaybeAsync<void>, failed: (error: unknown) => void) {
    this.#clock = clock
    this.#beat = beat
    this.#failed = failed
    this.#next()
  }

  /** `undefined`: nothing to wait for. Never rejects. */
  stop(): Promise<void> | undefined {
    this.#stopped = true
    this.#cancel?.()
    return this.#underWay
  }

  #next(): void {
    if (this.#stopped) return
    this.#cancel = this.#clock.timer(BEAT_MS, () => {
      let beaten: MaybeAsync<void>
      try {
        beaten = this.#beat()
      } catch (error) {
        this.#failed(error)
        return
      }
      if (!isThenable(beaten)) {
        this.#next()
        return
      }
      this.#underWay = Promise.resolve(beaten).then(
        () => {
          this.#underWay = undefined
          this.#next()
        },
        (error: unknown) => {
          this.#underWay = undefined
          this.#failed(error)
        },
      )
    })
  }
}
