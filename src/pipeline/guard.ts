/**
 * Runs one hook of one check and guarantees an answer of the right kind: a throw, a time-out or nonsense becomes the
 * failure the caller names, never an allow. Synchronous hooks cost no promise and no timer. It cannot interrupt
 * synchronous work: that has to be bounded by the check itself.
 */
import type { Check, MaybeAsync } from '../core/check.ts'
import type { Clock } from '../core/clock.ts'
import type { Because } from '../core/verdict.ts'

export interface Guard<T> {
  readonly check: Check
  readonly hook: 'admit' | 'inspect' | 'commit' | 'record'
  readonly clock: Clock
  /** What the hook must return; anything else is nonsense. */
  readonly accepts: (value: unknown) => value is T
  readonly failed: (because: Because) => T
}

export function guarded<T>(g: Guard<T>, run: () => MaybeAsync<T>): MaybeAsync<T> {
  let result: unknown
  let pending: PromiseLike<unknown> | undefined
  try {
    result = run()
    // Within the guard: a plugin's `then` may be a getter that throws.
    if (isThenable(result)) pending = result
  } catch (error) {
    return g.failed(threw(g.check, g.hook, error))
  }
  return pending === undefined ? settle(g, result) : bounded(g, pending)
}

function settle<T>(g: Guard<T>, value: unknown): T {
  let ok = false
  try {
    ok = g.accepts(value)
  } catch {
    // A hostile getter in a plugin's verdict.
  }
  if (ok) return value as T
  return g.failed({
    code: 'check_error',
    reason: `check '${g.check.name}' returned no valid result from ${g.hook}`,
    details: { check: g.check.name, hook: g.hook },
  })
}

function bounded<T>(g: Guard<T>, pending: PromiseLike<unknown>): Promise<T> {
  return new Promise<T>(resolve => {
    const cancel = g.clock.timer(g.check.timeLimitMs, () =>
      resolve(
        g.failed({
          code: 'check_timeout',
          reason: `check '${g.check.name}' did not answer ${g.hook} within ${g.check.timeLimitMs} ms`,
          details: { check: g.check.name, hook: g.hook, time_limit_ms: g.check.timeLimitMs },
        }),
      ),
    )
    const failed = (error: unknown) => {
      cancel()
      resolve(g.failed(threw(g.check, g.hook, error)))
    }
    try {
      pending.then(value => {
        cancel()
        resolve(settle(g, value))
      }, failed)
    } catch (error) {
      failed(error)
    }
  })
}

/** For state that may be remote: rejects with `TimedOut` after `ms`; what becomes of `pending` then is nobody's concern. */
export function within<T>(clock: Clock, ms: number, pending: PromiseLike<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = clock.timer(ms, () => reject(new TimedOut(`no answer within ${ms} ms`)))
    pending.then(
      value => {
        cancel()
        resolve(value)
      },
      (error: unknown) => {
        cancel()
        reject(error)
      },
    )
  })
}

export class TimedOut extends Error {
  override readonly name = 'TimedOut'
}

/** The class of the error only: its message may quote the text under inspection. */
function threw(check: Check, hook: string, error: unknown): Because {
  return {
    code: 'check_error',
    reason: `check '${check.name}' failed in ${hook}`,
    details: { check: check.name, hook, error_class: errorClass(error) },
  }
}

export function errorClass(error: unknown): string {
  try {
    if (error instanceof Error) return String(error.name).slice(0, 64)
  } catch {
    // A hostile `name` getter.
  }
  return typeof error
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  )
}
