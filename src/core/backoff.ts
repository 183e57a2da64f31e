/** Trying again, later each time: 100 ms, then twice as long up to 5 s; from the start again after `reset`. */
import type { Clock } from './clock.ts'

const FIRST_MS = 100
const LAST_MS = 5000

export class Backoff {
  readonly #clock: Pick<Clock, 'timer'>
  #nextMs = FIRST_MS

  constructor(clock: Pick<Clock, 'timer'>) {
    this.#clock = clock
  }

  /** Calls `f` after the wait that is due; returns how to cancel. */
  again(f: () => void): () => void {
    const ms = this.#nextMs
    this.#nextMs = Math.min(ms * 2, LAST_MS)
    return this.#clock.timer(ms, f)
  }

  reset(): void {
    this.#nextMs = FIRST_MS
  }
}
