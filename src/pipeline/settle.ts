/**
 * Reserve and settle. Guarantees that every callback registered with `ctx.onSettle` runs exactly once, in reverse
 * order, whatever the outcome; a callback that fails or hangs does not keep the others from running.
 */
import type { MaybeAsync } from '../core/check.ts'
import type { Clock } from '../core/clock.ts'
import type { Outcome } from '../core/exchange.ts'
import { errorClass, isThenable, within } from './guard.ts'

/** State that does not answer for longer counts as failed: an exchange must come to its end. */
const LIMIT_MS = 5_000

export class Settlement {
  #callbacks: ((outcome: Outcome) => MaybeAsync<void>)[] = []
  #outcome: Outcome | undefined
  readonly #clock: Clock | undefined

  /** Without a clock callbacks may take as long as they like. */
  constructor(clock?: Clock) {
    this.#clock = clock
  }

  add(f: (outcome: Outcome) => MaybeAsync<void>): void {
    // A check still running after its time limit may reserve late: give it back at once.
    if (this.#outcome !== undefined) {
      const late = this.#outcome
      void runQuietly(f, late, this.#clock)
      return
    }
    this.#callbacks.push(f)
  }

  /** Returns the classes of the errors that callbacks threw. Further calls do nothing. */
  async settle(outcome: Outcome): Promise<readonly string[]> {
    if (this.#outcome !== undefined) return []
    this.#outcome = outcome
    const failed: string[] = []
    const callbacks = this.#callbacks
    this.#callbacks = []
    for (const f of callbacks.reverse()) {
      const error = await runQuietly(f, outcome, this.#clock)
      if (error !== undefined) failed.push(error)
    }
    return failed
  }
}

async function runQuietly(
  f: (outcome: Outcome) => MaybeAsync<void>,
  outcome: Outcome,
  clock: Clock | undefined,
): Promise<string | undefined> {
  try {
    const pending = f(outcome)
    if (isThenable(pending)) await (clock === undefined ? pending : within(clock, LIMIT_MS, pending))
    return undefined
  } catch (error) {
    return errorClass(error)
  }
}
