/**
 * The changes of escalations, to whoever follows them. Guarantees that a slow follower costs a bounded queue and loses the
 * oldest, never the newest, and that one who leaves is forgotten.
 */
import type { Clock } from '../core/clock.ts'
import type { Escalation } from '../escalation/escalation.ts'

const MAX_QUEUED = 256

export class Changes {
  readonly #clock: Clock
  readonly #followers = new Set<(e: Escalation) => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  readonly tell = (e: Escalation): void => {
    for (const follower of this.#followers) follower(e)
  }

  /** Calls back with every change, at once and for good. It must neither throw nor take long. */
  always(follower: (e: Escalation) => void): void {
    this.#followers.add(follower)
  }

  /** Ends when `signal` aborts. `undefined` when nothing has changed for `beatMs`. */
  async *follow(signal: AbortSignal, beatMs: number): AsyncIterable<Escalation | undefined> {
    const queue: Escalation[] = []
    let wake: () => void = () => undefined
    const follower = (e: Escalation) => {
      queue.push(e)
      if (queue.length > MAX_QUEUED) queue.shift()
      wake()
    }
    const leave = () => wake()
    this.#followers.add(follower)
    signal.addEventListener('abort', leave)
    try {
      while (!signal.aborted) {
        const e = queue.shift()
        if (e !== undefined) {
          yield e
          continue
        }
        let cancel: () => void = () => undefined
        const beat = await new Promise<boolean>(resolve => {
          wake = () => resolve(false)
          cancel = this.#clock.timer(beatMs, () => resolve(true))
          if (signal.aborted) resolve(false)
        })
        cancel()
        if (beat) yield undefined
      }
    } finally {
      this.#followers.delete(follower)
      signal.removeEventListener('abort', leave)
    }
  }
}
