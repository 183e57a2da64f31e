/**
 * Reserve and settle. Guarantees that every callback registered with `ctx.onSettle` runs exactly once, in reverse
 * order, whatever the outcome; a callback that fails does not keep the others from running.
 */
import type { MaybeAsync } from '../core/check.ts'
import type { Outcome } from '../core/exchange.ts'
import { errorClass } from './guard.ts'

export class Settlement {
  #callbacks: ((outcome: Outcome) => MaybeAsync<void>)[] = []
  #outcome: Outcome | undefined

  add(f: (outcome: Outcome) => MaybeAsync<void>): void {
    // A check still running after its time limit may reserve late: give it back at once.
    if (this.#outcome !== undefined) {
      const late = this.#outcome
      void runQuietly(f, late)
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
      const error = await runQuietly(f, outcome)
      if (error !== undefined) failed.push(error)
    }
    return failed
  }
}

async function runQuietly(f: (outcome: Outcome) => MaybeAsync<void>, outcome: Outcome): Promise<string | undefined> {
  try {
    await f(outcome)
    return undefined
  } catch (error) {
    return errorClass(error)
  }
}
