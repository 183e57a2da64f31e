/**
 * `call_limits`: how often a tool may be called: a rate, no duplicates, no loops, per owner.
 *
 * It runs last, so it counts a call that every other check lets through or puts before a human, and no other: once, when the
 * call is proposed. When the answer that held it is released the call is not counted again, so an approved call is never
 * refused as a duplicate of itself. A call that one of the limits refuses is given back to the others.
 *
 * Guarantees: with shared state the counts hold over all gates and processes; when state cannot answer, the call is refused.
 * Does not guarantee: that a counted call has left. An answer that breaks off after the call was decided has counted it.
 */
import { hash } from 'node:crypto'
import type { Check, Ctx } from '../core/check.ts'
import type { Exchange } from '../core/exchange.ts'
import { MemoryBudgetState, MemoryRateLimitState } from '../core/memory-state.ts'
import { ownerString } from '../core/owner.ts'
import type { BudgetState, RateLimitState, SharedState } from '../core/state.ts'
import { ALLOW, type Block, block, type Code, type Verdict } from '../core/verdict.ts'
import type { ToolCall } from '../core/wire.ts'
import { canonicalArguments, pastRepeats } from './arguments/canonical-call.ts'
import { readToolLimits, type ToolLimits, type ToolLimitsOptions } from './call-limits-options.ts'
import { CheckOptions, type Common, type CommonOptions, description, errorClass, printable } from './options.ts'

export interface CallLimitsOptions extends CommonOptions {
  /** Tool name to its limits. `*` is for every tool that has no entry of its own. */
  readonly tools?: Readonly<Record<string, ToolLimitsOptions>>
}

export class CallLimitsCheck implements Check {
  readonly name = 'call_limits'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly #common: Common
  readonly #tools: ReadonlyMap<string, ToolLimits>
  #budgets: BudgetState = new MemoryBudgetState()
  #rateLimits: RateLimitState = new MemoryRateLimitState()

  constructor(options: CallLimitsOptions = {}) {
    const read = new CheckOptions(this.name, options, ['tools'])
    this.#common = read.common(900)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    this.#tools = readToolLimits(read)
  }

  shareState(shared: SharedState): void {
    this.#budgets = shared.budgets
    this.#rateLimits = shared.rateLimits
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['commitment'], this.#common, {
      tools: [...this.#tools].sort(([a], [b]) => (a < b ? -1 : 1)).map(([tool, limits]) => ({ tool, ...limits })),
    })
  }

  commit(call: ToolCall, x: Exchange, ctx: Ctx): Verdict | Promise<Verdict> {
    if (ctx.again === true) return ALLOW
    const limits = this.#tools.get(call.name) ?? this.#tools.get('*')
    if (limits === undefined) return ALLOW
    const { repeats } = limits
    if (repeats !== null && pastRepeats(x.request, call) >= repeats) {
      return refused(
        'call_loop',
        call,
        'repeats',
        'the conversation already holds the same call as often as is allowed',
        {
          repeats,
        },
      )
    }
    if (limits.rate === null && limits.loop === null && limits.duplicates === null) return ALLOW
    return this.#count(call, limits, x, ctx.now())
  }

  async #count(call: ToolCall, limits: ToolLimits, x: Exchange, nowMs: number): Promise<Verdict> {
    const reserved: string[] = []
    let verdict: Verdict
    try {
      verdict = await this.#take(call, limits, x, nowMs, reserved)
    } catch (error) {
      verdict = block('state_unavailable', 'the state of call limits is unavailable; failing closed', {
        tool: printable(call.name),
        backend_error: errorClass(error),
      })
    }
    // A reservation that cannot be settled counts until its window is over: never too little.
    const used = verdict.kind === 'allow' ? 1 : 0
    await Promise.allSettled(reserved.map(async reservation => this.#budgets.settle(reservation, used)))
    return verdict
  }

  /** Reservations first, which can be given back; the duplicate's token cannot, so it is taken when nothing else refuses. */
  async #take(call: ToolCall, limits: ToolLimits, x: Exchange, nowMs: number, reserved: string[]): Promise<Verdict> {
    const { rate, loop, duplicates } = limits
    const owner = ownerString(x.owner)
    if (rate !== null) {
      const key = keyOf('rate', owner, call.name)
      const taken = await this.#budgets.reserve(key, 1, rate.calls, rate.perSeconds * 1000, nowMs, owner)
      if (!taken.ok) {
        return refused(
          'call_rate',
          call,
          'rate',
          'it has been called as often as is allowed for now',
          { ...rate },
          taken,
        )
      }
      reserved.push(taken.reservation)
    }
    if (loop !== null) {
      const key = keyOf('loop', owner, x.session ?? '', call.name)
      const taken = await this.#budgets.reserve(key, 1, loop.calls, loop.perSeconds * 1000, nowMs, owner)
      if (!taken.ok) {
        return refused('call_loop', call, 'loop', 'it has been called too often in this session', { ...loop }, taken)
      }
      reserved.push(taken.reservation)
    }
    if (duplicates === null) return ALLOW
    const digest = hash('sha256', `${call.form}:${canonicalArguments(call)}`, 'hex')
    const key = keyOf('duplicate', owner, call.name, digest)
    const taken = await this.#rateLimits.take(key, 1, 1 / duplicates.withinSeconds, nowMs, owner)
    // Exactly `true`: a driver that answers nonsense has not granted anything.
    if (taken.ok === true) return ALLOW
    if (taken.ok !== false) throw new TypeError('not an answer')
    return refused(
      'call_duplicate',
      call,
      'duplicates',
      'the same call was made a short while ago',
      { ...duplicates },
      taken,
    )
  }
}

/**
 * No other check's key begins with a bracket: theirs are owners, or owners and words. The model chooses the name of a tool and
 * the caller that of a session: a long one counts by its hash, because state is bounded in keys and not in their length.
 */
function keyOf(...parts: readonly string[]): string {
  const short = parts.map(part => (part.length <= LONGEST_PART ? part : `sha256:${hash('sha256', part, 'hex')}`))
  return JSON.stringify(['call_limits', ...short])
}

const LONGEST_PART = 256

function refused(
  code: Code,
  call: ToolCall,
  rule: string,
  why: string,
  limit: Readonly<Record<string, number>>,
  taken: { readonly retryAfterS?: number } = {},
): Block {
  const tool = printable(call.name)
  const wait = taken.retryAfterS === undefined ? undefined : Math.max(1, Math.ceil(taken.retryAfterS))
  return block(
    code,
    `tool '${tool}' refused: ${why}`,
    { tool, rule, ...limit, ...(wait === undefined ? {} : { retry_after_seconds: wait }) },
    wait,
  )
}
