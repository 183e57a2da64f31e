/**
 * `rate_limit`: a token bucket per owner.
 *
 * It runs before anything that costs time, so that a flood pays for its own scanning; a token is never given back,
 * whatever becomes of the exchange. Exchanges without an owner share one bucket: being unknown is no way round it.
 * When the state cannot answer, the exchange is refused.
 */
import type { Check, Ctx } from '../core/check.ts'
import type { Exchange } from '../core/exchange.ts'
import { MemoryRateLimitState } from '../core/memory-state.ts'
import { ownerString } from '../core/owner.ts'
import type { RateLimitState, SharedState } from '../core/state.ts'
import { ALLOW, block, type Verdict } from '../core/verdict.ts'
import {
  CheckOptions,
  type Common,
  type CommonOptions,
  description,
  driverName,
  errorClass,
  isPromise,
  rowNumber,
} from './options.ts'

export interface RateLimitOptions extends CommonOptions {
  /** Tokens of a full bucket. Default 60. */
  readonly capacity?: number
  /** Tokens that come back per second; 0 is a hard quota that never refills. Default 1. */
  readonly refillPerSecond?: number
  /** Where the buckets are. Default: in this process, at most 50,000 owners; with `redisUrl`, shared. */
  readonly state?: RateLimitState
}

type Taken = Awaited<ReturnType<RateLimitState['take']>>

export class RateLimitCheck implements Check {
  readonly name = 'rate_limit'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly #common: Common
  readonly #capacity: number
  readonly #refillPerSecond: number
  readonly #ownState: boolean
  #state: RateLimitState

  constructor(options: RateLimitOptions = {}) {
    const read = new CheckOptions(this.name, options, ['capacity', 'refillPerSecond', 'state'])
    this.#common = read.common(10)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    this.#capacity = read.whole('capacity', 60, 1)
    this.#refillPerSecond = read.number('refillPerSecond', 1, 0)
    if (options.state !== undefined && typeof options.state?.take !== 'function') {
      throw read.wrong('state', 'a rate-limit state (an object with take)', options.state)
    }
    this.#ownState = options.state !== undefined
    this.#state = options.state ?? new MemoryRateLimitState()
  }

  shareState(shared: SharedState): void {
    if (!this.#ownState) this.#state = shared.rateLimits
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['admission'], this.#common, {
      capacity: this.#capacity,
      refillPerSecond: this.#refillPerSecond,
      state: driverName(this.#state),
    })
  }

  admit(x: Exchange, ctx: Ctx): Verdict | Promise<Verdict> {
    try {
      const taken = this.#state.take(ownerString(x.owner), this.#capacity, this.#refillPerSecond, ctx.now())
      return isPromise(taken) ? taken.then(t => this.#judge(t), unavailable) : this.#judge(taken)
    } catch (error) {
      return unavailable(error)
    }
  }

  #judge(taken: Taken): Verdict {
    // Exactly `true`: a driver that answers nonsense has not granted anything.
    if (taken?.ok === true) return ALLOW
    if (taken?.ok !== false) return unavailable(new TypeError('not an answer'))
    const hardQuota = this.#refillPerSecond === 0
    const retryAfterS =
      hardQuota || taken.retryAfterS === undefined ? undefined : Math.max(1, Math.ceil(taken.retryAfterS))
    return block(
      'rate_limited',
      'rate limit exceeded',
      {
        retry_after_seconds: retryAfterS ?? null,
        capacity: this.#capacity,
        refill_per_second: rowNumber(this.#refillPerSecond),
        hard_quota: hardQuota,
      },
      retryAfterS,
    )
  }
}

function unavailable(error: unknown): Verdict {
  return block('state_unavailable', 'rate-limit backend unavailable; failing closed', {
    backend_error: errorClass(error),
  })
}
