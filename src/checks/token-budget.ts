/**
 * `token_budget`: output tokens per owner and window, reserved before the model is called and settled afterwards.
 *
 * Guarantees: concurrent exchanges cannot together overdraw the cap by their estimates; every reservation is settled
 * exactly once, whatever becomes of the exchange. It is given back in full only if upstream was never called;
 * otherwise the charge is the larger of what upstream reported and what it sent, and the whole reservation when its
 * answer broke off. Does not guarantee that one answer stays within its estimate: upstream may send more than it was
 * asked for, and that is charged too.
 */
import type { Check, Ctx } from '../core/check.ts'
import type { Exchange, Outcome } from '../core/exchange.ts'
import { MemoryBudgetState } from '../core/memory-state.ts'
import { ownerString } from '../core/owner.ts'
import type { BudgetState, SharedState } from '../core/state.ts'
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

const WINDOW_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const
export type WindowSize = keyof typeof WINDOW_MS

export interface TokenBudgetOptions extends CommonOptions {
  /** Output tokens per owner and window. */
  readonly cap: number
  /** Fixed windows, aligned to UTC. Default `day`. */
  readonly window?: WindowSize
  /** Reserved for a request that names no limit. Default 1024. */
  readonly requestEstimateDefault?: number
  /** Where the ledgers are. Default: in this process, at most 50,000 owners; with `redisUrl`, shared. */
  readonly state?: BudgetState
}

type Reserved = Awaited<ReturnType<BudgetState['reserve']>>

/** Characters that one output token stands for when upstream reports no count. */
const CHARS_PER_TOKEN = 4

export class TokenBudgetCheck implements Check {
  readonly name = 'token_budget'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly #common: Common
  readonly #cap: number
  readonly #window: WindowSize
  readonly #estimateDefault: number
  readonly #ownState: boolean
  #state: BudgetState

  constructor(options: TokenBudgetOptions) {
    const read = new CheckOptions(this.name, options, ['cap', 'window', 'requestEstimateDefault', 'state'])
    this.#common = read.common(20)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    this.#cap = read.whole('cap', undefined, 1)
    this.#window = read.choice('window', 'day', ['minute', 'hour', 'day'])
    this.#estimateDefault = read.whole('requestEstimateDefault', 1024, 0)
    const { state } = options
    if (state !== undefined && (typeof state?.reserve !== 'function' || typeof state.settle !== 'function')) {
      throw read.wrong('state', 'a budget state (an object with reserve and settle)', state)
    }
    this.#ownState = state !== undefined
    this.#state = state ?? new MemoryBudgetState()
  }

  shareState(shared: SharedState): void {
    if (!this.#ownState) this.#state = shared.budgets
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['admission'], this.#common, {
      cap: this.#cap,
      window: this.#window,
      requestEstimateDefault: this.#estimateDefault,
      state: driverName(this.#state),
    })
  }

  admit(x: Exchange, ctx: Ctx): Verdict | Promise<Verdict> {
    const { maxOutputTokens, n } = x.request
    if (maxOutputTokens !== undefined && !(Number.isSafeInteger(maxOutputTokens) && maxOutputTokens >= 0)) {
      return block(
        'token_estimate_invalid',
        `max_tokens must be a whole number >= 0, got ${rowNumber(maxOutputTokens)}`,
        {
          request_estimate_field: 'max_tokens',
          received_value: rowNumber(maxOutputTokens),
        },
      )
    }
    if (!Number.isSafeInteger(n) || n < 1) {
      return block('token_estimate_invalid', `n must be a whole number >= 1, got ${rowNumber(n)}`, {
        request_estimate_field: 'n',
        received_value: rowNumber(n),
      })
    }
    const estimate = this.#estimate(maxOutputTokens) * n
    const key = `${this.#window}:${ownerString(x.owner)}`
    try {
      const reserved = this.#state.reserve(key, estimate, this.#cap, WINDOW_MS[this.#window], ctx.now())
      if (!isPromise(reserved)) {
        if (reserved?.ok === true) ctx.onSettle(outcome => this.#settle(reserved.reservation, estimate, outcome))
        return this.#judge(reserved, estimate)
      }
      // Registered while the answer is still out: a reservation that comes after this check's time limit, or after the
      // caller has gone, is settled too.
      ctx.onSettle(async outcome => {
        const late = await reserved.catch(() => undefined)
        if (late?.ok === true) await this.#settle(late.reservation, estimate, outcome)
      })
      return reserved.then(r => this.#judge(r, estimate), unavailable)
    } catch (error) {
      return unavailable(error)
    }
  }

  /** A limit of 0 still costs a little: what upstream makes of it is its own affair. */
  #estimate(limit: number | undefined): number {
    const floor = Math.max(1, Math.floor(this.#estimateDefault / 100))
    return limit === undefined ? Math.max(floor, this.#estimateDefault) : limit === 0 ? floor : limit
  }

  #judge(reserved: Reserved, estimate: number): Verdict {
    if (reserved?.ok === true) return ALLOW
    if (reserved?.ok !== false) return unavailable(new TypeError('not an answer'))
    const { used, reserved: held } = reserved
    // More than the whole cap never fits: no time to name.
    const retryAfterS = estimate > this.#cap ? undefined : Math.max(1, Math.ceil(reserved.retryAfterS))
    return block(
      'token_budget_exceeded',
      `token budget exceeded: would use ${used + held + estimate} of ${this.#cap} per ${this.#window}`,
      {
        budget_used: rowNumber(used),
        budget_reserved: rowNumber(held),
        budget_cap: this.#cap,
        request_estimate: rowNumber(estimate),
        window: this.#window,
        retry_after_seconds: retryAfterS ?? null,
      },
      retryAfterS,
    )
  }

  #settle(reservation: string, estimate: number, outcome: Outcome): void | Promise<void> {
    return this.#state.settle(reservation, charge(estimate, outcome))
  }
}

function charge(estimate: number, outcome: Outcome): number {
  if (!outcome.forwarded) return 0
  // Upstream's own figure is a claim of another machine: only a sane one counts.
  const reported = Number.isSafeInteger(outcome.outputTokens) ? Math.max(0, outcome.outputTokens ?? 0) : 0
  const seen = Math.max(reported, Math.ceil(outcome.outputChars / CHARS_PER_TOKEN))
  return outcome.outputComplete ? seen : Math.max(seen, estimate)
}

function unavailable(error: unknown): Verdict {
  return block('state_unavailable', 'token-budget backend unavailable; failing closed', {
    backend_error: errorClass(error),
  })
}
