/** Who waits until the log has a row. Each is settled once, in the order of asking. */
import type { LogLevel } from '../../core/row.ts'
import type { LogInvalid } from './errors.ts'

interface Waiter {
  readonly index: number
  readonly level: LogLevel
  readonly resolve: () => void
  readonly reject: (error: LogInvalid) => void
}

export class Waiters {
  #waiting: Waiter[] = []

  add(index: number, level: LogLevel): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ index, level, resolve, reject }))
  }

  /** Whether anybody waits for a row of `[from, to)`. */
  wants(from: number, to: number): boolean {
    return this.#waiting.some(({ index }) => index >= from && index < to)
  }

  /** `has`: entries that have reached the level. */
  wake(has: (level: LogLevel) => number): void {
    for (const { resolve } of this.#take(waiter => has(waiter.level) > waiter.index)) resolve()
  }

  /** Of one level, or all. */
  refuse(error: LogInvalid, level?: LogLevel): void {
    for (const { reject } of this.#take(waiter => level === undefined || waiter.level === level)) reject(error)
  }

  #take(which: (waiter: Waiter) => boolean): readonly Waiter[] {
    const taken = this.#waiting.filter(which)
    this.#waiting = this.#waiting.filter(waiter => !which(waiter))
    return taken
  }
}
